// What the engine makes of a program's loop and of the memory in it, as it tells itself.

import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, open, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import test from 'ava'

const LOOP = fileURLToPath(new URL('fixtures/hot-loop.mjs', import.meta.url))
const FIELDS = fileURLToPath(new URL('fixtures/fast-memory.mjs', import.meta.url))
const INLINED = /SharedFunctionInfo (\S+)>\} into \S+ \{\S+ <SharedFunctionInfo hotLoop>/g

// In a file: what the engine writes to a pipe is lost when that is full.
const traceOf = async (directory) => {
  const path = join(directory, 'trace')
  const file = await open(path, 'w')
  const child = spawn(process.execPath, ['--trace-turbo-inlining', LOOP], {
    stdio: ['ignore', file.fd, 'inherit'],
  })
  await once(child, 'close')
  await file.close()
  return readFile(path, 'utf8')
}

test('a loop has malloc and free in it and nothing else, whatever other heaps had to do without the cache', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'inlining-'))
  t.teardown(() => rm(directory, { recursive: true }))
  const trace = await traceOf(directory)
  const inlined = new Set(Array.from(trace.matchAll(INLINED), ([, name]) => name))
  t.deepEqual([...inlined].toSorted(), ['free', 'malloc', 'pop', 'push'])
})

test('no memory has so many fields that they have to be searched for, shared or not, extended or not', async (t) => {
  const options = ['--allow-natives-syntax', FIELDS]
  const { stdout } = await promisify(execFile)(process.execPath, options)
  t.deepEqual(JSON.parse(stdout), [true, true, true, true])
})
