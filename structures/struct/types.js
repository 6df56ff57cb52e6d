// What a field can be: numbers, texts, arrays of numbers, other structs. How large each is, and how it is aligned, as in C.

import { MAX_BYTES, outOfRange } from '../../lib/base/errors.js'
import { layoutOf } from './known.js'

/** The numbers, by the names of their views in lib/pages/pages.js, and the bytes of one as a power of two. */
const NUMBERS = {
  i8: { shift: 0, integer: true },
  u8: { shift: 0, integer: true },
  i16: { shift: 1, integer: true },
  u16: { shift: 1, integer: true },
  i32: { shift: 2, integer: true },
  u32: { shift: 2, integer: true },
  i64: { shift: 3, integer: true, big: true },
  u64: { shift: 3, integer: true, big: true },
  f16: { shift: 1 },
  f32: { shift: 2 },
  f64: { shift: 3 },
}

if (!('Float16Array' in globalThis)) delete NUMBERS.f16

const COUNT = /^([1-9]\d*)$/

const countOf = (digits, text) => {
  const count = Number(digits)
  if (!COUNT.test(digits) || count > MAX_BYTES) throw unknown(text)
  return count
}

const unknown = (text) => {
  const names = Object.keys(NUMBERS).join(', ')
  const known = `one of ${names}, bool, atomic and an integer, a number and [count], utf8(bytes), or a struct`
  return outOfRange('type', known, text)
}

const numberOf = (text, whole) => {
  if (!Object.hasOwn(NUMBERS, text)) throw unknown(whole)
  const number = NUMBERS[text]
  const byteLength = 1 << number.shift
  return { ...number, kind: 'number', view: text, byteLength, alignBytes: byteLength }
}

const atomicOf = (text, whole) => {
  const number = numberOf(text, whole)
  if (!number.integer) throw unknown(whole)
  return { ...number, kind: 'atomic' }
}

const arrayOf = (text, digits, whole) => {
  const number = numberOf(text, whole)
  const count = countOf(digits, whole)
  return { ...number, kind: 'array', count, byteLength: number.byteLength * count }
}

const textOf = (digits, whole) => ({
  kind: 'text',
  byteLength: countOf(digits, whole),
  alignBytes: 1,
})

const PATTERNS = [
  [/^bool$/, () => ({ ...numberOf('u8'), kind: 'bool' })],
  [/^(\w+)$/, ([whole, name]) => numberOf(name, whole)],
  [/^atomic (\w+)$/, ([whole, name]) => atomicOf(name, whole)],
  [/^(\w+)\[(\d+)\]$/, ([whole, name, digits]) => arrayOf(name, digits, whole)],
  [/^utf8\((\d+)\)$/, ([whole, digits]) => textOf(digits, whole)],
]

/**
 * @param {unknown} type as a description has it
 * @returns {{ kind: string, byteLength: number, alignBytes: number }} and what else there is to know of the kind
 * @throws {RangeError} ERR_OUT_OF_RANGE when there is no such type
 */
export const typeOf = (type) => {
  const nested = layoutOf(type)
  if (nested !== undefined) {
    const { byteLength, alignBytes } = nested
    return { kind: 'struct', Struct: type, byteLength, alignBytes }
  }
  if (typeof type !== 'string') throw unknown(type)
  for (const [pattern, make] of PATTERNS) {
    const found = pattern.exec(type)
    if (found !== null) return make(found)
  }
  throw unknown(type)
}
