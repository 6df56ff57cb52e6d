// tsup leaves what is in `dependencies` outside. It cannot inline an addon: the package is, and its platform package stays outside.

import { defineConfig } from 'tsup'

const isInlined = process.env.EXTERNAL !== '1'

const bundle = (name, entry, format) =>
  defineConfig({
    entry: { main: entry },
    format,
    platform: 'node',
    outDir: isInlined ? `out/tsup-${format}` : `out/tsup-external-${format}`,
    noExternal: isInlined ? [/^local-shared-memory($|\/)/] : [],
    external: [/\.node$/, /^local-shared-memory-/],
    banner:
      format === 'esm'
        ? {
            js: `import { createRequire } from 'node:module'; const require = createRequire(import.meta.url)`,
          }
        : {},
  })

export default [bundle('cjs', 'require.cjs', 'cjs'), bundle('esm', 'import.mjs', 'esm')]
