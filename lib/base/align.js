// What the alignment of a block may be.

import { checkInteger, outOfRange } from './errors.js'

/** Bytes. */
export const DEFAULT_ALIGN = 16
/** Bytes. */
export const MAX_ALIGN = 65_536

/**
 * @param {unknown} alignBytes
 * @throws {TypeError} ERR_INVALID_ARG_TYPE
 * @throws {RangeError} ERR_OUT_OF_RANGE
 */
export const checkAlign = (alignBytes) => {
  checkInteger('alignBytes', alignBytes, 1, MAX_ALIGN, 'bytes')
  if ((alignBytes & (alignBytes - 1)) !== 0) {
    throw outOfRange('alignBytes', `a power of two from 1 to ${MAX_ALIGN} bytes`, alignBytes)
  }
}
