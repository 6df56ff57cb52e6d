// The memory itself and the views over its bytes. Every view that the package keeps is made here, and made again
// here when the memory has grown; nothing in this file reads or writes a byte.

import binding from '../native/binding.js'
import { Bulk } from './bulk.js'
import { bufferOf, EngineMemory, grow, isShared } from '../base/engine.js'
import { invalidArgType, outOfRange } from '../base/errors.js'
import { nameUnshared } from './unshared.js'

const { Float16Array } = globalThis

/** As many as WebAssembly's addresses of 32 bits reach. */
export const MAX_PAGES = 65_536

/** No accessor is wider than this, in bytes. */
const WIDEST = 8

/**
 * One view of each kind over a buffer. Lengths are given outright, so that the views over a growable buffer are
 * of the same kind, for the compiler, as those over any other.
 */
class Views {
  constructor(buffer) {
    const { byteLength } = buffer
    this.buffer = buffer
    this.byteLength = byteLength
    // The last offset at which every accessor may use `data` unasked; 0 when the buffer may be detached.
    this.limit = isShared(buffer) ? Math.max(byteLength - WIDEST, 0) : 0
    this.data = new DataView(buffer, 0, byteLength)
    this.i8 = new Int8Array(buffer, 0, byteLength)
    this.u8 = new Uint8Array(buffer, 0, byteLength)
    this.u8c = new Uint8ClampedArray(buffer, 0, byteLength)
    this.i16 = new Int16Array(buffer, 0, byteLength / 2)
    this.u16 = new Uint16Array(buffer, 0, byteLength / 2)
    this.i32 = new Int32Array(buffer, 0, byteLength / 4)
    this.u32 = new Uint32Array(buffer, 0, byteLength / 4)
    this.i64 = new BigInt64Array(buffer, 0, byteLength / 8)
    this.u64 = new BigUint64Array(buffer, 0, byteLength / 8)
    this.f16 = Float16Array && new Float16Array(buffer, 0, byteLength / 2)
    this.f32 = new Float32Array(buffer, 0, byteLength / 4)
    this.f64 = new Float64Array(buffer, 0, byteLength / 8)
    // A Buffer, and what copies, once someone needs them.
    this.bytes = undefined
    this.bulk = undefined
  }

  /** @returns the view of that type over the whole memory; undefined when it is no typed array constructor */
  of(TypedArray) {
    if (TypedArray === Int32Array) return this.i32
    if (TypedArray === Uint8Array) return this.u8
    if (TypedArray === Uint32Array) return this.u32
    if (TypedArray === BigInt64Array) return this.i64
    if (TypedArray === BigUint64Array) return this.u64
    if (TypedArray === Float64Array) return this.f64
    if (TypedArray === Float32Array) return this.f32
    if (TypedArray === Int16Array) return this.i16
    if (TypedArray === Uint16Array) return this.u16
    if (TypedArray === Int8Array) return this.i8
    if (TypedArray === Uint8ClampedArray) return this.u8c
    if (TypedArray !== undefined && TypedArray === Float16Array) return this.f16
    return undefined
  }
}

// So that no setter is called which someone planted on Object.prototype.
Object.setPrototypeOf(Views.prototype, null)

/** What a memory has until its first access: constructing stays cheap, and the first access refreshes. */
const NO_VIEWS = new Views(new SharedArrayBuffer(0))

/** A new WebAssembly.Memory, or one that exists already and becomes an instance of the class under construction. */
export class Memory extends EngineMemory {
  /**
   * @param {WebAssembly.MemoryDescriptor} descriptor what WebAssembly.Memory takes
   * @param {WebAssembly.Memory} [existing] a plain memory to adopt instead; it can be adopted once
   * @throws {TypeError | RangeError} WebAssembly.Memory's own errors for a descriptor that it refuses
   */
  constructor(descriptor, existing) {
    if (existing !== undefined) {
      if (!isShared(bufferOf(existing))) nameUnshared(existing)
      return Object.setPrototypeOf(existing, new.target.prototype)
    }
    try {
      super(descriptor)
    } catch (error) {
      // The engine has collected what nobody can reach, but the native side still keeps the bytes of such memories.
      if (binding.sweepHeaps() === 0) throw error
      super(descriptor)
    }
    if (!descriptor.shared) nameUnshared(this)
  }
}

/**
 * The cached views of a memory, which may be older than its last growth.
 *
 * @type {(memory: Pages) => Views}
 */
export let viewsOf

/**
 * The cached DataView, and the last offset at which every accessor may use it unasked.
 *
 * @type {(memory: Pages) => DataView}
 */
export let dataOf

/** @type {(memory: Pages) => number} */
export let limitOf

/** @type {(memory: Pages) => void} grows a memory as far as other processes have grown theirs */
let growAlong

/**
 * Notes who knows what other processes do with a memory: `growAlong()`, and what peerOf is for.
 *
 * @type {(memory: Pages, peer: () => object) => void}
 */
export let shareWith

/** For each buffer of a memory that other processes have too, who reaches them. */
const peers = new WeakMap()

/**
 * Who reaches the other processes that have the bytes of a buffer, with `wait` and `wake`, and with `undoCutShort` what killed ones
 * have left; undefined when there are none.
 *
 * @param {SharedArrayBuffer} buffer
 * @returns {object | undefined}
 */
export const peerOf = (buffer) => peers.get(buffer)?.()

/**
 * Makes the views again if the memory has grown since they were made.
 *
 * @type {(memory: Pages) => boolean} true when it had
 */
export let refresh

/**
 * The same, when what another thread grew must be seen now. The engine takes note of that growth at its next interrupt
 * check, which may be a moment after the other thread's message; growing by nothing makes it look. That has a price in
 * every thread, so it is for an access that would be refused otherwise, and a buffer that it would detach is left alone.
 *
 * @param {Pages} memory
 * @returns {boolean} true when the views are new
 */
export const refreshNow = (memory) => {
  if (isShared(bufferOf(memory))) growToo(memory)
  return refresh(memory)
}

// By what other processes have grown a memory that several have: none grows it for another one. Another thread may have done
// so, which growing by nothing tells. If the engine refuses, that is all.
const growToo = (memory) => {
  grow.call(memory, 0)
  growAlong(memory)
}

/** A WebAssembly.Memory that keeps views over its own bytes. */
export class Pages extends Memory {
  #views = NO_VIEWS
  // Two of the views' fields once more: one load less is a third of what an accessor adds to a DataView's own work.
  #data = NO_VIEWS.data
  #limit = NO_VIEWS.limit

  static {
    growAlong = (memory) => peerOf(memory.#views.buffer)?.growAlong()

    shareWith = (memory, peer) => {
      refresh(memory)
      peers.set(memory.#views.buffer, peer)
    }

    viewsOf = (memory) => memory.#views
    dataOf = (memory) => memory.#data
    limitOf = (memory) => memory.#limit

    refresh = (memory) => {
      const buffer = bufferOf(memory)
      const views = memory.#views
      if (buffer === views.buffer && buffer.byteLength === views.byteLength) return false
      const renewed = new Views(buffer)
      renewed.bulk = views.bulk
      memory.#views = renewed
      memory.#data = renewed.data
      memory.#limit = renewed.limit
      const peer = peers.get(views.buffer)
      if (peer !== undefined) peers.set(buffer, peer)
      return true
    }
  }
}

/**
 * What copies and fills bytes of a memory.
 *
 * @param {Pages} memory
 * @param {Views} views those of the memory
 * @returns {Bulk}
 */
export const bulkOf = (memory, views) => (views.bulk ??= new Bulk(memory, isShared(views.buffer)))

/**
 * The cached views' bytes with the methods that a Buffer alone has.
 *
 * @param {Pages} memory
 * @returns {Buffer} the whole memory
 */
export const nodeBufferOf = (memory) => {
  const views = viewsOf(memory)
  return (views.bytes ??= Buffer.from(views.buffer, 0, views.byteLength))
}

const covers = (views, offset, byteLength) =>
  Number.isInteger(offset) && offset > 0 && offset <= views.u8.length - byteLength

/**
 * Checks that a range of bytes lies inside the memory and does not start at null.
 *
 * @param {Pages} memory
 * @param {unknown} offset bytes
 * @param {number} byteLength bytes
 * @param {string} [name] of the offset, for the message
 * @returns {Views} views that cover the range
 * @throws {TypeError} ERR_INVALID_ARG_TYPE when the offset is not a number
 * @throws {RangeError} ERR_OUT_OF_RANGE when the range is not inside the memory
 */
export const viewsCovering = (memory, offset, byteLength, name) => {
  const views = viewsOf(memory)
  return covers(views, offset, byteLength) ? views : renewCovering(memory, offset, byteLength, name)
}

const renewCovering = (memory, offset, byteLength, name = 'offset') => {
  if (typeof offset !== 'number') throw invalidArgType(name, 'a number', offset)
  for (const renew of [refresh, refreshNow]) {
    if (renew(memory) && covers(viewsOf(memory), offset, byteLength)) return viewsOf(memory)
  }
  const last = viewsOf(memory).byteLength - byteLength
  throw last > 0
    ? outOfRange(name, `from 1 to ${last}, with ${byteLength} bytes inside the memory`, offset)
    : outOfRange('byteLength', `less than the ${last + byteLength} bytes of the memory`, byteLength)
}
