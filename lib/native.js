// The native side of a heap as an object: its methods are the native functions, on the heap of the number that these take
// first. The functions are made once for all heaps of a thread, so that opening another costs little.

import binding from './binding.js'

class Native {
  // Declared, so that no setter of a prototype is called.
  opened
  number
  debug
  cache

  constructor(opened) {
    // The heap is open for as long as this object can be reached.
    this.opened = opened
    this.number = opened.number
    this.debug = opened.debug
    this.cache = opened.cache
  }
}

for (const [name, run] of Object.entries(binding.heapFunctions())) {
  const value = function (a, b, c, d, e) {
    return run(this.number, a, b, c, d, e)
  }
  Object.defineProperty(Native.prototype, name, { value })
}

/**
 * @param {object} opened what the native side answered when it opened the heap
 * @returns {object} the native functions as methods; whether the memory is in debug mode; the words of the thread's cache,
 * or null
 */
export const nativeOf = (opened) => new Native(opened)
