// As webpack.config.cjs. rollup has no loader for .node files: the plugin copies them beside the bundle.

import commonjs from '@rollup/plugin-commonjs'
import json from '@rollup/plugin-json'
import resolve from '@rollup/plugin-node-resolve'
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'

const isExternal = process.env.EXTERNAL === '1'

const addons = (url) => ({
  name: 'addons',
  load(id) {
    if (!id.endsWith('.node')) return null
    this.emitFile({ type: 'asset', fileName: basename(id), source: readFileSync(id) })
    return `import { createRequire } from 'node:module'
export default createRequire(${url})('./${basename(id)}')`
  },
})

const bundle = (input, format, entryFileNames, url) => ({
  input,
  external: isExternal ? /^node:|^local-shared-memory/ : /^node:/,
  output: { dir: isExternal ? 'out/rollup-external' : 'out/rollup', format, entryFileNames },
  plugins: [
    addons(url),
    resolve({ preferBuiltins: true, extensions: ['.mjs', '.js', '.cjs', '.node'] }),
    json(),
    commonjs({ extensions: ['.cjs', '.node'], requireReturnsDefault: 'auto' }),
  ],
})

export default [
  bundle('require.cjs', 'cjs', 'main.cjs', '__filename'),
  bundle('import.mjs', 'es', 'main.mjs', 'import.meta.url'),
]
