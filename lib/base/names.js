// Names that users give to roots and to memories.

import { invalidArgType, outOfRange } from './errors.js'

const LONGEST = 256

/**
 * @param {unknown} name
 * @throws {TypeError} ERR_INVALID_ARG_TYPE when it is not a string
 * @throws {RangeError} ERR_OUT_OF_RANGE when it is not 1 to 256 characters long
 */
export const checkName = (name) => {
  if (typeof name !== 'string') throw invalidArgType('name', 'a string', name)
  if (name.length === 0 || name.length > LONGEST) {
    throw outOfRange('name', `1 to ${LONGEST} characters long, not ${name.length}`, name)
  }
}
