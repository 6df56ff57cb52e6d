// Writes index.cjs, the package as one CommonJS file, for what cannot load ES modules: Jest as it is by default. Node.js and
// bundlers are led to index.js by package.json's conditions, for `require` too, so that there is one class in a process.

import { fileURLToPath } from 'node:url'
import { rollup } from 'rollup'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

// A bundle that is an ES module has no __filename.
const ownUrl = {
  name: 'own-url',
  resolveImportMeta: () =>
    `(typeof __filename === 'string' ? require('node:url').pathToFileURL(__filename).href : '')`,
}

const bundle = await rollup({
  input: `${ROOT}/index.js`,
  external: /^node:|\.cjs$/,
  plugins: [ownUrl],
})
await bundle.write({
  file: `${ROOT}/index.cjs`,
  format: 'cjs',
  exports: 'named',
  interop: 'default',
  // The class itself, as index.js gives it to Node.js's own `require`.
  footer: 'module.exports = LocalSharedMemory',
})
