// The native side of a heap as an object: its methods are the native functions, on the heap of the number that these take
// first. The functions are made once for all heaps of a thread, so that opening another costs little.

import binding from './binding.js'
import { errorOf, Fault } from './faults.js'

class Native {
  // Declared, so that no setter of a prototype is called.
  opened
  number
  debug
  attached
  kept
  classBits
  cache

  constructor(opened) {
    // The heap is open for as long as this object can be reached.
    this.opened = opened
    this.number = opened.number
    this.debug = opened.debug
    this.attached = opened.attached
    this.kept = opened.kept
    this.classBits = opened.classBits
    this.cache = opened.cache
  }
}

/** The native functions of a heap that is closed: each refuses. */
export const CLOSED = {}

for (const [name, run] of Object.entries(binding.heapFunctions())) {
  const value = function (a, b, c, d, e) {
    return run(this.number, a, b, c, d, e)
  }
  Object.defineProperty(Native.prototype, name, { value })
  Object.defineProperty(CLOSED, name, { value: () => Fault.Closed })
}

/**
 * @param {object | number} opened what the native side answered when it opened the heap
 * @returns {object} the native functions as methods; whether the memory is in debug mode; the words of the thread's cache,
 * or null
 * @throws {Error} when that was a fault
 */
export const nativeOf = (opened) => {
  if (typeof opened === 'number') throw errorOf(opened)
  return new Native(opened)
}
