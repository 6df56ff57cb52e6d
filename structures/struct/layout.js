// Where the fields of a struct lie: in the order of their description, each at the next multiple of its alignment, as C does it.

import { checkObject, MAX_BYTES, outOfRange } from '../../lib/base/errors.js'
import { typeOf } from './types.js'

/** Fields are properties, so they have the names of some; these a struct, or any object, has already. */
const NAME = /^[A-Za-z_$][\w$]*$/
const TAKEN = new Set(['memory', 'ptr', 'constructor', '__proto__'])

const roundUp = (offset, alignBytes) => Math.ceil(offset / alignBytes) * alignBytes

const checkName = (name) => {
  if (!NAME.test(name) || TAKEN.has(name)) {
    throw outOfRange('name', `a field's name, and not one of ${[...TAKEN].join(', ')}`, name)
  }
}

/**
 * @typedef {object} Layout
 * @property {{ name: string, offset: number, type: object }[]} fields with offsets in bytes
 * @property {number} byteLength of the struct, a multiple of its alignment
 * @property {number} alignBytes
 */

/**
 * @param {unknown} description types by names
 * @returns {Layout}
 * @throws {TypeError} ERR_INVALID_ARG_TYPE when it is not an object
 * @throws {RangeError} ERR_OUT_OF_RANGE for a name or a type that there is not, and when there is no field
 */
export const plan = (description) => {
  checkObject('description', description)
  let [end, alignBytes] = [0, 1]
  const fields = Object.entries(description).map(([name, text]) => {
    checkName(name)
    const type = typeOf(text)
    const offset = roundUp(end, type.alignBytes)
    end = offset + type.byteLength
    alignBytes = Math.max(alignBytes, type.alignBytes)
    return { name, offset, type }
  })
  const byteLength = roundUp(end, alignBytes)
  if (byteLength === 0 || byteLength > MAX_BYTES) {
    throw outOfRange('description', `fields of 1 to ${MAX_BYTES} bytes`, byteLength)
  }
  return { fields, byteLength, alignBytes }
}
