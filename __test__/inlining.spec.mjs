// What the engine makes of a program's loop and of the memory in it, as it tells itself.

import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, open, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import test from 'ava'

const FIELDS = fileURLToPath(new URL('fixtures/fast-memory.mjs', import.meta.url))
const INLINED = /SharedFunctionInfo (\S+)>\} into \S+ \{\S+ <SharedFunctionInfo hotLoop>/g

// By way of a file: what the engine writes to a pipe is lost when that is full.
const traceOf = async (t, flags, fixture) => {
  const directory = await mkdtemp(join(tmpdir(), 'trace-'))
  t.teardown(() => rm(directory, { recursive: true }))
  const file = await open(join(directory, 'trace'), 'w+')
  const path = fileURLToPath(new URL(`fixtures/${fixture}`, import.meta.url))
  const child = spawn(process.execPath, [...flags, path], { stdio: ['ignore', file.fd, 'inherit'] })
  const [code] = await once(child, 'close')
  t.is(code, 0)
  await file.close()
  return readFile(join(directory, 'trace'), 'utf8')
}

test('a loop has malloc and free in it and nothing else, whatever other heaps had to do without the cache', async (t) => {
  const trace = await traceOf(t, ['--trace-turbo-inlining'], 'hot-loop.mjs')
  const inlined = new Set(Array.from(trace.matchAll(INLINED), ([, name]) => name))
  t.deepEqual([...inlined].toSorted(), ['free', 'malloc', 'pop', 'push'])
})

test('a loop of accesses need not be compiled again when one of them is where the memory has grown', async (t) => {
  const trace = await traceOf(t, ['--trace-opt', '--trace-deopt'], 'hot-access.mjs')
  t.regex(trace, /completed optimizing .*hotLoop/)
  t.notRegex(trace, /Insufficient type feedback.*hotLoop/i)
})

test('no memory has so many fields that they have to be searched for, shared or not, extended or not', async (t) => {
  const options = ['--allow-natives-syntax', FIELDS]
  const { stdout } = await promisify(execFile)(process.execPath, options)
  t.deepEqual(JSON.parse(stdout), [true, true, true, true])
})
