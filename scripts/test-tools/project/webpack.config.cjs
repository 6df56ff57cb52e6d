// One bundle of each kind: a CommonJS one of require.cjs and an ES module of import.mjs; the package inlined or left outside.

const { join } = require('node:path')

const isExternal = process.env.EXTERNAL === '1'
const LEFT_OUTSIDE = { request: /^local-shared-memory/ }

const bundle = (entry, type, filename) => ({
  entry,
  target: 'node20',
  mode: 'development',
  devtool: false,
  node: { __filename: false },
  output: {
    path: join(__dirname, 'out', isExternal ? 'webpack-external' : 'webpack'),
    filename,
    publicPath: '',
    module: type === 'module',
    chunkFormat: type,
  },
  experiments: { outputModule: type === 'module' },
  externals: isExternal
    ? ({ request }, done) =>
        LEFT_OUTSIDE.request.test(request)
          ? done(null, request, type === 'module' ? 'module' : 'commonjs')
          : done()
    : [],
  module: {
    parser: { javascript: { url: false, worker: false } },
    rules: [{ test: /\.node$/, loader: 'node-loader' }],
  },
  ignoreWarnings: [{ module: /local-shared-memory/ }],
})

module.exports = [
  bundle('./require.cjs', 'commonjs', 'main.cjs'),
  bundle('./import.mjs', 'module', 'main.mjs'),
]
