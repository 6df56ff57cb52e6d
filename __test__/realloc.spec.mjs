// Where realloc moves large blocks: into pages that another thread has just grown, which this thread's views do not show yet, and to
// where a block can go on growing.

import test from 'ava'
import LocalSharedMemory from '../index.js'
import { Pages, refresh, viewsOf } from '../lib/pages.js'
import { realloc } from '../lib/realloc.js'
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
    cache: { isSmall: () => false, popSmall: () => 0, keep: () => false },
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
