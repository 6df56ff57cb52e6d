// A heap as this thread has it open: opens the native side when it is first needed, keeps it and the cache at the
// memory's present length, and asks again when another thread's growth came in between. A memory without bytes has no
// native side yet.

import binding from '../native/binding.js'
import { DEBUG_BY_DEFAULT, withCallers } from '../native/debug-heap.js'
import { bufferOf, cloneOf, getBuffer, grow, isShared } from '../base/engine.js'
import { debugUnavailable, outOfMemory } from '../base/errors.js'
import { errorOf, Fault } from '../native/faults.js'
import { CLOSED, nativeOf } from '../native/native.js'
import { freePending } from '../base/new-block.js'
import { refresh, refreshNow, shareWith, viewsOf } from '../pages/pages.js'

const WHOLE_MEMORY = -1
const BEHIND = 'The engine cannot grow the memory as far as another process has'

/**
 * What a thread knows of a memory when it opens the heap in it.
 *
 * @typedef {object} OpenOptions
 * @property {number} [heapBase] the first byte that the heap may use; by default all of the memory is the heap's
 * @property {number} initial pages that the memory had when it was made or received
 * @property {number} maximum pages that it may grow to
 * @property {boolean} madeHere whether this thread made the memory
 * @property {boolean} [debug] whether the memory must be in debug mode, or need not be; by default as the environment says
 */

/**
 * Opens the native side of the heap in a memory.
 *
 * @param {WebAssembly.Memory} memory
 * @param {Uint8Array} bytes the whole memory
 * @param {OpenOptions} options
 * @returns {object | undefined} the native functions; undefined for a memory without bytes
 * @throws {Error} ERR_NOT_A_HEAP when the memory holds something else, ERR_ADDON_MISMATCH when another build works on it,
 * ERR_DEBUG_UNAVAILABLE when it must be in debug mode and is not
 * @throws {RangeError} ERR_OUT_OF_MEMORY
 */
export const openHeap = (memory, bytes, options) => {
  if (bytes.length === 0) return undefined
  const { heapBase = WHOLE_MEMORY, initial, maximum, madeHere, debug } = options
  const opened = binding.openHeap(
    keeperOf(memory, bytes),
    { memory, grow, getBuffer },
    { heapBase, initial, maximum, madeHere, debug: debug ?? DEBUG_BY_DEFAULT },
  )
  const native = nativeOf(opened)
  if (debug && !native.debug) throw debugUnavailable('The memory is in use without debug mode')
  return native
}

// The native side keeps the buffer that it is given. A memory's own buffer refers back to the memory, which would then
// never be collected; that of a clone has the same bytes and does not. It may be longer, if another thread grows the
// memory at this moment, so only what was seen of it is shown.
const keeperOf = (memory, bytes) =>
  isShared(bytes.buffer) ? new Uint8Array(bufferOf(cloneOf(memory)), 0, bytes.length) : bytes

/** One thread's access to the native side of a heap. */
export class Session {
  // Fields, which nobody intercepts, as an assignment is by a setter that someone planted on Object.prototype.
  memory
  cache
  /** The native functions, which may have seen less of the memory than there is: `current` gives them caught up. */
  native
  #options
  #seenBytes = 0
  /** Pages of them that the heap may use: in a file all, unless there is no room for them yet. */
  #usablePages = 0

  /**
   * @param {import('../pages/pages.js').Pages} memory
   * @param {import('../cache/large-cache.js').LargeCache} cache what this thread keeps of the heap
   * @param {OpenOptions} options
   * @param {object} [native] what openHeap returned; by default the heap is opened when it is first needed
   */
  constructor(memory, cache, options, native) {
    this.memory = memory
    this.cache = cache
    this.#options = options
    if (native === undefined) return
    this.#use(native)
    this.attach()
  }

  /** @returns {boolean} whether there is a native side, after an attempt to open it */
  ready() {
    freePending()
    return this.native !== undefined || this.attach()
  }

  /** Takes note of the memory's length, and opens the heap if that was not done. Returns whether anything was new. */
  attach() {
    refresh(this.memory)
    const { u8, i32 } = viewsOf(this.memory)
    if (this.native === CLOSED) return false
    // Another process may have made room in the file for more of what this one has already.
    if (u8.length === this.#seenBytes && !this.native?.attached) return false
    if (this.native === undefined) this.#use(openHeap(this.memory, u8, this.#options))
    const pages = this.native.refresh(u8)
    if (u8.length === this.#seenBytes && pages === this.#usablePages) return false
    if (this.cache.isOpen) this.cache.refresh(i32, this.#statesOf(i32))
    this.#seenBytes = u8.length
    this.#usablePages = pages
    return true
  }

  /** The same when what another thread grew must be seen now. */
  catchUp() {
    if (this.attach()) return true
    refreshNow(this.memory)
    return this.attach()
  }

  /** A memory that is not shared loses its old buffer when it grows: nothing native may look at that one again. */
  current() {
    if (viewsOf(this.memory).u8.length !== this.#seenBytes) this.attach()
    return this.native
  }

  /**
   * What the native side answers, asked again for as long as the memory turns out to have grown.
   *
   * @template T
   * @template A
   * @param {(native: object, argument?: A) => T} call
   * @param {A} [argument]
   * @returns {T | number} a number below 0 when it is a fault
   */
  answerOf(call, argument) {
    for (;;) {
      const answer = call(this.current(), argument)
      if (answer !== Fault.Stale || !this.catchUp()) return answer
    }
  }

  /**
   * The same when a fault is an error. Nothing is called once the answer is there: a thread that is near the end of its stack
   * gets to know it.
   *
   * @template T
   * @param {(native: object) => T} call
   * @param {number} [ptr] pointer that the call is about
   * @returns {T}
   * @throws {Error} ERR_INVALID_POINTER, ERR_HEAP_CORRUPTED
   */
  ask(call, ptr) {
    const answer = this.ready() ? this.answerOf(call) : Fault.NeverAllocated
    if (typeof answer === 'number' && answer < 0) throw this.errorOf(answer, ptr)
    return answer
  }

  /** @returns {Error} for a fault, with what debug mode has to tell about it */
  errorOf(fault, ptr) {
    if (fault === Fault.Stale && this.native?.missingPages() > 0) return outOfMemory(BEHIND)
    return errorOf(fault, ptr, this.native === CLOSED ? null : this.native?.takeFinding())
  }

  /** Closes the heap for this thread; what it kept goes back. */
  close() {
    if (this.native === CLOSED) return
    const number = this.native?.number
    this.native = CLOSED
    this.cache.close()
    if (number !== undefined) binding.closeHeap(number)
  }

  // The states of the memory's blocks. Those that are there may be enough, as more are lent than the memory has. In a file there may
  // be no room yet for more.
  #statesOf(words) {
    const { states } = this.cache
    const areEnough = !this.native.attached && states.length >= words.length >>> 2
    return areEnough ? states.buffer : this.native.liveBlocks()
  }

  #use(native) {
    this.native = native.debug ? withCallers(native, () => this.current()) : native
    if (native.cache !== null) this.cache.open(native.cache)
    if (native.attached) shareWith(this.memory, () => this.native)
  }
}
