// A new block until its caller has it: whatever is thrown in between, the block is freed. A thread that is at the end of
// its stack may fail at that too, at any call; then the block is kept in mind, which calls nothing, and freed later.

import { isOutOfStack } from './errors.js'

/** Blocks that are still to be freed, the last one first: { heap, ptr, next }. */
let pending = null
/** Whether this thread is at it: every call of a heap comes here first, those that free them too. */
let isFreeing = false

/** Frees what could not be freed before, if there is more room on the stack now. */
export const freePending = () => {
  if (isFreeing) return
  isFreeing = true
  try {
    freeAll()
  } finally {
    isFreeing = false
  }
}

const freeAll = () => {
  while (pending !== null) {
    const block = pending
    pending = block.next
    try {
      block.heap.free(block.ptr)
    } catch (error) {
      // Kept in mind before anything is called: there may be no room for that either.
      block.next = pending
      pending = block
      if (isOutOfStack(error)) return
      pending = block.next
    }
  }
}

/**
 * @template T
 * @param {{ free(ptr: number): void }} heap that the block is from
 * @param {() => number} make allocates the block; 0 when there is none
 * @param {(ptr: number) => T} use what is done with it; nothing is called any more once that has returned
 * @returns {T | 0} what `use` returns; 0 when there is no block
 * @throws what `make` or `use` throws
 */
export const withNewBlock = (heap, make, use) => {
  if (pending !== null) freePending()
  // Made while there is no block yet: at the end of the stack the engine may refuse a literal, too.
  const block = { heap, ptr: 0, next: null }
  const ptr = make()
  if (ptr === 0) return 0
  try {
    return use(ptr)
  } catch (error) {
    block.ptr = ptr
    block.next = pending
    pending = block
    freePending()
    throw error
  }
}
