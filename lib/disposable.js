// Arrays that own their block, for `using`: disposing of one frees it, once.

import { newArray, viewOfType } from './arrays.js'
import { invalidPointer } from './errors.js'
import { viewsOf } from './pages.js'

/**
 * Frees the block on the first call. The array may have outlived it all the same, if someone freed it by its pointer:
 * then the bytes are another's, or nobody's.
 */
const disposer = (memory, ptr, byteLength) => {
  let owned = true
  return () => {
    if (!owned) return
    owned = false
    if (memory.sizeof(ptr) !== byteLength) {
      throw invalidPointer(ptr, 'it was freed before, and another block is there')
    }
    memory.free(ptr)
  }
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
  const array = newArray(memory, TypedArray, source)
  const { byteOffset, byteLength } = array
  return Object.defineProperty(array, Symbol.dispose, {
    value: disposer(memory, byteOffset, byteLength),
  })
}
