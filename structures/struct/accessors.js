// How a field reads and writes as a property. Views hold what was checked when the object was made, for good if the memory is
// shared; where it is not, growth empties them, and the index is outside: then they are renewed.

import { types } from 'node:util'
import { invalidArgType, outOfRange, refused } from '../../lib/base/errors.js'
import { layoutOf } from './known.js'
import { makeAtomic, makeBool, makeNested, makeNumber } from './makers.js'
import { specialised } from './specialised.js'
import { decodeText, encodeText } from './text.js'
import { MEMORY, PTR, renew, VIEWS } from './view.js'

const refuser = (name, expected) => (value) => {
  throw invalidArgType(name, expected, value)
}

const ofNumber =
  (make, refuse) =>
  ({ offset, type: { view, shift, big } }) => {
    const kind = big ? 'bigint' : 'number'
    return specialised(make, VIEWS, PTR, view, shift, offset, renew, refuse, kind)
  }

const refuserOf = ({ name, type }) => refuser(name, type.big ? 'a bigint' : 'a number')

const number = (field) => ofNumber(makeNumber, refuserOf(field))(field)

const atomic = (field) => ofNumber(makeAtomic, refuserOf(field))(field)

const bool = (field) => ofNumber(makeBool, refuser(field.name, 'a boolean'))(field)

// Texts and arrays take a new object each time, so that the engine has little to gain from code of their own.

const text = ({ name, offset, type: { byteLength } }) => ({
  get() {
    return decodeText(this[MEMORY], this[PTR] + offset, byteLength)
  },
  set(value) {
    if (typeof value !== 'string') throw invalidArgType(name, 'a string', value)
    const written = encodeText(this[MEMORY], this[PTR] + offset, byteLength, value)
    if (written > byteLength) {
      throw outOfRange(name, `at most ${byteLength} bytes in UTF-8, not ${written}`, value)
    }
  },
})

const isListed = (values) =>
  typeof values === 'object' &&
  values !== null &&
  (typeof values.length === 'number' || typeof values[Symbol.iterator] === 'function')

const convert = ({ constructor: TypedArray, length: room }, name, values) => {
  if (!isListed(values))
    throw invalidArgType(name, 'an array, a typed array or an iterable', values)
  if (values.length > room) throw outOfRange(name, `at most ${room} elements`, values.length)
  return new TypedArray(values)
}

const array = ({ name, offset, type: { view, shift, count } }) => {
  const viewOf = (struct) => {
    const start = (struct[PTR] + offset) >>> shift
    const whole = struct[VIEWS][view].length === 0 ? renew(struct) : struct[VIEWS]
    return whole[view].subarray(start, start + count)
  }
  return {
    get() {
      return viewOf(this)
    },
    // What is no typed array is converted first: an element that cannot be would leave those before it written.
    set(values) {
      try {
        const converted = types.isTypedArray(values) ? values : convert(viewOf(this), name, values)
        viewOf(this).set(converted)
      } catch (cause) {
        throw refused(name, cause)
      }
    },
  }
}

const struct = ({ name, offset, type: { Struct } }) => ({
  ...specialised(makeNested, MEMORY, PTR, offset, Struct),
  set(value) {
    if (!(value instanceof Struct && MEMORY in value))
      throw invalidArgType(name, 'a struct of its type', value)
    const { byteLength } = layoutOf(Struct)
    const bytes = renew(value).u8.subarray(value[PTR], value[PTR] + byteLength)
    renew(this).u8.set(bytes, this[PTR] + offset)
  },
})

const KINDS = { number, atomic, bool, text, array, struct }

/**
 * @param {{ name: string, offset: number, type: object }} field
 * @returns {{ get: () => unknown, set: (value: unknown) => void }}
 */
export const accessorOf = (field) => KINDS[field.type.kind](field)
