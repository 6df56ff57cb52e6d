// Growing a memory whose heap is full.

import { bufferOf, grow, isShared } from './engine.js'

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
  if (first < 0) return false
  heap.attach()
  addPages(heap, first, first + 1)
  return true
}

const growBy = (heap, pages) => {
  if (!(pages > 0)) return false
  const first = heap.native.grow(heap.memory, grow, pages)
  if (first < 0) return false
  heap.attach()
  if (!isShared(bufferOf(heap.memory))) addPages(heap, first, first + pages)
  return true
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
  const grown =
    heap.native === undefined
      ? growFirst(heap)
      : growBy(heap, heap.native.usualGrowth(byteLength, alignBytes)) ||
        growBy(heap, heap.native.leastGrowth(byteLength, alignBytes))
  return grown || heap.catchUp()
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
  growBy(heap, heap.native.growthToExtend(ptr, byteLength))
