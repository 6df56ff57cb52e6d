// The memory with a heap in it: blocks by their pointers, and what there is to know and to do about all of them. index.d.ts
// says what each method takes, returns and throws.

import { checkAlign, DEFAULT_ALIGN } from '../base/align.js'
import { outOfLine } from '../base/engine.js'
import { checkInteger, checkSize, MAX_BYTES } from '../base/errors.js'
import { areasOf } from '../heap-map/heap-map.js'
import { Heap } from '../heap/heap.js'
import { checkName } from '../base/names.js'
import { bulkOf, Pages, viewsOf } from '../pages/pages.js'
import { CLASS_BITS, KEPT, NO_ROWS, NO_STATES, NO_WORDS } from '../cache/rows.js'
import { storageOf } from '../pages/storage.js'
import { threadCacheFor } from '../cache/thread-cache.js'

const checkPointer = (ptr) => checkInteger('ptr', ptr, 0, MAX_BYTES, 'bytes')

// malloc and free, when the block does not come from what this thread keeps, or does not go there.
const allocate = outOfLine((heap, byteLength, alignBytes) => {
  if (alignBytes === DEFAULT_ALIGN) {
    const ptr = heap.cache.popOlder(byteLength) || heap.cache.popLonger(byteLength)
    if (ptr !== 0) return ptr
  }
  checkSize('byteLength', byteLength)
  checkAlign(alignBytes)
  return heap.malloc(byteLength, alignBytes)
})

const release = outOfLine((heap, ptr) => {
  if (heap.cache.pushNewer(ptr)) return
  checkPointer(ptr)
  if (ptr !== 0) heap.free(ptr)
})

// A move of more than a few words within the cache. Before the heap is open there are no views of this memory.
const moveInCache = (memory, { cache }, ptr, byteLength) => {
  if (!cache.isOpen) return 0
  const views = viewsOf(memory)
  return cache.realloc(ptr, byteLength, bulkOf(memory, views), views.u8)
}

// realloc, when the cache cannot do it with a few words.
const reallocate = outOfLine((memory, ptr, byteLength) => {
  const heap = heapOf(memory)
  const moved = moveInCache(memory, heap, ptr, byteLength)
  if (moved !== 0) return moved
  checkPointer(ptr)
  checkSize('byteLength', byteLength)
  return ptr === 0 ? memory.malloc(byteLength) : heap.realloc(ptr, byteLength)
})

/**
 * The heap of a memory.
 *
 * @type {(memory: BlockMemory) => Heap}
 */
export let heapOf

/** @type {(value: object) => boolean} whether a value is a memory with a heap, whatever its prototype */
export let hasHeap

/** The pages with a heap. */
export class BlockMemory extends Pages {
  #heap
  // What its cache has, once more: one load less on the way to a block is up to a tenth of a malloc and a free. With many more
  // fields than these V8 would make a table of the memory, and a subclass wants some, too.
  #words = NO_WORDS
  #rows = NO_ROWS
  #states = NO_STATES
  #lasting = 0

  static {
    heapOf = (memory) => memory.#heap
    hasHeap = (value) => #heap in value
  }

  /**
   * @param {WebAssembly.MemoryDescriptor} descriptor of a new memory; undefined for one that exists
   * @param {WebAssembly.Memory | undefined} existing
   * @param {(memory: BlockMemory) => { options: object, native?: object }} open how the heap is opened
   */
  constructor(descriptor, existing, open) {
    super(descriptor, existing)
    const { options, native } = open(this)
    const ThreadCache = threadCacheFor(native?.kept ?? KEPT, native?.classBits ?? CLASS_BITS)
    const cache = new ThreadCache(({ words, rows, states, lasting }) => {
      this.#words = words
      this.#rows = rows
      this.#states = states
      this.#lasting = lasting
    })
    this.#heap = new Heap(this, cache, options, native)
  }

  /** Allocates a block. */
  malloc(byteLength, alignBytes = 16) {
    const { cache } = this.#heap
    const ptr =
      alignBytes === 16
        ? cache.pop(byteLength, this.#words, this.#rows, this.#states, this.#lasting)
        : 0
    return ptr === 0 ? allocate(this.#heap, byteLength, alignBytes) : ptr
  }

  /** Changes the length of a block. */
  realloc(ptr, byteLength) {
    const moved = this.#heap.cache.realloc(ptr, byteLength)
    return moved === 0 ? reallocate(this, ptr, byteLength) : moved
  }

  /** Frees a block. */
  free(ptr) {
    const { cache } = this.#heap
    if (!cache.push(ptr, this.#words, this.#rows, this.#states, this.#lasting))
      release(this.#heap, ptr)
  }

  /** The bytes that were asked for. */
  sizeof(ptr) {
    checkPointer(ptr)
    return this.#heap.sizeof(ptr)
  }

  /** The bytes that the block takes. */
  lengthof(ptr) {
    checkPointer(ptr)
    return this.#heap.lengthof(ptr)
  }

  /** Gives a block a name that all threads find it by. */
  setRoot(name, ptr) {
    checkName(name)
    checkPointer(ptr)
    this.#heap.setRoot(name, ptr)
  }

  /** The pointer that a name was last given. */
  getRoot(name) {
    checkName(name)
    const ptr = this.#heap.getRoot(name)
    return ptr === 0 ? undefined : ptr
  }

  /** What the bytes are used for. */
  stats() {
    return this.#heap.stats()
  }

  /** What each range of the memory is used for. */
  heapMap() {
    return areasOf(this.#heap.map())
  }

  /** The bytes that live blocks take. */
  get length() {
    return this.#heap.stats().usedBytes
  }

  /** Gives the pages of free blocks back to the operating system. */
  trim() {
    return this.#heap.trim()
  }

  /** Closes the heap for this thread. */
  close() {
    this.#heap.close()
  }

  /** Puts back what processes that died kept of the heap. */
  recover() {
    return this.#heap.recover()
  }

  /** Lists everything that was written over. */
  check() {
    return this.#heap.check()
  }

  /** Lists the live blocks in groups by who made them. */
  leaks() {
    return this.#heap.leaks()
  }

  /** Who allocated the bytes. */
  get storage() {
    return storageOf(this)
  }
}
