// What the package is tried in: how each environment is prepared in its folder, and what is then run on every Node.js.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * @typedef {object} Environment
 * @property {string} title
 * @property {string} [tool] the package whose `engines` says on which Node.js it runs
 * @property {string} [node] a range, where that says too much
 * @property {string[][]} [prepare] run once, before all, on the Node.js that this script runs on
 * @property {string[][]} runs arguments of Node.js; all must end with 0
 * @property {Record<string, string>} [env]
 */

const bin = (path) => join('node_modules', path)

const BANNER =
  "--banner:js=import { createRequire } from 'node:module'; const require = createRequire(import.meta.url)"

const esbuild = (input, output, ...flags) => [
  bin('esbuild/bin/esbuild'),
  input,
  '--bundle',
  '--platform=node',
  '--log-level=warning',
  `--outfile=out/${output}`,
  ...flags,
]

const bundles = (folder) => [[`out/${folder}/main.cjs`], [`out/${folder}/main.mjs`]]
const EXTERNAL = { EXTERNAL: '1' }

/** @type {Environment[]} */
export const ENVIRONMENTS = [
  { title: 'Node.js: `import` and `require`', runs: [['import.mjs'], ['require.cjs']] },
  {
    title: 'Node.js: TypeScript, types stripped',
    node: '>=22.18.0',
    runs: [['--no-warnings', 'user.mts']],
  },
  {
    title: 'tsc, `module: commonjs`',
    prepare: [[bin('typescript/bin/tsc'), '--project', 'tsconfig.commonjs.json']],
    runs: [['out/tsc/user.js']],
  },
  { title: 'ts-node', tool: 'ts-node', runs: [[bin('ts-node/dist/bin.js'), 'user.ts']] },
  { title: 'tsx', tool: 'tsx', runs: [[bin('tsx/dist/cli.mjs'), 'user.ts']] },
  { title: 'Jest, as it is by default', tool: 'jest', runs: [[bin('jest/bin/jest.js')]] },
  ...['threads', 'forks', 'vmThreads'].map((pool) => ({
    title: `Vitest, pool \`${pool}\``,
    tool: 'vitest',
    runs: [[bin('vitest/vitest.mjs'), 'run', `--pool=${pool}`]],
  })),
  { title: 'Piscina', tool: 'piscina', runs: [['piscina.mjs']] },
  {
    title: 'esbuild, inlined',
    prepare: [
      esbuild('require.cjs', 'esbuild/main.cjs', '--loader:.node=copy'),
      esbuild('import.mjs', 'esbuild/main.mjs', '--loader:.node=copy', '--format=esm', BANNER),
    ],
    runs: bundles('esbuild'),
  },
  {
    title: 'esbuild, external',
    prepare: [
      esbuild('require.cjs', 'esbuild-external/main.cjs', '--packages=external'),
      esbuild('import.mjs', 'esbuild-external/main.mjs', '--packages=external', '--format=esm'),
    ],
    runs: bundles('esbuild-external'),
  },
  {
    title: 'rollup, inlined',
    prepare: [[bin('rollup/dist/bin/rollup'), '--config', '--silent']],
    runs: bundles('rollup'),
  },
  {
    title: 'rollup, external',
    env: EXTERNAL,
    prepare: [[bin('rollup/dist/bin/rollup'), '--config', '--silent']],
    runs: bundles('rollup-external'),
  },
  {
    title: 'webpack with node-loader, inlined',
    prepare: [[bin('webpack-cli/bin/cli.js'), '--stats=errors-warnings']],
    runs: bundles('webpack'),
  },
  {
    title: 'webpack, external',
    env: EXTERNAL,
    prepare: [[bin('webpack-cli/bin/cli.js'), '--stats=errors-warnings']],
    runs: bundles('webpack-external'),
  },
  {
    title: 'tsup, inlined but for the addon',
    prepare: [[bin('tsup/dist/cli-default.js'), '--silent']],
    runs: [['out/tsup-cjs/main.js'], ['out/tsup-esm/main.mjs']],
  },
  {
    title: 'tsup, external, as it is by default',
    env: EXTERNAL,
    prepare: [[bin('tsup/dist/cli-default.js'), '--silent']],
    runs: [['out/tsup-external-cjs/main.js'], ['out/tsup-external-esm/main.mjs']],
  },
  {
    title: 'Vite, for the server',
    prepare: [
      [
        bin('vite/bin/vite.js'),
        'build',
        '--ssr',
        'import.mjs',
        '--outDir',
        'out/vite',
        '--logLevel=error',
      ],
    ],
    runs: [['out/vite/import.mjs']],
  },
]

/**
 * A package manager, which installs into an empty folder.
 *
 * @typedef {object} Installer
 * @property {string} title
 * @property {string} binary path in the tools' node_modules, of a program or of a script for Node.js
 * @property {string[]} args
 * @property {Record<string, string>} [files] settings, by name
 * @property {boolean} [fromRegistry] whether it installs from a registry only
 * @property {string[]} [runner] arguments before the program's, for what needs more than Node.js
 */

const YARN = '@yarnpkg/cli-dist/bin/yarn.js'
const yarnSettings = (nodeLinker) => ({
  'yarn.lock': '',
  '.yarnrc.yml': JSON.stringify({
    nodeLinker,
    enableImmutableInstalls: false,
    enableTelemetry: false,
  }),
})

/** @type {Installer[]} */
export const INSTALLERS = [
  { title: 'npm', args: ['install'] },
  { title: 'pnpm', binary: 'pnpm/bin/pnpm.mjs', args: ['install'] },
  {
    title: 'Yarn, `node-modules`',
    binary: YARN,
    args: ['install'],
    files: yarnSettings('node-modules'),
  },
  {
    title: "Yarn, Plug'n'Play",
    binary: YARN,
    args: ['install'],
    files: yarnSettings('pnp'),
    runner: [YARN, 'node'],
  },
  { title: 'Bun', binary: '@oven/bun-linux-x64/bin/bun', args: ['install'] },
  {
    title: 'Deno',
    binary: '@deno/linux-x64-glibc/deno',
    args: ['install', '--node-modules-dir=auto'],
    fromRegistry: true,
  },
]

const node16 = { module: 'node16' }
const nodenext = { module: 'nodenext' }
const ES_MODULE = ['user.mts']
const COMMONJS = ['user.ts', 'user.cts']

/**
 * How a program in TypeScript sees modules, and the files that it then consists of. `range` are the versions that are known to
 * read it.
 */
export const TYPE_SETTINGS = [
  {
    title: '`commonjs`, resolution `node10`',
    options: { module: 'commonjs', moduleResolution: 'node10', esModuleInterop: true },
    files: ['user.ts'],
    range: '<6.0.0',
  },
  { title: '`node16`, an ES module', options: node16, files: ES_MODULE },
  { title: '`node16`, CommonJS', options: node16, files: COMMONJS, range: '>=5.3.0' },
  { title: '`nodenext`, an ES module', options: nodenext, files: ES_MODULE },
  { title: '`nodenext`, CommonJS', options: nodenext, files: COMMONJS, range: '>=5.3.0' },
  {
    title: '`esnext`, resolution `bundler`',
    options: { module: 'esnext', moduleResolution: 'bundler' },
    files: ['user.ts'],
  },
]

export const TYPESCRIPTS = ['5.2', '5.4', '5.9', '6', '7']

/** With TypeScript's DOM library and without. */
export const LIBRARIES = [['esnext'], ['esnext', 'dom']]

/** Settings that TypeScript's own commands read from files. */
export const writeTypeScriptSettings = (folder) => {
  const write = (name, value) => writeFileSync(join(folder, name), JSON.stringify(value))
  const common = { target: 'es2022', lib: ['esnext'], types: ['node'], strict: true }
  const commonjs = {
    ...common,
    module: 'commonjs',
    moduleResolution: 'node10',
    esModuleInterop: true,
  }
  write('tsconfig.json', { compilerOptions: { ...common, module: 'node16' } })
  write('tsconfig.commonjs.json', {
    compilerOptions: { ...commonjs, outDir: 'out/tsc' },
    files: ['user.ts'],
  })
}

export const versionOf = (folder, name) =>
  JSON.parse(readFileSync(join(folder, 'node_modules', name, 'package.json'), 'utf8'))
