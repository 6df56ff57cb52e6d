// index.cjs as an ES module, as ../index.mjs is.

export * from './index.cjs'
