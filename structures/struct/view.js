// What an object that shows a struct in the memory consists of, whatever its fields are.

import { outOfRange } from '../../lib/base/errors.js'
import { viewsCovering } from '../../lib/pages/pages.js'

/** Properties of their own, under names that no field has. */
export const MEMORY = Symbol('memory')
export const VIEWS = Symbol('views')
export const PTR = Symbol('ptr')

/**
 * @param {import('../../index.js').LocalSharedMemory} memory
 * @param {unknown} ptr byte offset
 * @param {number} byteLength bytes that have to be inside the memory
 * @param {number} alignBytes what `ptr` has to be a multiple of
 * @returns {object} views that cover them
 * @throws {TypeError} ERR_INVALID_ARG_TYPE
 * @throws {RangeError} ERR_OUT_OF_RANGE
 */
export const viewsAt = (memory, ptr, byteLength, alignBytes) => {
  const views = viewsCovering(memory, ptr, byteLength, 'ptr')
  if (ptr % alignBytes !== 0) throw outOfRange('ptr', `a multiple of ${alignBytes} bytes`, ptr)
  return views
}

/** A struct somewhere in a memory. */
export class View {
  /** @returns {import('../../index.js').LocalSharedMemory} the memory that it lies in */
  get memory() {
    return this[MEMORY]
  }

  /** @returns {number} pointer to it */
  get ptr() {
    return this[PTR]
  }
}

/**
 * The views of a memory that is not shared, and whose old ones were taken from it when it grew.
 *
 * @param {View} view
 * @returns {object} its views, which it keeps
 */
export const renew = (view) => {
  view[VIEWS] = viewsCovering(view[MEMORY], view[PTR], 1, 'ptr')
  return view[VIEWS]
}
