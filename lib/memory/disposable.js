// Arrays that own their block, for `using`: disposing of one frees it, once.

import { newArray, viewOfType } from './arrays.js'
import { dispose } from '../base/engine.js'
import { invalidPointer } from '../base/errors.js'
import { once } from '../base/once.js'
import { viewsOf } from '../pages/pages.js'

// The array may have outlived the block, if someone freed it by its pointer: then the bytes are another's, or nobody's.
const freeOwn = (memory, ptr, byteLength) => {
  if (memory.sizeof(ptr) !== byteLength) {
    throw invalidPointer(ptr, 'it was freed before, and another block is there')
  }
  memory.free(ptr)
}

/**
 * Allocates an array that frees its block when it is disposed of.
 *
 * @param {import('../../index.js').LocalSharedMemory} memory
 * @param {TypedArrayConstructor} TypedArray
 * @param {number | Iterable | ArrayLike} source length in elements, or the values
 * @returns {TypedArray & Disposable} live view
 */
export const allocArray = (memory, TypedArray, source) => {
  viewOfType(viewsOf(memory), TypedArray)
  return newArray(memory, TypedArray, source, (array) => {
    const { byteOffset, byteLength } = array
    const value = once(() => freeOwn(memory, byteOffset, byteLength))
    return Object.defineProperty(array, dispose, { value })
  })
}
