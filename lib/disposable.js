// Arrays that own their block, for `using`: disposing of one frees it, once.

import { newArray, viewOfType } from './arrays.js'
import { invalidPointer, isOutOfStack } from './errors.js'
import { viewsOf } from './pages.js'

/** A realm of its own, as a vm context has it, may lack what Node.js adds to the first one. */
const { dispose = Symbol.for('nodejs.dispose') } = Symbol

/**
 * Frees the block on the first call, or on the first for which there is room on the stack. The array may have outlived it
 * all the same, if someone freed it by its pointer: then the bytes are another's, or nobody's.
 */
const disposer = (memory, ptr, byteLength) => {
  let owned = true
  return () => {
    if (!owned) return
    try {
      freeOwn(memory, ptr, byteLength)
    } catch (error) {
      owned = isOutOfStack(error)
      throw error
    }
    owned = false
  }
}

const freeOwn = (memory, ptr, byteLength) => {
  if (memory.sizeof(ptr) !== byteLength) {
    throw invalidPointer(ptr, 'it was freed before, and another block is there')
  }
  memory.free(ptr)
}

/**
 * Allocates an array that frees its block when it is disposed of.
 *
 * @param {import('../index.js').LocalSharedMemory} memory
 * @param {TypedArrayConstructor} TypedArray
 * @param {number | Iterable | ArrayLike} source length in elements, or the values
 * @returns {TypedArray & Disposable} live view
 */
export const allocArray = (memory, TypedArray, source) => {
  viewOfType(viewsOf(memory), TypedArray)
  return newArray(memory, TypedArray, source, (array) => {
    const { byteOffset, byteLength } = array
    const value = disposer(memory, byteOffset, byteLength)
    return Object.defineProperty(array, dispose, { value })
  })
}
