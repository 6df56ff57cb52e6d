// realloc: in place where that can be done, else a block elsewhere, the bytes, and only then the old block. Whatever
// fails on the way, the block is as it was.

import { DEFAULT_ALIGN } from '../base/align.js'
import { growBehind } from './growth.js'
import { withNewBlock } from '../base/new-block.js'
import { bulkOf, viewsCovering } from '../pages/pages.js'

// Not in a file, where a process that was killed may have been about to change the block, which the native side undoes; nor in
// debug mode, where the cache is not open and the native side has a record of the block.
const resizedHere = ({ cache, native }, ptr, byteLength) =>
  cache.isOpen && !native.attached && cache.resizeLarge(ptr, byteLength)

// A small block never ends where the memory does.
const extended = (heap, ptr, byteLength) =>
  !heap.cache.isSmall(ptr) &&
  growBehind(heap, ptr, byteLength) &&
  heap.resize(ptr, byteLength, false) === 0

const keptFor = (cache, ptr, byteLength) =>
  cache.popSmall(byteLength) || (cache.isSmall(ptr) ? cache.popPiled(byteLength) : 0)

// A block for the bytes; 0 when the old one has the new length after all.
const placeFor = (heap, ptr, byteLength) => {
  const found =
    keptFor(heap.cache, ptr, byteLength) || heap.attempt(byteLength, DEFAULT_ALIGN, true)
  if (found !== 0) return found
  if (extended(heap, ptr, byteLength)) return 0
  try {
    return heap.malloc(byteLength, DEFAULT_ALIGN, true)
  } catch (error) {
    if (heap.resize(ptr, byteLength, true) === 0) return 0
    throw error
  }
}

// Frees the block that realloc moved from. On any fault, of other blocks too, the block stays.
const giveUp = (heap, ptr) => {
  if (heap.cache.keep(ptr)) return
  const fault = heap.makeRoomFor(ptr)
  if (fault < 0) throw heap.errorOf(fault, ptr)
  heap.release(ptr)
}

const move = (heap, ptr, moved, byteLength, before) => {
  const count = Math.min(before, byteLength)
  // The native side may have seen more of the memory than this thread's views show.
  const views = viewsCovering(heap.memory, moved, byteLength)
  bulkOf(heap.memory, views).memcpy(views.u8, moved, ptr, count)
  giveUp(heap, ptr)
  return moved
}

/**
 * @param {import('./heap.js').Heap} heap
 * @param {number} ptr pointer
 * @param {number} byteLength bytes
 * @returns {number} pointer to the block, elsewhere if it had to move
 * @throws {RangeError} ERR_OUT_OF_MEMORY; the block is as it was
 */
export const realloc = (heap, ptr, byteLength) => {
  if (resizedHere(heap, ptr, byteLength)) return ptr
  // A small block that could stay where it is has done so in the cache.
  const before = heap.cache.isSmall(ptr)
    ? heap.cache.byteLengthOf(ptr)
    : heap.resize(ptr, byteLength, false)
  if (before === 0) return ptr
  const make = () => placeFor(heap, ptr, byteLength)
  const use = (moved) => move(heap, ptr, moved, byteLength, before)
  return withNewBlock(heap, make, use) || ptr
}
