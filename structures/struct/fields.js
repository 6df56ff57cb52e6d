// Fields by pointer. Atomics takes indices of elements where all else takes bytes, and a forgotten `/ 4` silently means another
// block; here the pointer of the struct is what is given, and one that no such struct can have is refused.

import { MAX_BYTES } from '../../lib/base/errors.js'
import { checkMemory } from '../memories.js'
import { layoutOf } from './known.js'
import { makeMethod } from './makers.js'
import { specialised } from './specialised.js'
import { viewsAt } from './view.js'

const ARRAYS = {
  i8: Int8Array,
  u8: Uint8Array,
  i16: Int16Array,
  u16: Uint16Array,
  i32: Int32Array,
  u32: Uint32Array,
  i64: BigInt64Array,
  u64: BigUint64Array,
}

/** What a thread can wait on. */
const WAITABLE = new Set(['i32', 'i64'])

/** Where a field is, and what its struct is like. */
const PLACE = Symbol('place')

/** The element that Atomics works on, for a pointer that can be one; whether the element is in the memory, Atomics looks. */
const indexAt = (place, ptr) => {
  if (typeof ptr !== 'number') refuse(place, ptr)
  if (ptr >>> 0 !== ptr || ptr === 0 || (ptr & place.mask) !== 0 || ptr > place.last)
    refuse(place, ptr)
  return (ptr + place.offset) >>> place.shift
}

const refuse = ({ memory, byteLength, alignBytes }, ptr) => {
  viewsAt(memory, ptr, byteLength, alignBytes)
}

/** A field of the structs of one memory. */
class Field {
  constructor(place) {
    this[PLACE] = place
  }

  get offset() {
    return this[PLACE].offset
  }

  get(ptr) {
    const { Struct, memory, name } = this[PLACE]
    return new Struct(memory, ptr)[name]
  }

  set(ptr, value) {
    const { Struct, memory, name } = this[PLACE]
    new Struct(memory, ptr)[name] = value
  }
}

/** One of integers: with what Atomics does. */
class IntegerField extends Field {}

/** One that a thread can wait on. */
class WaitableField extends IntegerField {}

const define = (Kind, names) => {
  for (const name of names) {
    const value = specialised(makeMethod, PLACE, indexAt, name)
    Object.defineProperty(Kind.prototype, name, { value, writable: true, configurable: true })
  }
}

const ON_INTEGERS = ['load', 'store', 'add', 'sub', 'and', 'or', 'xor', 'exchange']
define(IntegerField, [...ON_INTEGERS, 'compareExchange'])
define(WaitableField, ['wait', 'waitAsync', 'notify'])

const isInteger = ({ kind, integer }) => integer && (kind === 'number' || kind === 'atomic')

const fieldOf = (Struct, memory, { name, offset, type }) => {
  const { byteLength, alignBytes } = layoutOf(Struct)
  const place = { Struct, memory, name, offset, byteLength, alignBytes }
  if (!isInteger(type)) return new Field(place)
  const [mask, last] = [alignBytes - 1, MAX_BYTES + 1 - byteLength]
  Object.assign(place, { array: ARRAYS[type.view], shift: type.shift, mask, last })
  return WAITABLE.has(type.view) ? new WaitableField(place) : new IntegerField(place)
}

/**
 * @param {Function} Struct a class that struct() made
 * @param {import('../../index.js').LocalSharedMemory} memory
 * @returns {Record<string, Field>} its fields, by their names
 * @throws {TypeError} ERR_INVALID_ARG_TYPE
 */
export const fieldsOf = (Struct, memory) => {
  checkMemory(memory)
  const { fields } = layoutOf(Struct)
  return Object.fromEntries(fields.map((field) => [field.name, fieldOf(Struct, memory, field)]))
}
