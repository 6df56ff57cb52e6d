// The class that users see: how a memory is made or received, and what takes more than blocks or more than bytes. All
// else comes from the classes below it in lib/. index.d.ts says what each method takes, returns and throws.

import { adopt, takeReceived } from './lib/opening/adopting.js'
import { checkAlign, DEFAULT_ALIGN } from './lib/base/align.js'
import { attachMemory } from './lib/opening/attach.js'
import { hasHeap, heapOf } from './lib/memory/blocks.js'
import { allocArray } from './lib/memory/disposable.js'
import { checkInteger, checkObject, checkSize, MAX_BYTES } from './lib/base/errors.js'
import { importsOf } from './lib/memory/imports.js'
import { inspectMemory } from './lib/memory/inspect.js'
import { withNewBlock } from './lib/base/new-block.js'
import { asRequested, isObject, openReceived, readDescriptor } from './lib/opening/opening.js'
import { sharedMemory } from './lib/opening/shared.js'
import { StringMemory } from './lib/memory/strings.js'

/** A live block, as allocs() lists it. */
class Allocation {
  #memory

  // An own property, as the others are: who lists them, as console.table does, has it too. It is the same for all blocks; a getter
  // for each list would make the engine keep each block as a table, at five times the price.
  static #BUFFER = {
    enumerable: true,
    get() {
      return this.#memory.sharedArrayBuffer(this.byteOffset, this.byteLength)
    },
  }

  constructor(memory, byteOffset, byteLength, bufferSize) {
    this.#memory = memory
    /** @type {number} pointer */
    this.byteOffset = byteOffset
    /** @type {number} bytes that were asked for */
    this.byteLength = byteLength
    /** @type {number} bytes that the block takes, header and padding included */
    this.bufferSize = bufferSize
    /** @type {SharedArrayBuffer} a copy of the block's bytes as they are when it is read */
    Object.defineProperty(this, 'buffer', Allocation.#BUFFER)
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

  constructor(initial = LocalSharedMemory.devicePageSize, maximum = initial, shared = true) {
    const received = takeReceived(new.target)
    if (received === undefined) {
      const isDescriptor = isObject(initial) || initial === null
      const request = readDescriptor(isDescriptor ? initial : { initial, maximum, shared })
      super(request, undefined, (memory) => asRequested(memory, request))
    } else {
      super(undefined, received.memory, () => received.opened)
    }
  }

  /** Gives this class to a memory that came from another thread: the same bytes, the same heap. */
  static from(memory, options = {}) {
    checkObject('options', options)
    const { heapBase, debug } = options
    if (isObject(memory) && hasHeap(memory)) return memory
    const opened = openReceived(memory, { heapBase, debug })
    try {
      return adopt(this, memory, opened)
    } catch (error) {
      // What a subclass's constructor was to do is not done, so that it is none of that class.
      if (hasHeap(memory)) Object.setPrototypeOf(memory, LocalSharedMemory.prototype)
      throw error
    }
  }

  /** The memory of a name, the same one in every worker that is started afterwards. */
  static shared(name, options = {}) {
    return sharedMemory(this, name, options)
  }

  /** The memory in a file, with one heap for all processes that attach it. */
  static attach(path, options = {}) {
    return attachMemory(this, path, options, LocalSharedMemory.devicePageSize)
  }

  /** Allocates a block of zeros. */
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

  /** Allocates an array that frees its block when it is disposed of. */
  alloc(TypedArray, source) {
    return allocArray(this, TypedArray, source)
  }

  /** Lists the live blocks of all threads. */
  allocs() {
    const blocks = heapOf(this).blocks()
    const allocations = []
    for (let at = 0; at < blocks.length; at += 3) {
      allocations.push(new Allocation(this, blocks[at], blocks[at + 1], blocks[at + 2]))
    }
    return allocations
  }

  /** The memory and C's malloc and its kin over its heap, for the import object of a module. */
  imports() {
    return importsOf(this)
  }

  /** What util.inspect shows: the storage and the heap in numbers. */
  [Symbol.for('nodejs.util.inspect.custom')](depth, options, inspect) {
    return inspectMemory(this, depth, options, inspect)
  }
}

export default LocalSharedMemory
export { LocalSharedMemory as 'module.exports' }
