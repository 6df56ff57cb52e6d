// Runs one build of the addon on every runtime that it is made for: ava's tests and the smoke test on Node.js, the smoke
// test on Bun and Deno. The runtimes come from npm into a cache folder; package.json knows nothing of them.
//
// A runtime that cannot be had is skipped, which the closing table says; one that fails makes this exit with 1.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const CACHE = join(ROOT, 'node_modules/.cache/local-shared-memory-runtimes')
const SMOKE = 'scripts/smoke.mjs'
const AVA = 'node_modules/ava/entrypoints/cli.mjs'
const LATEST_INSTALL = 5 * 60_000
const LATEST_RUN = 15 * 60_000

const { platform, arch } = process
const WINDOWS = platform === 'win32'
const SUFFIX = WINDOWS ? '.exe' : ''
const DENO_LIBC = platform === 'linux' ? '-glibc' : ''

/**
 * A runtime and what is run on it.
 *
 * @typedef {object} Runtime
 * @property {string} title
 * @property {string} source the package that holds the binary
 * @property {string} [range] its versions; the newest of them is taken
 * @property {string} binary path inside the package
 * @property {string[][]} runs arguments of each run
 */

/** @type {(major: number) => Runtime} */
const node = (major) => ({
  title: `Node.js ${major}`,
  source: `node-${WINDOWS ? 'win' : platform}-${arch}`,
  range: `${major}`,
  binary: `bin/node${SUFFIX}`,
  runs: [[SMOKE], [AVA]],
})

/** @type {Runtime[]} */
const RUNTIMES = [
  ...[20, 22, 24, 26].map(node),
  {
    title: 'Bun',
    source: `@oven/bun-${WINDOWS ? 'windows' : platform}-${arch === 'arm64' ? 'aarch64' : arch}`,
    binary: `bin/bun${SUFFIX}`,
    runs: [[SMOKE]],
  },
  {
    title: 'Deno',
    source: `@deno/${platform}-${arch}${DENO_LIBC}`,
    binary: `deno${SUFFIX}`,
    runs: [['run', '--allow-all', SMOKE]],
  },
]

/**
 * Runs a command, shows what it prints, and waits for its end.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {object} options of spawn
 * @returns {Promise<{ fault: string | null, output: string }>} `fault` is the exit code or the signal of a run that did not
 * exit with 0
 */
const run = async (command, args, options) => {
  const child = spawn(command, args, {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'inherit'],
    ...options,
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text) => (output += text))
  child.stdout.pipe(process.stdout)
  const [code, signal] = await once(child, 'close')
  return { fault: code === 0 ? null : (signal ?? `exit code ${code}`), output }
}

/**
 * Installs the newest version of a runtime.
 *
 * @param {Runtime} runtime
 * @returns {Promise<{ version: string, path: string } | null>} null when it cannot be had
 */
const install = async ({ title, source, range = 'latest', binary }) => {
  // A folder for each: npm removes from a folder what the last call did not name.
  const folder = join(CACHE, title.replaceAll(' ', '-'))
  await mkdir(folder, { recursive: true })
  const flags = ['--no-save', '--no-package-lock', '--ignore-scripts', '--prefix', folder]
  const options = { shell: WINDOWS, timeout: LATEST_INSTALL }
  const { fault } = await run('npm', ['install', ...flags, `${source}@${range}`], options)
  if (fault !== null) return null
  const home = join(folder, 'node_modules', source)
  const { version } = JSON.parse(await readFile(join(home, 'package.json'), 'utf8'))
  return { version, path: join(home, binary) }
}

const found = (pattern, outputs) => pattern.exec(outputs)?.[1] ?? '-'

/**
 * @param {Runtime} runtime
 * @returns {Promise<object>} its row of the closing table
 */
const check = async (runtime) => {
  console.log(`\n${runtime.title}`)
  const installed = await install(runtime)
  if (installed === null) return { result: 'SKIPPED: it cannot be had' }
  let outputs = ''
  const faults = []
  for (const args of runtime.runs) {
    // oxlint-disable-next-line no-await-in-loop -- tests that measure time want the machine for themselves
    const { fault, output } = await run(installed.path, args, { timeout: LATEST_RUN })
    outputs += output
    if (fault !== null) faults.push(fault)
  }
  return {
    version: installed.version,
    storage: found(/^storage: (\w+)$/m, outputs),
    tests: found(/(\d+) tests? passed/, outputs),
    result: faults.length > 0 ? `FAILED: ${faults.join(', ')}` : 'passed',
  }
}

const table = {}
for (const runtime of RUNTIMES) {
  // oxlint-disable-next-line no-await-in-loop -- one after the other, as above
  table[runtime.title] = await check(runtime)
}
console.table(table)
process.exitCode = Object.values(table).some(({ result }) => result.startsWith('FAILED')) ? 1 : 0
