// Where realloc moves large blocks: into pages that another thread has just grown, which this thread's views do not show yet, and to
// where a block can go on growing; and that they lie where others have lain, not in ever new places.

import test from 'ava'
import LocalSharedMemory from '../index.js'
import { Pages, refresh, viewsOf } from '../lib/pages/pages.js'
import { realloc } from '../lib/heap/realloc.js'
import { PAGE } from './fixtures/pages.mjs'

const [OLD, NEW] = [1024, 3 * PAGE]

/** A heap of large blocks that finds room in pages that the views do not show yet. */
const grownElsewhere = () => {
  const memory = new Pages({ initial: 1, maximum: 8, shared: true })
  refresh(memory)
  const freed = []
  return {
    memory,
    freed,
    cache: { isSmall: () => false, popSmall: () => 0, popPiled: () => 0, keep: () => false },
    resize: () => 100,
    makeRoomFor: () => 0,
    attempt() {
      memory.grow(7)
      return NEW
    },
    release(ptr) {
      freed.push(ptr)
    },
  }
}

test('a block that moves into pages which another thread has just grown takes its bytes along', (t) => {
  const heap = grownElsewhere()
  viewsOf(heap.memory).u8.fill(7, OLD, OLD + 100)
  t.is(realloc(heap, OLD, 200), NEW)
  const moved = new Uint8Array(heap.memory.buffer, NEW, 101)
  t.true(moved.subarray(0, 100).every((byte) => byte === 7))
  t.is(moved[100], 0)
  t.deepEqual(heap.freed, [OLD])
})

test('a block that grows little by little does not move into one free block after the other', (t) => {
  const memory = new LocalSharedMemory(1000)
  const lengths = Array.from({ length: 600 }, (_, index) => 33_000 + 100 * index)
  const blocks = lengths.map((byteLength) => memory.malloc(byteLength))
  for (const ptr of blocks) memory.free(ptr)
  let ptr = memory.malloc(33_000)
  memory.malloc(33_000)
  const places = new Set([ptr])
  for (let byteLength = 33_256; byteLength < 90_000; byteLength += 256) {
    ptr = memory.realloc(ptr, byteLength)
    places.add(ptr)
  }
  t.true(places.size <= 3, `${places.size} places`)
})

test('a block that doubles again and again is always in the same few places', (t) => {
  const memory = new LocalSharedMemory(1000)
  const places = new Set()
  for (let times = 0; times < 100; times++) {
    let ptr = memory.malloc(32_768)
    for (const byteLength of [65_536, 131_072, 262_144]) {
      ptr = memory.realloc(ptr, byteLength)
      places.add(ptr)
    }
    memory.free(ptr)
  }
  t.true(places.size <= 15, `${places.size} places`)
})

const PATTERNS = {
  'large blocks that shrink'(memory, index) {
    const ptr = memory.malloc(500_000)
    memory.free(memory.realloc(ptr, 100_000 + 1000 * (index % 100)))
    return [ptr]
  },
  'large blocks that become small'(memory, index) {
    const ptr = memory.malloc(100_000)
    memory.free(memory.realloc(ptr, 2000 + ((777 * index) % 60_000)))
    return [ptr]
  },
  'blocks that grow little by little beside others that are allocated'(memory) {
    const places = [memory.malloc(30_000)]
    const others = []
    for (let byteLength = 30_500; byteLength < 200_000; byteLength += 500) {
      places.push(memory.realloc(places.at(-1), byteLength))
      others.push(memory.malloc(40))
    }
    for (const ptr of [places.at(-1), ...others]) memory.free(ptr)
    return places
  },
}

for (const [name, use] of Object.entries(PATTERNS)) {
  test(`most of a long memory stays unused: ${name}`, (t) => {
    const memory = new LocalSharedMemory(1000, 1000)
    const places = Array.from({ length: 3000 }, (_, index) => use(memory, index)).flat()
    const farthest = places.reduce((one, other) => Math.max(one, other)) / PAGE
    t.true(farthest < 300, `${farthest} pages`)
  })
}
