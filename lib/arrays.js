// Blocks as arrays: copies out, live views, arrays allocated and filled at once, C's memcpy and memset, and the typed
// array's own whole-array methods over the whole memory.

import { types } from 'node:util'
import { AccessorMemory } from './accessors.js'
import { bufferOf, isShared } from './engine.js'
import { MAX_BYTES, checkInteger, invalidArgType, outOfRange, refused } from './errors.js'
import { withNewBlock } from './new-block.js'
import { bulkOf, refresh, refreshNow, viewsCovering, viewsOf } from './pages.js'

/** Elements from which on it pays to fill them by words. */
const LEAST_ELEMENTS = 2048

/** The view of that type; throws ERR_INVALID_ARG_TYPE when it is no typed array constructor. */
export const viewOfType = (views, TypedArray) => {
  const array = views.of(TypedArray)
  if (array === undefined) {
    throw invalidArgType('TypedArray', 'a typed array constructor', TypedArray)
  }
  return array
}

/** A range that was given in elements, or that of the block at the offset, checked against the memory as it is now. */
const rangeAt = (memory, offset, length, elementBytes) => {
  refresh(memory)
  viewsCovering(memory, offset, 0)
  const count = length === undefined ? Math.floor(memory.sizeof(offset) / elementBytes) : length
  checkInteger('length', count, 0, MAX_BYTES, elementBytes === 1 ? 'bytes' : 'elements')
  const views = viewsCovering(memory, offset, count * elementBytes)
  return { views, count }
}

/** Elements of that type that a block can have. */
const mostOf = ({ BYTES_PER_ELEMENT }) => Math.floor(MAX_BYTES / BYTES_PER_ELEMENT)

/** Whether growth takes the bytes of an array away: it lies in the memory itself, and that is not shared. */
const isDetachable = (memory, array) =>
  !isShared(viewsOf(memory).buffer) && array.buffer === bufferOf(memory)

/** A copy of source as an array of that type, unless it is one that stays: a value that cannot be converted is found here. */
const valuesOf = (memory, TypedArray, source) => {
  const isOfType = types.isTypedArray(source) && source instanceof TypedArray
  if (isOfType && !isDetachable(memory, source)) return source
  if (typeof source !== 'object' || source === null) {
    throw invalidArgType('source', 'a number, an iterable or an array-like', source)
  }
  try {
    // Found before the engine makes room for a copy, of which the system may have too little.
    if (source[Symbol.iterator] === undefined && source.length > mostOf(TypedArray)) {
      throw outOfRange('length', `at most ${mostOf(TypedArray)} elements`, source.length)
    }
    return new TypedArray(source)
  } catch (cause) {
    throw refused(TypedArray.name, cause)
  }
}

/**
 * Allocates an array.
 *
 * @param {ArrayMemory} memory
 * @param {TypedArrayConstructor} TypedArray
 * @param {number | Iterable | ArrayLike} source length in elements, or the values
 * @param {(array: TypedArray) => TypedArray} [finish] what is to be done with it while the block can still be freed
 * @returns {TypedArray} live view; its elements are as malloc left them when only a length is given
 * @throws {TypeError} ERR_INVALID_ARG_TYPE when the source is of another type, or a value cannot be converted
 * @throws {RangeError} ERR_OUT_OF_RANGE when there would be no element, or too many
 * @throws {RangeError} ERR_OUT_OF_MEMORY when the heap cannot hold it
 */
export const newArray = (memory, TypedArray, source, finish) => {
  const values = typeof source === 'number' ? undefined : valuesOf(memory, TypedArray, source)
  const length = values === undefined ? source : values.length
  checkInteger('length', length, 1, mostOf(TypedArray), 'elements')
  const make = () => memory.malloc(length * TypedArray.BYTES_PER_ELEMENT)
  const use = (ptr) => {
    const array = filledArray(memory, TypedArray, ptr, length, values)
    return finish === undefined ? array : finish(array)
  }
  return withNewBlock(memory, make, use)
}

const filledArray = (memory, TypedArray, ptr, length, values) => {
  try {
    const array = memory.arrayView(TypedArray, ptr, length)
    if (values !== undefined) array.set(values)
    return array
  } catch (cause) {
    throw refused(TypedArray.name, cause)
  }
}

/** The bytes of a buffer, or of any view of one. */
const bytesOf = (buffer) => {
  if (!ArrayBuffer.isView(buffer) && !types.isAnyArrayBuffer(buffer)) {
    throw invalidArgType('byte', 'a number, a buffer or a view of one', buffer)
  }
  try {
    return ArrayBuffer.isView(buffer)
      ? new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength)
      : new Uint8Array(buffer)
  } catch (cause) {
    throw refused('memset', cause)
  }
}

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

const fillBytes = (memory, dst, byte, byteLength) => {
  checkInteger('byte', byte, -(2 ** 31), 2 ** 31 - 1, '(an integer of 32 bits)')
  checkInteger('byteLength', byteLength, 0, MAX_BYTES, 'bytes')
  const views = viewsCovering(memory, dst, byteLength, 'dst')
  bulkOf(memory, views).memset(views.u8, dst, byte, byteLength)
}

const copyBytes = (memory, dst, buffer, srcOffset = 0, byteLength = undefined) => {
  const bytes = bytesOf(buffer)
  checkInteger('srcOffset', srcOffset, 0, bytes.length, 'bytes')
  const rest = bytes.length - srcOffset
  const count = byteLength === undefined ? rest : byteLength
  checkInteger('byteLength', count, 0, rest, 'bytes')
  viewsCovering(memory, dst, count, 'dst').u8.set(bytes.subarray(srcOffset, srcOffset + count), dst)
}

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

/** The values of an array-like, each read once: what cannot be converted is found before anything is written. */
const converted = (memory, TypedArray, source) => {
  refresh(memory)
  const { length: room } = viewOfType(viewsOf(memory), TypedArray)
  try {
    const length = source?.length
    // The engine says what is wrong with one that does not fit.
    if (!(length > 0 && length <= room)) return source
    const values = new TypedArray(+length)
    values.set(source)
    return values
  } catch (cause) {
    throw refused('set', cause)
  }
}

const setValues = (memory, TypedArray, source, offset) => {
  const values = types.isTypedArray(source) ? source : converted(memory, TypedArray, source)
  whole(memory, TypedArray, 'set', values, offset)
}

/** The memory with arrays. */
export class ArrayMemory extends AccessorMemory {
  /** Copies bytes out. */
  arrayBuffer(offset, length) {
    const { views, count } = rangeAt(this, offset, length, 1)
    return views.u8.slice(offset, offset + count).buffer
  }

  /** Copies bytes out to a SharedArrayBuffer, whether the memory is shared or not. */
  sharedArrayBuffer(offset, length) {
    const { views, count } = rangeAt(this, offset, length, 1)
    const copy = new SharedArrayBuffer(count)
    new Uint8Array(copy).set(views.u8.subarray(offset, offset + count))
    return copy
  }

  /** Makes a DataView over bytes of the memory. */
  dataView(offset, length) {
    const { views, count } = rangeAt(this, offset, length, 1)
    return new DataView(views.buffer, offset, count)
  }

  /** Makes a typed array over bytes of the memory. */
  arrayView(TypedArray, offset, length) {
    const { BYTES_PER_ELEMENT } = viewOfType(viewsOf(this), TypedArray)
    const { views, count } = rangeAt(this, offset, length, BYTES_PER_ELEMENT)
    if (offset % BYTES_PER_ELEMENT !== 0) {
      throw outOfRange('offset', `a multiple of ${BYTES_PER_ELEMENT} bytes`, offset)
    }
    return new TypedArray(views.buffer, offset, count)
  }

  /** Allocates an Int8Array. */
  Int8Array(source) {
    return newArray(this, Int8Array, source)
  }

  /** Allocates a Uint8Array. */
  Uint8Array(source) {
    return newArray(this, Uint8Array, source)
  }

  /** Allocates a Uint8ClampedArray. */
  Uint8ClampedArray(source) {
    return newArray(this, Uint8ClampedArray, source)
  }

  /** Allocates an Int16Array. */
  Int16Array(source) {
    return newArray(this, Int16Array, source)
  }

  /** Allocates a Uint16Array. */
  Uint16Array(source) {
    return newArray(this, Uint16Array, source)
  }

  /** Allocates an Int32Array. */
  Int32Array(source) {
    return newArray(this, Int32Array, source)
  }

  /** Allocates a Uint32Array. */
  Uint32Array(source) {
    return newArray(this, Uint32Array, source)
  }

  /** Allocates a BigInt64Array. */
  BigInt64Array(source) {
    return newArray(this, BigInt64Array, source)
  }

  /** Allocates a BigUint64Array. */
  BigUint64Array(source) {
    return newArray(this, BigUint64Array, source)
  }

  /** Allocates a Float32Array. */
  Float32Array(source) {
    return newArray(this, Float32Array, source)
  }

  /** Allocates a Float64Array. */
  Float64Array(source) {
    return newArray(this, Float64Array, source)
  }

  /** Allocates a Float16Array, where the engine has them. */
  Float16Array(source) {
    return newArray(this, Float16Array, source)
  }

  /** Copies bytes within the memory. */
  memcpy(dst, src, byteLength) {
    checkInteger('byteLength', byteLength, 0, MAX_BYTES, 'bytes')
    viewsCovering(this, src, byteLength, 'src')
    const views = viewsCovering(this, dst, byteLength, 'dst')
    bulkOf(this, views).memcpy(views.u8, dst, src, byteLength)
    return dst
  }

  /** Fills bytes of the memory with a byte, or with the bytes of a buffer from elsewhere. */
  memset(dst, byteOrBuffer, ...range) {
    if (typeof byteOrBuffer === 'number') fillBytes(this, dst, byteOrBuffer, ...range)
    else copyBytes(this, dst, byteOrBuffer, ...range)
    return dst
  }

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

  static {
    if (!('Float16Array' in globalThis)) delete this.prototype.Float16Array
  }
}
