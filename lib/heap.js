// The heap behind a memory: opens the native side when it is first needed, grows the memory when the heap is full,
// and turns the native side's faults into typed errors. Arguments have been checked before they come here.

import binding from './binding.js'
import { DEBUG_BY_DEFAULT, describe, storyOf, withCallers } from './debug-heap.js'
import { debugUnavailable, heapCorrupted, invalidPointer, notAHeap, outOfMemory } from './errors.js'
import { bufferOf, refresh, refreshNow, viewsOf } from './pages.js'

const { Fault } = binding

const WHOLE_MEMORY = -1
const DEFAULT_ALIGN = 16
const REST_AFTER_MS = 100
const HEADER = 8
const QUICK = 0
const EXHAUSTIVE = 1
const SOME_SEEN = 0
const ALL_SEEN = 1

const POINTER_FAULTS = new Map([
  [Fault.NeverAllocated, 'it was never allocated'],
  [Fault.InsideBlock, 'it lies inside a block, not at its start'],
  [Fault.AlreadyFreed, 'it was freed before'],
  [Fault.FreedTwice, 'a block that was freed before it was freed by two threads at the same time'],
])

const stale = () => Fault.Stale
const onePage = () => 1
const growAlone = (memory, grow, pages) => {
  try {
    return grow.call(memory, pages)
  } catch {
    return Fault.OutOfMemory
  }
}

/** Stands in for the native side until there is one. */
const UNOPENED = {
  malloc: stale,
  free: stale,
  resize: stale,
  sizeof: stale,
  lengthof: stale,
  refill: stale,
  leastGrowth: onePage,
  usualGrowth: onePage,
  grow: growAlone,
}

/**
 * What a thread claims to know of a memory when it opens the heap in it.
 *
 * @typedef {object} Claim
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
 * @param {Claim} claim
 * @returns {object} the native functions; those of a memory without bytes always ask to be opened later
 * @throws {Error} ERR_NOT_A_HEAP when the memory holds something else, ERR_DEBUG_UNAVAILABLE when it must be in debug mode
 * and is not
 */
export const openHeap = (memory, bytes, claim) => {
  if (bytes.length === 0) return UNOPENED
  const { heapBase = WHOLE_MEMORY, initial, maximum, madeHere, debug } = claim
  const kept = keeperOf(memory, bytes)
  const wished = debug ?? DEBUG_BY_DEFAULT
  const native = binding.openHeap(kept, heapBase, initial, maximum, madeHere, wished)
  if (native === null) throw notAHeap('The first 65536 bytes of the memory hold something else')
  if (debug && !native.debug) throw debugUnavailable('The memory is in use without debug mode')
  return native
}

// The native side keeps the buffer that it is given. A memory's own buffer refers back to the memory, which would then
// never be collected; that of a clone has the same bytes and does not. It may be longer, if another thread grows the
// memory at this moment, so only what was seen of it is shown.
const keeperOf = (memory, bytes) =>
  bytes.buffer instanceof SharedArrayBuffer
    ? new Uint8Array(bufferOf(structuredClone(memory)), 0, bytes.length)
    : bytes

const growMemory = WebAssembly.Memory.prototype.grow

/** One thread's access to the heap in a memory. */
export class Heap {
  #memory
  #claim
  #native = UNOPENED
  #cache
  #seenBytes = 0
  #restless = false

  /**
   * @param {import('./pages.js').Pages} memory
   * @param {import('./thread-cache.js').ThreadCache} cache what this thread keeps of the heap
   * @param {Claim} claim
   * @param {object} [native] what openHeap returned; by default the heap is opened when it is first needed
   */
  constructor(memory, cache, claim, native = UNOPENED) {
    this.#memory = memory
    this.#cache = cache
    this.#claim = claim
    if (native === UNOPENED) return
    this.#use(native)
    this.#attach()
  }

  /**
   * @param {number} byteLength bytes
   * @param {number} alignBytes a power of two
   * @returns {number} pointer
   * @throws {RangeError} ERR_OUT_OF_MEMORY
   */
  malloc(byteLength, alignBytes) {
    for (;;) {
      const ptr = this.#attempt(byteLength, alignBytes)
      if (ptr > 0) return ptr
      if (this.#grow(byteLength, alignBytes)) continue
      const last = this.#current().malloc(byteLength, alignBytes, EXHAUSTIVE)
      if (last > 0) return last
      if (last === Fault.OutOfMemory || this.#native === UNOPENED) throw this.#full(byteLength)
      this.#recover(last)
    }
  }

  /** @param {number} ptr pointer */
  free(ptr) {
    const fault = this.#release(ptr)
    if (fault < 0) this.#recover(fault, ptr)
  }

  /**
   * @param {number} ptr pointer
   * @param {number} byteLength bytes
   * @returns {number} pointer to the block, elsewhere if it had to move
   * @throws {RangeError} ERR_OUT_OF_MEMORY; the block is as it was
   */
  realloc(ptr, byteLength) {
    const sizeClass = this.#cache.classOf(ptr)
    if (sizeClass >= 0 && this.#cache.resize(ptr, sizeClass, byteLength)) return ptr
    if (sizeClass < 0 && this.#resize(ptr, byteLength, false)) return ptr
    const before = this.sizeof(ptr)
    let moved = this.#cache.pop(byteLength) || this.#attempt(byteLength, DEFAULT_ALIGN)
    if (moved === 0) {
      if (sizeClass < 0 && this.#extend(ptr, byteLength)) return ptr
      try {
        moved = this.malloc(byteLength, DEFAULT_ALIGN)
      } catch (error) {
        if (this.#resize(ptr, byteLength, true)) return ptr
        throw error
      }
    }
    viewsOf(this.#memory).u8.copyWithin(moved, ptr, ptr + Math.min(before, byteLength))
    if (!this.#cache.push(ptr)) this.#giveUp(ptr, before, moved)
    return moved
  }

  /**
   * @param {number} ptr pointer
   * @returns {number} the bytes that were asked for
   */
  sizeof(ptr) {
    if (this.#cache.classOf(ptr) >= 0) return this.#cache.byteLengthOf(ptr)
    let answer
    while ((answer = this.#current().sizeof(ptr)) < 0) this.#recover(answer, ptr)
    return answer
  }

  /**
   * @param {number} ptr pointer
   * @returns {number} the bytes that the block takes, header and padding included
   */
  lengthof(ptr) {
    const sizeClass = this.#cache.classOf(ptr)
    if (sizeClass >= 0) return this.#cache.strideOf(sizeClass)
    let answer
    while ((answer = this.#current().lengthof(ptr)) < 0) this.#recover(answer, ptr)
    return answer
  }

  /**
   * @param {string} name
   * @param {number} ptr pointer to a live block, 0 to take the name away
   */
  setRoot(name, ptr) {
    if (ptr !== 0) this.sizeof(ptr)
    if (!this.#ready()) return
    let answer
    while ((answer = this.#current().setRoot(name, ptr)) < 0) this.#recover(answer, ptr)
  }

  /**
   * @param {string} name
   * @returns {number} pointer; 0 when there is none of that name
   */
  getRoot(name) {
    return this.#ready() ? this.#native.getRoot(name) : 0
  }

  /** @returns {Uint32Array} pointer, sizeof and lengthof of each live block, ascending */
  blocks() {
    if (!this.#ready()) return new Uint32Array(0)
    let answer
    while (typeof (answer = this.#current().blocks()) === 'number') this.#recover(answer)
    return answer
  }

  /** @returns {Float64Array} eight numbers for each area of the memory, as lib/heap-map.js reads them */
  map() {
    this.#attach()
    if (this.#native === UNOPENED) return new Float64Array(0)
    let answer
    while (typeof (answer = this.#current().map()) === 'number') this.#recover(answer)
    return answer
  }

  /** @returns what LocalSharedMemory.stats() returns */
  stats() {
    let figures = new Float64Array(6)
    if (this.#ready()) {
      while (typeof (figures = this.#current().stats()) === 'number') this.#recover(figures)
    }
    const [usedBytes, requestedBytes, freeBytes, cachedBytes, largestFreeBlock, blockCount] =
      figures
    return {
      byteLength: bufferOf(this.#memory).byteLength,
      usedBytes,
      requestedBytes,
      freeBytes,
      cachedBytes,
      largestFreeBlock,
      blockCount,
    }
  }

  /** @returns {number} the bytes that were given back to the operating system */
  trim() {
    if (!this.#ready()) return 0
    let answer
    while ((answer = this.#current().trim()) < 0) this.#recover(answer)
    return answer
  }

  /** @returns {object[]} what LocalSharedMemory.leaks() returns */
  leaks() {
    if (!this.#ready()) return []
    let answer
    while (typeof (answer = this.#current().leaks()) === 'number') this.#recover(answer)
    return answer
  }

  /** @returns {object[]} what LocalSharedMemory.check() returns */
  check() {
    if (!this.#ready()) return []
    let answer = this.#current().check(SOME_SEEN)
    while (answer === Fault.Stale && this.#catchUp()) answer = this.#current().check(SOME_SEEN)
    if (answer === Fault.Stale) answer = this.#current().check(ALL_SEEN)
    return answer.map(describe)
  }

  // Takes note of the memory's length, and opens the heap if that was not done. Returns whether anything was new.
  #attach() {
    refresh(this.#memory)
    const { u8, i32 } = viewsOf(this.#memory)
    if (u8.length === this.#seenBytes) return false
    if (this.#native === UNOPENED) this.#use(openHeap(this.#memory, u8, this.#claim))
    else this.#native.refresh(u8)
    this.#cache.refresh(i32, this.#native.liveBlocks())
    this.#seenBytes = u8.length
    return true
  }

  // The same when what another thread grew must be seen now.
  #catchUp() {
    if (this.#attach()) return true
    refreshNow(this.#memory)
    return this.#attach()
  }

  #use(native) {
    this.#native = native.debug ? withCallers(native, () => this.#current()) : native
    if (native.cache !== undefined) this.#cache.open(native.cache)
  }

  // Allocates without growing the memory; 0 when there is no room.
  #attempt(byteLength, alignBytes) {
    const sizeClass = alignBytes <= DEFAULT_ALIGN ? this.#cache.classFor(byteLength) : -1
    for (;;) {
      const native = this.#current()
      if (sizeClass >= 0 && native.refill(sizeClass) > 0) {
        if (this.#cache.large) this.#restSoon()
        const kept = this.#cache.pop(byteLength)
        if (kept !== 0) return kept
      }
      const ptr = native.malloc(byteLength, alignBytes, QUICK)
      if (ptr > 0) return ptr
      if (ptr === Fault.OutOfMemory) return 0
      if (ptr === Fault.Stale && this.#catchUp()) continue
      if (this.#native === UNOPENED) return 0
      throw this.#errorOf(ptr)
    }
  }

  // A busy thread keeps more than an idle one: when it comes to rest, the rest is given back.
  #restSoon() {
    if (this.#restless) return
    this.#restless = true
    const rest = () => {
      this.#restless = false
      while (this.#current().rest() === Fault.Stale && this.#catchUp());
    }
    setTimeout(rest, REST_AFTER_MS).unref()
  }

  // Grows the memory so that a large block at its end can be resized where it is.
  #extend(ptr, byteLength) {
    const pages = this.#native.growthToExtend(ptr, byteLength)
    return this.#growBy(pages) && this.#resize(ptr, byteLength, false)
  }

  // Frees a block. Returns a fault of other blocks that was met on the way, if any.
  #release(ptr) {
    const sizeClass = this.#cache.classOf(ptr)
    if (this.#cache.keeps(sizeClass)) {
      const answer = this.#current().makeRoom(sizeClass)
      if (this.#cache.large) this.#restSoon()
      if (this.#cache.push(ptr)) return answer
    }
    let answer
    while ((answer = this.#current().free(ptr)) < 0) this.#recover(answer, ptr)
    return 0
  }

  // Frees the block that realloc moved from. On any fault the block stays, and the one that it moved to goes.
  #giveUp(ptr, byteLength, moved) {
    let released = false
    try {
      const fault = this.#release(ptr)
      released = true
      if (fault < 0) this.#recover(fault, ptr)
    } catch (error) {
      if (released) this.#takeBack(ptr, byteLength)
      this.free(moved)
      throw error
    }
  }

  // Makes the block that went into the cache last live again.
  #takeBack(ptr, byteLength) {
    const { u32 } = viewsOf(this.#memory)
    const header = (ptr - HEADER) / 4
    this.#cache.pop(u32[header + 1] - HEADER)
    u32[header] = byteLength
  }

  // A memory that is not shared loses its old buffer when it grows: nothing native may look at that one again.
  #current() {
    if (viewsOf(this.#memory).u8.length !== this.#seenBytes) this.#attach()
    return this.#native
  }

  #ready() {
    return this.#native !== UNOPENED || this.#attach()
  }

  #resize(ptr, byteLength, stay) {
    let answer
    while ((answer = this.#current().resize(ptr, byteLength, stay ? 1 : 0)) < 0) {
      if (answer === Fault.MustMove) return false
      this.#recover(answer, ptr)
    }
    return true
  }

  // Returns when the call is worth another try: the memory had grown since this thread last looked.
  #recover(fault, ptr) {
    if (fault === Fault.Stale && this.#catchUp()) return
    throw this.#errorOf(this.#native === UNOPENED ? Fault.NeverAllocated : fault, ptr)
  }

  #errorOf(fault, ptr) {
    const finding = this.#native.takeFinding?.()
    return finding ? toldError(fault, ptr, finding) : faultError(fault, ptr)
  }

  #grow(byteLength, alignBytes) {
    const grown =
      this.#growBy(this.#native.usualGrowth(byteLength, alignBytes)) ||
      this.#growBy(this.#native.leastGrowth(byteLength, alignBytes))
    return grown || this.#catchUp()
  }

  #growBy(pages) {
    if (!(pages > 0)) return false
    const native = this.#native
    const first = native.grow(this.#memory, growMemory, pages)
    if (first < 0) return false
    this.#attach()
    const added = native !== UNOPENED && bufferOf(this.#memory) instanceof SharedArrayBuffer
    if (added) return true
    // Another thread may have grown the memory, and added pages, further up.
    const end = first + pages
    while (this.#native.addPages(first, end) === Fault.Stale && this.#catchUp());
    return true
  }

  #full(byteLength) {
    const { freeBytes, largestFreeBlock } = this.stats()
    return outOfMemory(
      `Cannot allocate ${byteLength} bytes: ${freeBytes} bytes are free, ${largestFreeBlock} in one piece, ` +
        'and the memory cannot grow',
    )
  }
}

const faultError = (fault, ptr) =>
  POINTER_FAULTS.has(fault)
    ? invalidPointer(ptr, POINTER_FAULTS.get(fault))
    : heapCorrupted(
        ptr === undefined
          ? 'The records of the heap were written over'
          : `The records of the heap, or a header, near the block at byte ${ptr} were written over`,
      )

// The same when debug mode knows more.
const toldError = (fault, ptr, finding) => {
  const { message, ...facts } = finding.kind === undefined ? finding : describe(finding)
  const why = POINTER_FAULTS.get(fault)
  const error =
    why === undefined
      ? heapCorrupted(message ?? faultError(fault, ptr).message + storyOf(finding))
      : invalidPointer(ptr, why + storyOf(finding))
  return Object.assign(error, facts)
}
