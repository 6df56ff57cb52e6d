// The native allocators: a child process that stays alive and runs one round for each line it gets.

import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { nativeProgram } from './built.js'

// mimalloc would give its pages back while it waits for the next round, and pay for them again; no
// other contender does.
const env = { ...process.env, MIMALLOC_PURGE_DELAY: '-1' }
const child = spawn(nativeProgram, { stdio: ['pipe', 'pipe', 'inherit'], env })
const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
const answer = async () => JSON.parse((await answers.next()).value)
const versions = await answer()

const folder = mkdtempSync(join(tmpdir(), 'native-streams-'))
const paths = new WeakMap()
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

let files = 0

function pathOf(words) {
  if (!paths.has(words)) {
    const path = join(folder, `${files++}.bin`)
    writeFileSync(path, words)
    paths.set(words, path)
  }
  return paths.get(words)
}

const native = (name, allocator, version) => ({
  name,
  version,
  language: 'native',
  locking: 'any thread',
  sizeOf: 'usable',
  /**
   * Runs one round in the child process.
   * @returns {Promise<number>} nanoseconds
   */
  async runNatively(kernel, { script, sizes, live }, ops, threads = 0) {
    const words = [allocator, kernel, ops, live, threads, pathOf(script), pathOf(sizes)]
    child.stdin.write(`${words.join(' ')}\n`)
    return (await answer()).nanoseconds
  },
})

const nothing = { locking: '', sizeOf: '', alignment: '', lacks: { threads: 'no heap' } }
const dotted = (number) => [number / 10_000, (number / 100) % 100, number % 100].map(Math.floor)

/** Native mimalloc, native glibc, and the native kernels without any allocator. */
export const contenders = [
  native('mimalloc (native)', 'mimalloc', dotted(versions.mimalloc).join('.')),
  native('glibc (native)', 'glibc', versions.glibc),
  { ...native('empty loop (native)', 'nothing', ''), ...nothing },
]

/** Ends the child process. */
export const close = () => child.stdin.end()
