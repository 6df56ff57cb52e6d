// The class that users see: the heap's methods, and how a memory becomes one. Accessors, views and Atomics come from
// the classes below it in lib/, what the heap does from lib/heap.js.

import { checkAddress, checkAddressOf } from './lib/address.js'
import { checkDebug, DEBUG_BY_DEFAULT } from './lib/debug-heap.js'
import { allocArray } from './lib/disposable.js'
import { bufferOf } from './lib/engine.js'
import { checkInteger, checkSize, invalidArgType, MAX_BYTES, outOfRange } from './lib/errors.js'
import { areasOf } from './lib/heap-map.js'
import { Heap } from './lib/heap.js'
import { importsOf } from './lib/imports.js'
import { inspectMemory } from './lib/inspect.js'
import { checkName } from './lib/names.js'
import { withNewBlock } from './lib/new-block.js'
import { giveHeapOf } from './lib/placing.js'
import { openHeap } from './lib/session.js'
import { sharedMemory } from './lib/shared.js'
import { checkStorage, placeBytes, prepareStorage, storageOf } from './lib/storage.js'
import { StringMemory } from './lib/strings.js'
import { ThreadCache } from './lib/thread-cache.js'

const PAGE = 65_536
const DEFAULT_ALIGN = 16
const MAX_ALIGN = 65_536
const MAX_PAGES = 65_536

const isObject = (value) => typeof value === 'object' || typeof value === 'function'

const checkAlign = (alignBytes) => {
  checkInteger('alignBytes', alignBytes, 1, MAX_ALIGN, 'bytes')
  if ((alignBytes & (alignBytes - 1)) !== 0) {
    throw outOfRange('alignBytes', `a power of two from 1 to ${MAX_ALIGN} bytes`, alignBytes)
  }
}

const checkPointer = (ptr) => checkInteger('ptr', ptr, 0, MAX_BYTES, 'bytes')

const checkHeapBase = (heapBase, byteLength) => {
  if (heapBase !== undefined) checkInteger('heapBase', heapBase, 0, byteLength, 'bytes')
}

// malloc and free, when the block does not come from what this thread keeps, or does not go there.
const allocate = (heap, byteLength, alignBytes) => {
  if (alignBytes === DEFAULT_ALIGN) {
    const ptr = heap.cache.popOlder(byteLength)
    if (ptr !== 0) return ptr
  }
  checkSize('byteLength', byteLength)
  checkAlign(alignBytes)
  return heap.malloc(byteLength, alignBytes)
}

const release = (heap, ptr) => {
  if (heap.cache.pushNewer(ptr)) return
  checkPointer(ptr)
  if (ptr !== 0) heap.free(ptr)
}

/** A memory that `from` received, the heap in it and the class that it is to have, until the constructor takes them. */
let received

const takeReceived = (Class) => {
  if (received?.Class !== Class) return undefined
  const taken = received
  received = undefined
  return taken
}

// Whatever a constructor of a subclass does, and gives to `super`, it becomes that memory, or `from` throws.
const construct = (Class, memory, claim, native) => {
  const outer = received
  received = { Class, memory, claim, native }
  try {
    if (new Class() === memory) return memory
  } finally {
    received = outer
  }
  throw invalidArgType('this', 'a class whose constructor returns what super() made', Class)
}

/** A live block, as allocs() lists it. */
class Allocation {
  #memory

  constructor(memory, byteOffset, byteLength, bufferSize) {
    this.#memory = memory
    /** @type {number} pointer */
    this.byteOffset = byteOffset
    /** @type {number} bytes that were asked for */
    this.byteLength = byteLength
    /** @type {number} bytes that the block takes, header and padding included */
    this.bufferSize = bufferSize
  }

  /** @returns {SharedArrayBuffer} a copy of the block's bytes as they are now */
  get buffer() {
    return this.#memory.sharedArrayBuffer(this.byteOffset, this.byteLength)
  }
}

/**
 * A WebAssembly.Memory with C's malloc, typed accessors, views and Atomics, whose heap every thread of the process
 * can use at once.
 */
export class LocalSharedMemory extends StringMemory {
  /** The default of `initial` in pages of 65,536 bytes, read when a memory is constructed. */
  static devicePageSize = 1000

  /** The class itself, for `const { LocalSharedMemory } = require('local-shared-memory')`: `require` returns the class. */
  static get LocalSharedMemory() {
    return LocalSharedMemory
  }

  /** The class itself, for compilers that make `require('local-shared-memory').default` of an import. */
  static get default() {
    return LocalSharedMemory
  }

  #cache = new ThreadCache()
  #heap

  static {
    giveHeapOf((memory) => memory.#heap)
  }

  /**
   * Takes what WebAssembly.Memory takes, or three arguments.
   *
   * @param {number | object} [initial] pages of 65,536 bytes; or a WebAssembly.Memory descriptor, which may also hold
   * `heapBase`: the first byte that the heap may use, by default all of the memory is the heap's; `storage`: 'native' or
   * 'engine', by default native where that works; and `debug`: whether the memory is in debug mode, by default when the
   * environment variable LSM_DEBUG was 1 when the package was loaded
   * @param {number} [maximum] pages that the memory may grow to; by default `initial`
   * @param {boolean} [shared] whether other threads can have the memory; by default true
   * @throws {TypeError | RangeError} as WebAssembly.Memory does
   * @throws {TypeError} ERR_INVALID_ARG_TYPE when `heapBase` is not a number, or `debug` not a boolean
   * @throws {RangeError} ERR_OUT_OF_RANGE when `heapBase` is not a byte offset up to the initial size, `storage`
   * not a kind of storage, or `address` not 'i32'
   * @throws {Error} ERR_STORAGE_UNAVAILABLE when `storage` is 'native' and that cannot be had
   */
  constructor(initial = LocalSharedMemory.devicePageSize, maximum = initial, shared = true) {
    const existing = takeReceived(new.target)
    if (existing !== undefined) {
      super(undefined, existing.memory)
      this.#heap = new Heap(this, this.#cache, existing.claim, existing.native)
      return
    }
    const request = readDescriptor(isObject(initial) ? initial : { initial, maximum, shared })
    if (request !== null) prepareStorage(request)
    super(request)
    this.#heap = claimHeap(this, this.#cache, request)
  }

  /**
   * Gives this class to a memory that came from another thread: the same bytes, the same heap. The constructor of a subclass is
   * called without arguments.
   *
   * @param {WebAssembly.Memory} memory as it was received; it is the object that is returned
   * @param {object} [options]
   * @param {number} [options.heapBase] the first byte that the heap may use, for a memory that has no heap yet
   * @param {boolean} [options.debug] whether it must be in debug mode; a memory that others have open is as it is for them
   * @returns {LocalSharedMemory}
   * @throws {TypeError} ERR_INVALID_ARG_TYPE when it is not a memory or is frozen, `heapBase` not a number, `debug` not a
   * boolean, or the constructor returns something else
   * @throws {RangeError} ERR_OUT_OF_RANGE when `heapBase` lies outside the memory, or the memory has 64-bit addresses
   * @throws {Error} ERR_NOT_A_HEAP when the memory holds something else, ERR_ADDON_MISMATCH when another version of the package
   * has it open or made its heap, ERR_DEBUG_UNAVAILABLE when it must be in debug mode
   * and is in use without it; it is left as it was
   */
  static from(memory, { heapBase, debug } = {}) {
    if (isObject(memory) && memory !== null && #heap in memory) return memory
    const bytes = bytesOf(memory)
    if (!Object.isExtensible(memory)) {
      throw invalidArgType('memory', 'a memory that can get a prototype: it is frozen', memory)
    }
    checkAddressOf(memory)
    checkHeapBase(heapBase, bytes.length)
    checkDebug(debug)
    const initial = bytes.length / PAGE
    const claim = { heapBase, initial, maximum: MAX_PAGES, madeHere: false, debug }
    return construct(this, memory, claim, openHeap(memory, bytes, claim))
  }

  /**
   * The memory of a name: the same one each time, and in every worker that is started afterwards. It is made when this thread
   * has none of that name, and lives as long as the thread.
   *
   * @param {string} name 1 to 256 characters
   * @param {object} [options] the constructor's descriptor, for when the memory is made; `initial` is by default
   * `devicePageSize`, `maximum` is `initial`, and `shared` is true; and `create`: false when it must have been made before
   * @returns {LocalSharedMemory}
   * @throws {TypeError | RangeError} as WebAssembly.Memory does
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE when the name has another length, `shared` is false, or as the constructor does
   * @throws {Error} ERR_UNKNOWN_NAME when there is none and `create` is false, ERR_STORAGE_UNAVAILABLE
   */
  static shared(name, options = {}) {
    return sharedMemory(this, name, options)
  }

  /**
   * Allocates a block. Its bytes are not cleared. The memory grows when it has to.
   *
   * @param {number} byteLength 1 to 2^32 - 1 bytes
   * @param {number} [alignBytes] a power of two from 1 to 65,536: the pointer is a multiple of it
   * @returns {number} pointer: the byte offset of the block, never 0
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE, ERR_OUT_OF_MEMORY
   */
  malloc(byteLength, alignBytes = DEFAULT_ALIGN) {
    const ptr = alignBytes === 16 ? this.#cache.pop(byteLength) : 0
    return ptr === 0 ? allocate(this.#heap, byteLength, alignBytes) : ptr
  }

  /**
   * Allocates a block of `count` times `byteLength` bytes, all zero.
   *
   * @param {number} count
   * @param {number} [byteLength] bytes
   * @param {number} [alignBytes] a power of two from 1 to 65,536
   * @returns {number} pointer
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE, also when the product is above 2^32 - 1; ERR_OUT_OF_MEMORY
   */
  calloc(count, byteLength = 1, alignBytes = DEFAULT_ALIGN) {
    checkInteger('count', count, 1, MAX_BYTES, 'elements')
    checkSize('byteLength', byteLength)
    checkSize('count * byteLength', count * byteLength)
    checkAlign(alignBytes)
    const total = count * byteLength
    const make = () => this.malloc(total, alignBytes)
    const use = (ptr) => {
      this.memset(ptr, 0, total)
      return ptr
    }
    return withNewBlock(this, make, use)
  }

  /**
   * Allocates an array that frees its block when it is disposed of, as `using` does at the end of its scope. It is disposed
   * of once: calls after the first do nothing.
   *
   * @param {TypedArrayConstructor} TypedArray
   * @param {number | Iterable | ArrayLike} source length in elements, or the values
   * @returns {TypedArray & Disposable} live view; its byteOffset is the pointer. Disposing throws ERR_INVALID_POINTER when
   * the block was freed by its pointer
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE, ERR_OUT_OF_MEMORY
   */
  alloc(TypedArray, source) {
    return allocArray(this, TypedArray, source)
  }

  /**
   * Changes the length of a block, in place if that can be done, else by moving it to one with the default
   * alignment. The bytes up to the smaller length are kept.
   *
   * @param {number} ptr pointer; 0 makes a new block
   * @param {number} byteLength 1 to 2^32 - 1 bytes
   * @returns {number} pointer; the old one is no longer valid unless it is the same
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE, ERR_OUT_OF_MEMORY; the block is as it was
   * @throws {Error} ERR_INVALID_POINTER, ERR_HEAP_CORRUPTED
   */
  realloc(ptr, byteLength) {
    const moved = this.#cache.realloc(ptr, byteLength)
    if (moved !== 0) return moved
    checkPointer(ptr)
    checkSize('byteLength', byteLength)
    return ptr === 0 ? this.malloc(byteLength) : this.#heap.realloc(ptr, byteLength)
  }

  /**
   * Frees a block, whichever thread made it.
   *
   * @param {number} ptr pointer; 0 does nothing
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE
   * @throws {Error} ERR_INVALID_POINTER, ERR_HEAP_CORRUPTED
   */
  free(ptr) {
    if (!this.#cache.push(ptr)) release(this.#heap, ptr)
  }

  /**
   * @param {number} ptr pointer
   * @returns {number} the bytes that were asked for
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE
   * @throws {Error} ERR_INVALID_POINTER, ERR_HEAP_CORRUPTED
   */
  sizeof(ptr) {
    checkPointer(ptr)
    return this.#heap.sizeof(ptr)
  }

  /**
   * @param {number} ptr pointer
   * @returns {number} the bytes that the block takes, header and padding included
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE
   * @throws {Error} ERR_INVALID_POINTER, ERR_HEAP_CORRUPTED
   */
  lengthof(ptr) {
    checkPointer(ptr)
    return this.#heap.lengthof(ptr)
  }

  /**
   * Gives a block a name that all threads find it by.
   *
   * @param {string} name 1 to 256 characters
   * @param {number} ptr pointer to a live block; 0 takes the name away
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE
   * @throws {Error} ERR_INVALID_POINTER, ERR_HEAP_CORRUPTED
   */
  setRoot(name, ptr) {
    checkName(name)
    checkPointer(ptr)
    this.#heap.setRoot(name, ptr)
  }

  /**
   * @param {string} name 1 to 256 characters
   * @returns {number | undefined} the pointer that was last given that name, in whichever thread; undefined when there is
   * none. The block may have been freed since
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE
   */
  getRoot(name) {
    checkName(name)
    const ptr = this.#heap.getRoot(name)
    return ptr === 0 ? undefined : ptr
  }

  /**
   * Lists the live blocks of all threads, ascending. Each one's `buffer` is copied when it is read.
   *
   * @returns {Allocation[]}
   * @throws {Error} ERR_HEAP_CORRUPTED
   */
  allocs() {
    const blocks = this.#heap.blocks()
    const allocations = []
    for (let at = 0; at < blocks.length; at += 3) {
      allocations.push(new Allocation(this, blocks[at], blocks[at + 1], blocks[at + 2]))
    }
    return allocations
  }

  /**
   * What the bytes are used for. All in bytes, but for the number of blocks.
   *
   * @returns {{ byteLength: number, usedBytes: number, requestedBytes: number, freeBytes: number,
   *   cachedBytes: number, largestFreeBlock: number, blockCount: number }}
   * @throws {Error} ERR_HEAP_CORRUPTED
   */
  stats() {
    return this.#heap.stats()
  }

  /**
   * What each range of the memory is used for: all of it, ascending, without gaps.
   *
   * @returns {import('./index.js').HeapArea[]}
   * @throws {Error} ERR_HEAP_CORRUPTED
   */
  heapMap() {
    return areasOf(this.#heap.map())
  }

  /** @returns {number} the bytes that live blocks take, headers and padding included */
  get length() {
    return this.#heap.stats().usedBytes
  }

  /**
   * Gives the pages of free blocks back to the operating system. They stay part of the memory.
   *
   * @returns {number} the bytes that were resident until now
   * @throws {Error} ERR_HEAP_CORRUPTED
   */
  trim() {
    return this.#heap.trim()
  }

  /**
   * Looks at the whole heap and lists everything that was written over: the heap's records, headers, and in debug mode
   * what lies behind live blocks and in blocks that were freed a while ago.
   *
   * @returns {import('./index.js').HeapFault[]} empty when nothing is wrong; 10,000 at the most
   */
  check() {
    return this.#heap.check()
  }

  /**
   * Lists the live blocks in groups by thread and stack that made them, the most bytes first. Blocks that were not made in
   * debug mode form one group without these.
   *
   * @returns {import('./index.js').Leak[]}
   * @throws {Error} ERR_HEAP_CORRUPTED
   */
  leaks() {
    return this.#heap.leaks()
  }

  /**
   * The memory and C's malloc, free, calloc, realloc, aligned_alloc, posix_memalign and malloc_usable_size over its heap,
   * for the import object of a module. Each thread makes its own.
   *
   * They fail as in C, with NULL, or ENOMEM and EINVAL; but ERR_INVALID_POINTER, ERR_HEAP_CORRUPTED and a pointer outside
   * the memory are thrown, through the module, to whoever called it.
   *
   * @returns {import('./index.js').LibcImports}
   */
  imports() {
    return importsOf(this)
  }

  /** What util.inspect shows: the storage and the heap in numbers. */
  [Symbol.for('nodejs.util.inspect.custom')](depth, options, inspect) {
    return inspectMemory(this, depth, options, inspect)
  }

  /** @returns {'native' | 'engine'} who allocated the bytes: Rust or V8 */
  get storage() {
    return storageOf(this)
  }
}

// What a descriptor says, each property read and converted once and in the engine's own order, so that the engine
// and the heap go by the same numbers whatever getters and valueOf do.
const readDescriptor = (source) => {
  if (source === null) return source
  const { address } = source
  checkAddress(address)
  const initial = stable(source.initial)
  const maximum = stable(source.maximum)
  const { shared, heapBase, storage, debug } = source
  checkStorage(storage)
  checkDebug(debug)
  return { address, initial, maximum, shared, heapBase, storage, debug }
}

const stable = (value) => (isObject(value) ? +value : value)

const bytesOf = (memory) => {
  try {
    return new Uint8Array(bufferOf(memory))
  } catch (cause) {
    throw invalidArgType('memory', 'a WebAssembly.Memory', memory, cause)
  }
}

const toPages = (value) => Math.trunc(Number(value))

// A heap that shares its memory, or is in debug mode, is opened at once, so that other threads find out.
const claimHeap = (
  memory,
  cache,
  { initial: pages, maximum = MAX_PAGES, shared, heapBase, storage, debug },
) => {
  const initial = toPages(pages)
  checkHeapBase(heapBase, initial * PAGE)
  const claim = { heapBase, initial, maximum: toPages(maximum), madeHere: true, debug }
  if (storage !== 'engine') placeBytes(memory, { storage, shared, maximum: claim.maximum })
  const early = heapBase !== undefined || debug || DEBUG_BY_DEFAULT
  const native = early ? openHeap(memory, bytesOf(memory), claim) : undefined
  return new Heap(memory, cache, claim, native)
}

export default LocalSharedMemory
export { LocalSharedMemory as 'module.exports' }
