// Writes index.cjs and structures/index.cjs, the package as CommonJS, for what cannot load ES modules: Jest as it is by default.
// Node.js is led to index.js by package.json's conditions, for `require` too; where `require` gets what is made here, `import`
// gets the same through a wrapper. So there is one class in a process.

import { fileURLToPath } from 'node:url'
import { rollup } from '@rollup/wasm-node'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

// A bundle that is an ES module has no __filename.
const ownUrl = {
  name: 'own-url',
  resolveImportMeta: () =>
    `(typeof __filename === 'string' ? require('node:url').pathToFileURL(__filename).href : '')`,
}

const bundle = await rollup({
  input: { index: `${ROOT}/index.js`, 'structures/index': `${ROOT}/structures/index.js` },
  external: /^node:|\.cjs$/,
  plugins: [ownUrl],
})
await bundle.write({
  dir: ROOT,
  entryFileNames: '[name].cjs',
  chunkFileNames: 'lib/common.cjs',
  manualChunks: (id) =>
    /[/\\\\](?:index|structures)\b/.test(id.slice(ROOT.length - 1)) ? null : 'common',
  format: 'cjs',
  exports: 'named',
  interop: 'default',
  // The class itself, as index.js gives it to Node.js's own `require`.
  footer: ({ name }) => (name === 'index' ? 'module.exports = exports.default' : ''),
})
