// The typed arrays' own methods over the whole memory.

import { types } from 'node:util'
import { ArrayMemory, takesNumbers, viewOfType } from './arrays.js'
import { isShared } from '../base/engine.js'
import { refused } from '../base/errors.js'
import { refresh, refreshNow, viewsOf } from '../pages/pages.js'

/** Elements from which on it pays to fill them by words. */
const LEAST_ELEMENTS = 2048

// The engine fills what threads share element by element: in elements of eight bytes that is done in an eighth of the time.
const fillByWords = ({ u64 }, array, value, word, start, end) => {
  const elements = 8 / array.BYTES_PER_ELEMENT
  const [first, last] = [Math.ceil(start / elements), Math.floor(end / elements)]
  array.fill(value, start, first * elements)
  u64.fill(word, first, last)
  array.fill(value, last * elements, end)
}

// Nothing is converted here: that could run code which makes the memory grow.
const fillMany = (memory, TypedArray, value, start, end) => {
  refresh(memory)
  const views = viewsOf(memory)
  const array = viewOfType(views, TypedArray)
  const isRange =
    Number.isInteger(start) && start >= 0 && Number.isInteger(end) && end <= array.length
  if (!isRange || typeof value !== 'number' || !isShared(views.buffer)) return false
  const elements = 8 / array.BYTES_PER_ELEMENT
  if (elements === 1) return false
  const [word] = new BigUint64Array(new TypedArray(elements).fill(value).buffer)
  fillByWords(views, array, value, word, start, end)
  return true
}

/** @returns {boolean} whether it has filled the elements: not when they are few, or by words they would not be faster */
const fillFast = (memory, TypedArray, value, start, end) =>
  typeof start === 'number' &&
  typeof end === 'number' &&
  end - start >= LEAST_ELEMENTS &&
  fillMany(memory, TypedArray, value, start, end)

/** Calls a typed array's own method on the array over the whole memory as it is now. */
const whole = (memory, TypedArray, method, ...args) => {
  refresh(memory)
  const array = viewOfType(viewsOf(memory), TypedArray)
  try {
    const result = array[method](...args)
    // `set` does not say that its offset's own code has taken the bytes away, by growing a memory that is not shared.
    if (array.length === 0) array.subarray()
    return result
  } catch (cause) {
    throw refused(method, cause)
  }
}

/** Room for numbers on their way into the memory, and how often it was used. */
const numbers = new Float64Array(1024)
let uses = 0

/** The numbers of an array, each read once, until the next ones; undefined when it has anything else, or too many. */
const numbersOf = (TypedArray, source) => {
  if (!takesNumbers(TypedArray) || !Array.isArray(source)) return undefined
  const { length } = source
  // What a Proxy says need not be a length.
  if (length >>> 0 !== length || length > numbers.length) return undefined
  const use = ++uses
  for (let at = 0; at < length; at++) {
    const value = source[at]
    if (typeof value !== 'number') return undefined
    numbers[at] = value
  }
  // The getter of an element may have come here.
  return uses === use ? numbers.subarray(0, length) : undefined
}

/** The values of an array-like, each read once: what cannot be converted is found before anything is written. */
const converted = (memory, TypedArray, source) => {
  refresh(memory)
  const { length: room } = viewOfType(viewsOf(memory), TypedArray)
  const length = source?.length
  // The engine says what is wrong with one that does not fit.
  if (!(length > 0 && length <= room)) return source
  const values = new TypedArray(+length)
  values.set(source)
  return values
}

const valuesOf = (memory, TypedArray, source, offset) => {
  if (types.isTypedArray(source)) return source
  // An offset that has to be converted may run code which comes here, too.
  const isPlain = offset === undefined || typeof offset === 'number'
  try {
    return (isPlain && numbersOf(TypedArray, source)) || converted(memory, TypedArray, source)
  } catch (cause) {
    throw refused('set', cause)
  }
}

const setValues = (memory, TypedArray, source, offset) => {
  whole(memory, TypedArray, 'set', valuesOf(memory, TypedArray, source, offset), offset)
}

/** The memory with methods of typed arrays. */
export class ElementMemory extends ArrayMemory {
  /** Reads an element, counting elements of that type from the start of the memory, or back from its end. */
  at(TypedArray, index) {
    const array = viewOfType(viewsOf(this), TypedArray)
    if (Number.isInteger(index) && index >= 0 && index < array.length) return array[index]
    const element = whole(this, TypedArray, 'at', index)
    if (element !== undefined) return element
    refreshNow(this)
    return whole(this, TypedArray, 'at', index)
  }

  /** Fills elements with a value. */
  fill(TypedArray, value, start, end) {
    if (!fillFast(this, TypedArray, value, start, end)) {
      whole(this, TypedArray, 'fill', value, start, end)
    }
    return this
  }

  /** Copies elements within the memory. */
  copyWithin(TypedArray, target, start, end) {
    whole(this, TypedArray, 'copyWithin', target, start, end)
    return this
  }

  /** Makes a typed array over a range of elements. */
  subarray(TypedArray, begin, end) {
    return whole(this, TypedArray, 'subarray', begin, end)
  }

  /** Copies values in. */
  set(TypedArray, source, offset) {
    try {
      setValues(this, TypedArray, source, offset)
    } catch (error) {
      if (error.code !== 'ERR_OUT_OF_RANGE' || !refreshNow(this)) throw error
      setValues(this, TypedArray, source, offset)
    }
  }
}
