// C's allocation functions over a memory's heap, for modules that import them instead of bringing their own. They keep
// to C's rules: what cannot be allocated is NULL, not an exception. Only a broken heap or a bad pointer is thrown, through
// the module, since a C program has no way to be told of it. WebAssembly hands over signed numbers: `>>> 0` undoes that.

import { DEFAULT_ALIGN, MAX_ALIGN } from '../base/align.js'
import { MAX_BYTES } from '../base/errors.js'
import { withNewBlock } from '../base/new-block.js'

const NULL = 0
const WORD = 4

/** Linux's numbers, which posix_memalign returns. */
const EINVAL = 22
const ENOMEM = 12

const nullWhenFull = (error) => {
  if (error.code === 'ERR_OUT_OF_MEMORY') return NULL
  throw error
}

const isPowerOfTwo = (value) => value !== 0 && (value & (value - 1)) === 0

/** Allocates at a multiple of a power of two; NULL above what the heap can align to. */
const allocateAligned = (memory, alignBytes, byteLength) => {
  if (alignBytes > MAX_ALIGN) return NULL
  try {
    return memory.malloc(byteLength || 1, Math.max(alignBytes, DEFAULT_ALIGN))
  } catch (error) {
    return nullWhenFull(error)
  }
}

/**
 * Makes what LocalSharedMemory.imports() returns.
 *
 * @param {import('../../index.js').LocalSharedMemory} memory
 * @returns the memory and C's functions, for a module's import object; sizes in bytes
 */
export const importsOf = (memory) => {
  const malloc = (byteLength) => {
    try {
      return memory.malloc(byteLength >>> 0 || 1)
    } catch (error) {
      return nullWhenFull(error)
    }
  }

  const free = (ptr) => memory.free(ptr >>> 0)

  const calloc = (count, byteLength) => {
    const total = (count >>> 0) * (byteLength >>> 0)
    if (total > MAX_BYTES) return NULL
    try {
      return memory.calloc(total || 1)
    } catch (error) {
      return nullWhenFull(error)
    }
  }

  const realloc = (ptr, byteLength) => {
    if (ptr === NULL) return malloc(byteLength)
    if (byteLength === 0) {
      free(ptr)
      return NULL
    }
    try {
      return memory.realloc(ptr >>> 0, byteLength >>> 0)
    } catch (error) {
      return nullWhenFull(error)
    }
  }

  const aligned_alloc = (alignBytes, byteLength) =>
    isPowerOfTwo(alignBytes >>> 0)
      ? allocateAligned(memory, alignBytes >>> 0, byteLength >>> 0)
      : NULL

  const posix_memalign = (pointerAt, alignBytes, byteLength) => {
    if (!isPowerOfTwo(alignBytes >>> 0) || alignBytes >>> 0 < WORD) return EINVAL
    // Throws before anything is allocated when there is no word to write to.
    memory.getUint32(pointerAt >>> 0)
    const make = () => allocateAligned(memory, alignBytes >>> 0, byteLength >>> 0)
    const use = (ptr) => {
      memory.setUint32(pointerAt >>> 0, ptr)
      return ptr
    }
    return withNewBlock(memory, make, use) === NULL ? ENOMEM : 0
  }

  // The padding behind these bytes is not the caller's: realloc does not carry it over.
  const malloc_usable_size = (ptr) => (ptr === NULL ? 0 : memory.sizeof(ptr >>> 0))

  return {
    memory,
    malloc,
    free,
    calloc,
    realloc,
    aligned_alloc,
    posix_memalign,
    malloc_usable_size,
  }
}
