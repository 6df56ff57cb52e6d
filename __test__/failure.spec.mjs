// What a call that fails, or that its thread does not live to finish, leaves behind: every block as it was, and every
// page the heap's.

import test from 'ava'
import LocalSharedMemory from '../index.js'
import { launch, reportsOf, within } from './fixtures/launch.mjs'
import { PAGE } from './fixtures/pages.mjs'
import { intact, stamp } from './fixtures/pattern.mjs'
import { checkAllocs } from './fixtures/shadow.mjs'

const RECORDS = { first: 4, end: 1024 }
const DAMAGE = 1 << 20
const FAULTS = new Set(['ERR_HEAP_CORRUPTED', 'ERR_INVALID_POINTER'])

const listOf = (memory) => memory.allocs().map((block) => [block.byteOffset, block.byteLength])

/** Blocks of each kind: of a span that threads keep, of one that they do not, and one with units of its own. */
const KINDS = {
  small: (memory) => memory.malloc(200),
  aligned: (memory) => memory.malloc(1000, 512),
  large: (memory) => memory.malloc(40_000),
}

for (const [kind, take] of Object.entries(KINDS)) {
  test(`a realloc in a damaged heap that cannot free the old block keeps it, and no other: ${kind}`, (t) => {
    let failures = 0
    for (let word = RECORDS.first; word < RECORDS.end; word++) {
      const memory = new LocalSharedMemory(8)
      const around = Array.from({ length: 3 }, () => take(memory))
      const ptr = take(memory)
      take(memory)
      for (const block of around) memory.free(block)
      const byteLength = memory.sizeof(ptr)
      stamp(memory, ptr, byteLength, 1)
      memory.free(memory.malloc(90_000))
      const before = listOf(memory)
      memory.xor(Uint32Array, word, DAMAGE)
      let code
      try {
        memory.realloc(ptr, 90_000)
      } catch (error) {
        ;({ code } = error)
      }
      memory.xor(Uint32Array, word, DAMAGE)
      if (code === undefined) continue
      failures++
      t.true(FAULTS.has(code), code)
      t.deepEqual(listOf(memory), before, `word ${word}`)
      t.true(intact(memory, ptr, byteLength, 1))
    }
    t.true(failures > 10, `${failures} failures`)
  })
}

const initialOf = (round) => 1 + (round % 2)

/** Pages that the heap has, as far as can be seen: tables take up to a quarter of a small heap. */
const checkPages = (t, memory, foreignPages) => {
  const { byteLength, usedBytes, freeBytes, cachedBytes } = memory.stats()
  const grown = byteLength - foreignPages * PAGE
  t.true(usedBytes + freeBytes + cachedBytes > grown * 0.75, `of ${grown} bytes`)
}

const PLACES = { 'in grown pages': 2 * PAGE, 'in pages of its own': PAGE }

for (const [place, heapBase] of Object.entries(PLACES)) {
  for (const first of [0, 100]) {
    test(`pages that a thread grew when it ended are the heap’s, ${place}, ${first} bytes live`, async (t) => {
      const memory = new LocalSharedMemory({ initial: 2, maximum: 200, shared: true, heapBase })
      const byteLength = 20 * PAGE
      const { end } = launch('interrupted-worker.mjs', { memory, byteLength, first })
      const { code, error } = await within(30_000, 'the end', end)
      t.deepEqual({ code, error }, { code: 9, error: undefined })
      memory.grow(0)
      const grown = memory.buffer.byteLength
      // The block and the heap's records lie between these.
      t.true(grown > heapBase + byteLength)
      t.is(memory.stats().blockCount, first === 0 ? 0 : 1)
      t.is(memory.sizeof(memory.malloc(byteLength)), byteLength)
      t.is(memory.buffer.byteLength, grown)
    })
  }
}

test.serial('threads that grow the memory before it has a heap lose no pages', async (t) => {
  const [threads, rounds, blocks] = [4, 40, 20]
  const memories = Array.from({ length: rounds }, (_, round) => {
    const initial = initialOf(round)
    const descriptor = { initial, maximum: 60, shared: true, heapBase: initial * PAGE }
    return new LocalSharedMemory(descriptor)
  })
  const gate = new SharedArrayBuffer(rounds * 4)
  const launched = Array.from({ length: threads }, (_, index) =>
    launch('first-worker.mjs', { gate, threads, index, blocks, memories }),
  )
  const reports = await reportsOf(60_000, launched)
  for (const [round, memory] of memories.entries()) {
    memory.grow(0)
    const all = reports.flatMap((pointers) => pointers[round])
    t.deepEqual(
      memory.allocs().map(({ byteOffset }) => byteOffset),
      all.toSorted((a, b) => a - b),
    )
    checkAllocs(memory.allocs(), memory.buffer.byteLength)
    checkPages(t, memory, initialOf(round))
  }
})
