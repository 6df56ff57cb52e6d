// Records the calls of malloc, free and realloc of a program as a trace:
//
//   node benchmark/record/record.js NAME PROGRAM ARGUMENT…     writes traces/NAME.trace.gz
//
// Needs Linux with glibc and a C compiler. A trace ends after MOST_CALLS calls.

import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'

const MOST_CALLS = 600_000
const WORDS_OF_RECORD = 4
const [MALLOC, FREE] = [0, 1]

/** Pointers become numbers, those of freed blocks again as soon as they can. */
const number = (records) => {
  const ids = new Map()
  const unused = []
  const calls = []
  let next = 0
  const enter = (pointer) => {
    const id = unused.pop() ?? next++
    ids.set(pointer, id)
    return id
  }
  const leave = (pointer) => {
    const id = ids.get(pointer)
    ids.delete(pointer)
    return id
  }
  for (let at = 0; at < records.length && calls.length < 3 * MOST_CALLS; at += WORDS_OF_RECORD) {
    const [call, pointer, size, earlier] = records.subarray(at, at + WORDS_OF_RECORD)
    // A heap's blocks have at least a byte.
    const byteLength = Math.max(Number(size), 1)
    if (Number(call) === MALLOC) {
      calls.push(MALLOC, enter(pointer), byteLength)
    } else if (Number(call) === FREE) {
      const id = leave(pointer)
      if (id === undefined) continue
      unused.push(id)
      calls.push(FREE, id, 0)
    } else {
      const id = leave(earlier)
      if (id === undefined) {
        calls.push(MALLOC, enter(pointer), byteLength)
      } else {
        ids.set(pointer, id)
        calls.push(2, id, byteLength)
      }
    }
  }
  return new Uint32Array(calls)
}

const [name, program, ...args] = process.argv.slice(2)
const folder = mkdtempSync(join(tmpdir(), 'record-'))
const recorder = join(folder, 'recorder.so')
const source = fileURLToPath(new URL('recorder.c', import.meta.url))
execFileSync('cc', ['-O2', '-shared', '-fPIC', '-o', recorder, source])
const TRACE = join(folder, 'trace')
spawnSync(program, args, {
  env: { ...process.env, LD_PRELOAD: recorder, TRACE },
  stdio: ['inherit', 'ignore', 'inherit'],
})
const bytes = readFileSync(TRACE)
const words = new BigUint64Array(
  bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length),
)
const calls = number(words)
writeFileSync(new URL(`../traces/${name}.trace.gz`, import.meta.url), gzipSync(calls, { level: 9 }))
console.log(`${name}: ${calls.length / 3} calls`)
rmSync(folder, { recursive: true })
