// What a memory asks of its heap when this thread's cache does not have it. Arguments have been checked before they
// come here.

import { DEFAULT_ALIGN } from '../base/align.js'
import { describe } from '../native/debug-heap.js'
import { bufferOf, later } from '../base/engine.js'
import { outOfMemory } from '../base/errors.js'
import { Fault } from '../native/faults.js'
import { growFor } from './growth.js'
import { realloc } from './realloc.js'
import { Session } from './session.js'
import { LONGEST_FINE } from '../cache/rows.js'

const REST_AFTER_MS = 100
// How to look for room: quickly; so that a large block that had to move because it grew can grow again where it comes to
// lie; everywhere.
const QUICK = 0
const MOVING = 1
const EXHAUSTIVE = 2
const SOME_SEEN = 0
const ALL_SEEN = 1

/** A length that is served by the class for aligned blocks of `byteLength` bytes; 0 when threads keep none of that class. */
const servedLength = (byteLength, alignBytes) => {
  if (alignBytes <= DEFAULT_ALIGN) return byteLength
  if (byteLength > LONGEST_FINE || alignBytes > LONGEST_FINE) return 0
  const size = (byteLength + 7 + alignBytes) & -alignBytes
  return size <= LONGEST_FINE ? size - 8 : 0
}

/** One thread's access to the heap in a memory. */
export class Heap extends Session {
  #restless = false

  /**
   * @param {number} byteLength bytes
   * @param {number} alignBytes a power of two
   * @param {boolean} [moving] whether the block is for one that has grown
   * @returns {number} pointer
   * @throws {RangeError} ERR_OUT_OF_MEMORY
   */
  malloc(byteLength, alignBytes, moving = false) {
    for (;;) {
      const ptr = this.attempt(byteLength, alignBytes, moving)
      if (ptr !== 0) return ptr
      if (growFor(this, byteLength, alignBytes)) continue
      const last = this.#allocate(byteLength, alignBytes, EXHAUSTIVE)
      if (last !== 0) return last
      throw this.#full(byteLength)
    }
  }

  /** Allocates without growing the memory; 0 when there is no room. */
  attempt(byteLength, alignBytes, moving) {
    const served = servedLength(byteLength, alignBytes)
    if (alignBytes > DEFAULT_ALIGN && served !== 0) {
      const kept = this.cache.popFrom(served, byteLength)
      if (kept !== 0) return kept
    }
    const head = served === 0 ? 0 : this.cache.headForLength(served)
    const fetched = head === 0 ? 0 : this.fetch(head)
    // To ask once more would mean to wait once more.
    if (fetched === Fault.Busy) throw this.errorOf(fetched)
    if (fetched > 0) {
      const kept = this.cache.popFrom(served, byteLength)
      if (kept !== 0) return kept
    }
    const allocated = this.#allocate(byteLength, alignBytes, moving ? MOVING : QUICK)
    try {
      // Others may have come along with a large block.
      this.#restSoon()
    } catch {
      // At the end of the stack: the block would be lost. The next call sees to it.
    }
    return allocated
  }

  /**
   * Fetches blocks for a stack of the cache.
   *
   * @param {number} head of the stack
   * @returns {number} how many it has now; a fault, less than 0, when there are none
   */
  fetch(head) {
    const fetched = this.answerOf((native) => native.refill(head))
    if (fetched > 0) this.#restSoon()
    return fetched
  }

  /**
   * Allocates by another native call than malloc, and grows the memory as malloc does.
   *
   * @param {(native: object, search: number) => number} call
   * @param {number} byteLength bytes
   * @param {number} alignBytes a power of two
   * @returns {number} pointer
   * @throws {RangeError} ERR_OUT_OF_MEMORY
   */
  allocateBy(call, byteLength, alignBytes) {
    for (;;) {
      const ptr = this.#pointerOf(call, QUICK)
      if (ptr !== 0) return ptr
      if (growFor(this, byteLength, alignBytes)) continue
      const last = this.#pointerOf(call, EXHAUSTIVE)
      if (last !== 0) return last
      throw this.#full(byteLength)
    }
  }

  // The first try is written out, here and in release: what asks again as often as it takes costs a tenth of the call.
  #allocate(byteLength, alignBytes, search) {
    const first = this.current()?.malloc(byteLength, alignBytes, search) ?? Fault.Stale
    if (first > 0) return first
    if (first !== Fault.Stale) return this.#noneFor(first)
    return this.#pointerOf((native, how) => native.malloc(byteLength, alignBytes, how), search)
  }

  // What an attempt to allocate gives; 0 when there is no room.
  #pointerOf(call, search) {
    if (!this.ready()) return 0
    const ptr = this.answerOf(call, search)
    return ptr > 0 ? ptr : this.#noneFor(ptr)
  }

  #noneFor(fault) {
    if (fault === Fault.OutOfMemory) return 0
    throw this.errorOf(fault)
  }

  /** @param {number} ptr pointer */
  free(ptr) {
    const fault = this.makeRoomFor(ptr)
    if (fault !== Fault.Busy) this.release(ptr)
    if (fault < 0) throw this.errorOf(fault, ptr)
  }

  /** Lets the cache take a block, if it is of a kind that is kept. Returns a fault of other blocks, 0 if there was none. */
  makeRoomFor(ptr) {
    const head = this.cache.headFor(ptr)
    if (head === 0) return 0
    const fault = this.answerOf((native) => native.makeRoom(head))
    this.#restSoon()
    return fault
  }

  /** Frees a block, by way of the cache if that takes it. */
  release(ptr) {
    if (this.cache.keep(ptr)) return
    const excess = this.cache.excessAt(ptr)
    const first = this.current()?.free(ptr) ?? Fault.Stale
    if (first !== 0) {
      if (first !== Fault.Stale) throw this.errorOf(first, ptr)
      this.ask((native) => native.free(ptr), ptr)
    }
    this.cache.excess -= excess
  }

  /**
   * @param {number} ptr pointer
   * @param {number} byteLength bytes
   * @returns {number} pointer to the block, elsewhere if it had to move
   * @throws {RangeError} ERR_OUT_OF_MEMORY; the block is as it was
   */
  realloc(ptr, byteLength) {
    return realloc(this, ptr, byteLength)
  }

  /**
   * Gives a block another length where it is; `stay` says that even a bad fit is better than to move. Returns 0, or the bytes
   * that were asked for in a block that must move.
   */
  resize(ptr, byteLength, stay) {
    const excess = this.cache.excessAt(ptr)
    const before = this.ask((native) => native.resize(ptr, byteLength, stay ? 1 : 0), ptr)
    // It has as many units as it needs.
    if (before === 0) this.cache.excess -= excess
    return before
  }

  /**
   * @param {number} ptr pointer
   * @returns {number} the bytes that were asked for
   */
  sizeof(ptr) {
    if (this.cache.isSmall(ptr)) return this.cache.byteLengthOf(ptr)
    return this.ask((native) => native.sizeof(ptr), ptr)
  }

  /**
   * @param {number} ptr pointer
   * @returns {number} the bytes that the block takes, header and padding included
   */
  lengthof(ptr) {
    if (this.cache.isSmall(ptr)) return this.cache.bufferSizeOf(ptr)
    return this.ask((native) => native.lengthof(ptr), ptr)
  }

  /**
   * @param {string} name
   * @param {number} ptr pointer to a live block, 0 to take the name away
   */
  setRoot(name, ptr) {
    if (ptr !== 0) this.sizeof(ptr)
    if (this.ready()) this.ask((native) => native.setRoot(name, ptr), ptr)
  }

  /**
   * @param {string} name
   * @returns {number} pointer; 0 when there is none of that name
   */
  getRoot(name) {
    return this.ready() ? this.ask((native) => native.getRoot(name)) : 0
  }

  /** @returns {Uint32Array} pointer, sizeof and lengthof of each live block, ascending */
  blocks() {
    return this.ready() ? this.ask((native) => native.blocks()) : new Uint32Array(0)
  }

  /** @returns {Float64Array} eight numbers for each area of the memory, as lib/heap-map/heap-map.js reads them */
  map() {
    this.attach()
    return this.ready() ? this.ask((native) => native.map()) : new Float64Array(0)
  }

  /** @returns what LocalSharedMemory.stats() returns */
  stats() {
    const figures = new Float64Array(6)
    if (this.ready()) this.ask((native) => native.stats(figures))
    const [usedBytes, requestedBytes, freeBytes, cachedBytes, largestFreeBlock, blockCount] =
      figures
    return {
      byteLength: bufferOf(this.memory).byteLength,
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
    return this.ready() ? this.ask((native) => native.trim()) : 0
  }

  /** @returns {number} the blocks that dead processes kept and that were put back */
  recover() {
    return this.ready() ? this.ask((native) => native.recover()) : 0
  }

  /** @returns {object[]} what LocalSharedMemory.leaks() returns */
  leaks() {
    return this.ready() ? this.ask((native) => native.leaks()) : []
  }

  /** @returns {object[]} what LocalSharedMemory.check() returns */
  check() {
    if (!this.ready()) return []
    const seen = this.answerOf((native) => native.check(SOME_SEEN))
    const found = seen === Fault.Stale ? this.ask((native) => native.check(ALL_SEEN)) : seen
    if (typeof found === 'number') throw this.errorOf(found)
    return found.map(describe)
  }

  // A busy thread keeps more than an idle one: when it comes to rest, the rest is given back.
  #restSoon() {
    if (this.#restless || !this.cache.isOverIdle) return
    const rest = () => {
      this.#restless = false
      this.answerOf((native) => native.rest())
    }
    later(rest, REST_AFTER_MS)
    this.#restless = true
  }

  // How much is free, stats() tells: it looks at every block, which a program that waits for room cannot have each time.
  #full(byteLength) {
    const length = bufferOf(this.memory).byteLength
    const room = this.native?.attached ? "the file's file system" : 'the system'
    return outOfMemory(
      `Cannot allocate ${byteLength} bytes: no free piece of the memory's ${length} bytes is as long, ` +
        `and it cannot grow by as much: that is beyond its \`maximum\`, or ${room} has no more room`,
    )
  }
}
