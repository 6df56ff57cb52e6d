// Blocks as arrays: copies out, live views, and arrays allocated and filled at once.

import { types } from 'node:util'
import { ByteMemory } from './bytes.js'
import { bufferOf, isShared } from '../base/engine.js'
import { MAX_BYTES, checkInteger, invalidArgType, outOfRange, refused } from '../base/errors.js'
import { withNewBlock } from '../base/new-block.js'
import { refresh, viewsCovering, viewsOf } from '../pages/pages.js'

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

/** The engine's own iterator of arrays. */
const { values: iterate } = Array.prototype

/** @returns {boolean} whether arrays of that type take numbers as they are */
export const takesNumbers = (TypedArray) =>
  TypedArray !== BigInt64Array && TypedArray !== BigUint64Array

/**
 * Whether the array takes all as they are, being numbers: to convert them first takes several times as long as to copy them. What a
 * Proxy says of its length may be different each time.
 */
const areNumbers = (TypedArray, source) => {
  if (!takesNumbers(TypedArray) || !Array.isArray(source) || types.isProxy(source)) return false
  if (source[Symbol.iterator] !== iterate) return false
  for (let at = 0; at < source.length; at++) if (typeof source[at] !== 'number') return false
  return true
}

/** A copy of source as an array of that type, unless it is one that stays: a value that cannot be converted is found here. */
const valuesOf = (memory, TypedArray, source) => {
  const isOfType = types.isTypedArray(source) && source instanceof TypedArray
  if (isOfType && !isDetachable(memory, source)) return source
  if (typeof source !== 'object' || source === null) {
    throw invalidArgType('source', 'a number, an iterable or an array-like', source)
  }
  try {
    if (areNumbers(TypedArray, source)) return source
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
    if (values === undefined) return array
    array.set(values)
    if (array.length === length) return array
    // Reading them has grown a memory that is not shared, which takes the array's bytes away.
    return filledArray(memory, TypedArray, ptr, length, new TypedArray(values))
  } catch (cause) {
    throw refused(TypedArray.name, cause)
  }
}

/** The memory with arrays. */
export class ArrayMemory extends ByteMemory {
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

  static {
    if (!('Float16Array' in globalThis)) delete this.prototype.Float16Array
  }
}
