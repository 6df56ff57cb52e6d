// What the native side answers when it refuses a call, as typed errors.

import binding from './binding.js'
import { describe, storyOf } from './debug-heap.js'
import {
  addonMismatch,
  heapBusy,
  heapClosed,
  heapCorrupted,
  internalError,
  invalidPointer,
  notAHeap,
  outOfMemory,
  withFacts,
} from '../base/errors.js'

/** The numbers that stand for faults, all below 0. */
export const { Fault } = binding

const POINTER_FAULTS = new Map([
  [Fault.NeverAllocated, 'it was never allocated'],
  [Fault.InsideBlock, 'it lies inside a block, not at its start'],
  [Fault.AlreadyFreed, 'it was freed before'],
  [Fault.FreedTwice, 'a block that was freed before it was freed by two threads at the same time'],
])

const MEMORY_FAULTS = new Map([
  [Fault.NotAHeap, () => notAHeap('The first 65536 bytes of the memory hold something else')],
  [
    Fault.OtherBuild,
    () => addonMismatch('The heap in the memory belongs to another version of local-shared-memory'),
  ],
  [Fault.OutOfMemory, () => outOfMemory('There is no room for what is known of the heap')],
  [Fault.TooManyNames, () => outOfMemory('There is no room for another name')],
  [Fault.Busy, heapBusy],
  [Fault.Closed, heapClosed],
  [Fault.Internal, () => internalError('A fault of local-shared-memory itself: please report it')],
])

const damageNear = (ptr) =>
  ptr === undefined
    ? 'The records of the heap were written over'
    : `The records of the heap, or a header, near the block at byte ${ptr} were written over`

const plainError = (fault, ptr) => {
  if (POINTER_FAULTS.has(fault)) return invalidPointer(ptr, POINTER_FAULTS.get(fault))
  return MEMORY_FAULTS.get(fault)?.() ?? heapCorrupted(damageNear(ptr))
}

// The same when debug mode knows more.
const toldError = (fault, ptr, finding) => {
  const { message, ...facts } = finding.kind === undefined ? finding : describe(finding)
  const why = POINTER_FAULTS.get(fault)
  const error =
    why === undefined
      ? heapCorrupted(message ?? damageNear(ptr) + storyOf(finding))
      : invalidPointer(ptr, why + storyOf(finding))
  return withFacts(error, facts)
}

/**
 * @param {number} fault
 * @param {number} [ptr] pointer that the call was about
 * @param {object | null} [finding] what debug mode can tell
 * @returns {Error} ERR_INVALID_POINTER, ERR_HEAP_CORRUPTED, ERR_HEAP_BUSY, ERR_HEAP_CLOSED, or ERR_INTERNAL when the fault is not
 * the user's; for a heap that could not be opened or made ERR_NOT_A_HEAP, ERR_ADDON_MISMATCH or ERR_OUT_OF_MEMORY
 */
export const errorOf = (fault, ptr, finding) =>
  finding ? toldError(fault, ptr, finding) : plainError(fault, ptr)
