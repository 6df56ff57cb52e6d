// What realloc does when the native side has seen more of the memory than this thread's views show, as it happens when
// another thread grows it.

import test from 'ava'
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
    resize: () => false,
    sizeof: () => 100,
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
