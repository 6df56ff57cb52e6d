// Growing a memory whose heap is full.

import { grow } from '../base/engine.js'
import { Fault } from '../native/faults.js'

// Before there is a heap.
const growAlone = (memory, pages) => {
  try {
    return grow.call(memory, pages)
  } catch {
    return -1
  }
}

// Another thread may have grown the memory, and added pages, further up.
const addPages = (heap, first, end) => heap.answerOf((native) => native.addPages(first, end))

// A memory of no pages: its first one is where the heap can be opened.
const growFirst = (heap) => {
  const first = growAlone(heap.memory, 1)
  if (first < 0) return 0
  heap.attach()
  addPages(heap, first, first + 1)
  return 1
}

/**
 * Makes room for a block.
 *
 * @param {import('./session.js').Session} heap
 * @param {number} byteLength bytes
 * @param {number} alignBytes a power of two
 * @returns {boolean} whether another attempt is worth it
 */
export const growFor = (heap, byteLength, alignBytes) => {
  const native = heap.current()
  const pages = native === undefined ? growFirst(heap) : native.grow(byteLength, alignBytes)
  return pages !== Fault.OutOfMemory && (heap.catchUp() || pages > 0)
}

/**
 * Makes room behind a block that is the last of the memory.
 *
 * @param {import('./session.js').Session} heap
 * @param {number} ptr pointer
 * @param {number} byteLength bytes that the block is to have
 * @returns {boolean} whether the memory has grown
 */
export const growBehind = (heap, ptr, byteLength) =>
  heap.current().growBehind(ptr, byteLength) > 0 && heap.attach()
