// Blocks as arrays: copies out, live views, arrays allocated and filled at once, C's memcpy and memset, and the typed
// array's own whole-array methods over the whole memory.

import { types } from 'node:util'
import { AccessorMemory } from './accessors.js'
import { MAX_BYTES, checkInteger, invalidArgType, outOfRange, refused } from './errors.js'
import { withNewBlock } from './new-block.js'
import { refresh, refreshNow, viewsCovering, viewsOf } from './pages.js'

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
  checkInteger('length', count, 0, MAX_BYTES, 'elements')
  const views = viewsCovering(memory, offset, count * elementBytes)
  return { views, count }
}

/** A copy of source as an array of that type, unless it is one: a value that cannot be converted is found here. */
const valuesOf = (TypedArray, source) => {
  if (types.isTypedArray(source) && source instanceof TypedArray) return source
  if (typeof source !== 'object' || source === null) {
    throw invalidArgType('source', 'a number, an iterable or an array-like', source)
  }
  try {
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
  const values = typeof source === 'number' ? undefined : valuesOf(TypedArray, source)
  const length = values === undefined ? source : values.length
  const { BYTES_PER_ELEMENT } = TypedArray
  checkInteger('length', length, 1, Math.floor(MAX_BYTES / BYTES_PER_ELEMENT), 'elements')
  const make = () => memory.malloc(length * BYTES_PER_ELEMENT)
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

const fillBytes = (memory, dst, byte, byteLength) => {
  checkInteger('byte', byte, -(2 ** 31), 2 ** 31 - 1, '(an integer of 32 bits)')
  checkInteger('byteLength', byteLength, 0, MAX_BYTES, 'bytes')
  viewsCovering(memory, dst, byteLength, 'dst').u8.fill(byte, dst, dst + byteLength)
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
    return array[method](...args)
  } catch (cause) {
    throw refused(method, cause)
  }
}

/** The memory with arrays. */
export class ArrayMemory extends AccessorMemory {
  /**
   * Copies bytes out.
   *
   * @param {number} offset bytes
   * @param {number} [length] bytes, those of the block at the offset when left out
   * @returns {ArrayBuffer}
   * @throws {TypeError} ERR_INVALID_ARG_TYPE when an argument is not a number
   * @throws {RangeError} ERR_OUT_OF_RANGE when the range is not inside the memory
   * @throws {Error} ERR_INVALID_POINTER when the length is left out and there is no block at the offset
   */
  arrayBuffer(offset, length) {
    const { views, count } = rangeAt(this, offset, length, 1)
    return views.u8.slice(offset, offset + count).buffer
  }

  /**
   * Copies bytes out to a SharedArrayBuffer, whether the memory is shared or not.
   *
   * @param {number} offset bytes
   * @param {number} [length] bytes, those of the block at the offset when left out
   * @returns {SharedArrayBuffer}
   * @throws {TypeError} ERR_INVALID_ARG_TYPE when an argument is not a number
   * @throws {RangeError} ERR_OUT_OF_RANGE when the range is not inside the memory
   * @throws {Error} ERR_INVALID_POINTER when the length is left out and there is no block at the offset
   */
  sharedArrayBuffer(offset, length) {
    const { views, count } = rangeAt(this, offset, length, 1)
    const copy = new SharedArrayBuffer(count)
    new Uint8Array(copy).set(views.u8.subarray(offset, offset + count))
    return copy
  }

  /**
   * Makes a DataView over bytes of the memory.
   *
   * @param {number} offset bytes
   * @param {number} [length] bytes, those of the block at the offset when left out
   * @returns {DataView} live
   * @throws {TypeError} ERR_INVALID_ARG_TYPE when an argument is not a number
   * @throws {RangeError} ERR_OUT_OF_RANGE when the range is not inside the memory
   * @throws {Error} ERR_INVALID_POINTER when the length is left out and there is no block at the offset
   */
  dataView(offset, length) {
    const { views, count } = rangeAt(this, offset, length, 1)
    return new DataView(views.buffer, offset, count)
  }

  /**
   * Makes a typed array over bytes of the memory. It keeps its length, whatever becomes of the block.
   *
   * @param {TypedArrayConstructor} TypedArray
   * @param {number} offset bytes, a multiple of the element size
   * @param {number} [length] elements, as many as the block at the offset holds when left out
   * @returns {TypedArray} live
   * @throws {TypeError} ERR_INVALID_ARG_TYPE when TypedArray is not a typed array constructor, or another argument not
   * a number
   * @throws {RangeError} ERR_OUT_OF_RANGE when the range is not inside the memory, or the offset is not aligned
   * @throws {Error} ERR_INVALID_POINTER when the length is left out and there is no block at the offset
   */
  arrayView(TypedArray, offset, length) {
    const { BYTES_PER_ELEMENT } = viewOfType(viewsOf(this), TypedArray)
    const { views, count } = rangeAt(this, offset, length, BYTES_PER_ELEMENT)
    if (offset % BYTES_PER_ELEMENT !== 0) {
      throw outOfRange('offset', `a multiple of ${BYTES_PER_ELEMENT} bytes`, offset)
    }
    return new TypedArray(views.buffer, offset, count)
  }

  /**
   * Allocates an Int8Array.
   *
   * @param {number | Iterable | ArrayLike} source length in elements, or the values
   * @returns {Int8Array} live view; its byteOffset is the pointer
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE, ERR_OUT_OF_MEMORY
   */
  Int8Array(source) {
    return newArray(this, Int8Array, source)
  }

  /**
   * Allocates a Uint8Array.
   *
   * @param {number | Iterable | ArrayLike} source length in elements, or the values
   * @returns {Uint8Array} live view; its byteOffset is the pointer
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE, ERR_OUT_OF_MEMORY
   */
  Uint8Array(source) {
    return newArray(this, Uint8Array, source)
  }

  /**
   * Allocates a Uint8ClampedArray.
   *
   * @param {number | Iterable | ArrayLike} source length in elements, or the values
   * @returns {Uint8ClampedArray} live view; its byteOffset is the pointer
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE, ERR_OUT_OF_MEMORY
   */
  Uint8ClampedArray(source) {
    return newArray(this, Uint8ClampedArray, source)
  }

  /**
   * Allocates an Int16Array.
   *
   * @param {number | Iterable | ArrayLike} source length in elements, or the values
   * @returns {Int16Array} live view; its byteOffset is the pointer
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE, ERR_OUT_OF_MEMORY
   */
  Int16Array(source) {
    return newArray(this, Int16Array, source)
  }

  /**
   * Allocates a Uint16Array.
   *
   * @param {number | Iterable | ArrayLike} source length in elements, or the values
   * @returns {Uint16Array} live view; its byteOffset is the pointer
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE, ERR_OUT_OF_MEMORY
   */
  Uint16Array(source) {
    return newArray(this, Uint16Array, source)
  }

  /**
   * Allocates an Int32Array.
   *
   * @param {number | Iterable | ArrayLike} source length in elements, or the values
   * @returns {Int32Array} live view; its byteOffset is the pointer
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE, ERR_OUT_OF_MEMORY
   */
  Int32Array(source) {
    return newArray(this, Int32Array, source)
  }

  /**
   * Allocates a Uint32Array.
   *
   * @param {number | Iterable | ArrayLike} source length in elements, or the values
   * @returns {Uint32Array} live view; its byteOffset is the pointer
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE, ERR_OUT_OF_MEMORY
   */
  Uint32Array(source) {
    return newArray(this, Uint32Array, source)
  }

  /**
   * Allocates a BigInt64Array.
   *
   * @param {number | Iterable | ArrayLike} source length in elements, or the values
   * @returns {BigInt64Array} live view; its byteOffset is the pointer
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE, ERR_OUT_OF_MEMORY
   */
  BigInt64Array(source) {
    return newArray(this, BigInt64Array, source)
  }

  /**
   * Allocates a BigUint64Array.
   *
   * @param {number | Iterable | ArrayLike} source length in elements, or the values
   * @returns {BigUint64Array} live view; its byteOffset is the pointer
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE, ERR_OUT_OF_MEMORY
   */
  BigUint64Array(source) {
    return newArray(this, BigUint64Array, source)
  }

  /**
   * Allocates a Float32Array.
   *
   * @param {number | Iterable | ArrayLike} source length in elements, or the values
   * @returns {Float32Array} live view; its byteOffset is the pointer
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE, ERR_OUT_OF_MEMORY
   */
  Float32Array(source) {
    return newArray(this, Float32Array, source)
  }

  /**
   * Allocates a Float64Array.
   *
   * @param {number | Iterable | ArrayLike} source length in elements, or the values
   * @returns {Float64Array} live view; its byteOffset is the pointer
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE, ERR_OUT_OF_MEMORY
   */
  Float64Array(source) {
    return newArray(this, Float64Array, source)
  }

  /**
   * Allocates a Float16Array, where the engine has them.
   *
   * @param {number | Iterable | ArrayLike} source length in elements, or the values
   * @returns {Float16Array} live view; its byteOffset is the pointer
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE, ERR_OUT_OF_MEMORY
   */
  Float16Array(source) {
    return newArray(this, Float16Array, source)
  }

  /**
   * Copies bytes within the memory. The ranges may overlap.
   *
   * @param {number} dst bytes
   * @param {number} src bytes
   * @param {number} byteLength bytes
   * @returns {number} dst
   * @throws {TypeError} ERR_INVALID_ARG_TYPE when an argument is not a number
   * @throws {RangeError} ERR_OUT_OF_RANGE when a range is not inside the memory
   */
  memcpy(dst, src, byteLength) {
    checkInteger('byteLength', byteLength, 0, MAX_BYTES, 'bytes')
    viewsCovering(this, src, byteLength, 'src')
    viewsCovering(this, dst, byteLength, 'dst').u8.copyWithin(dst, src, src + byteLength)
    return dst
  }

  /**
   * Fills bytes of the memory with a byte, or with the bytes of a buffer from elsewhere.
   *
   * @overload
   * @param {number} dst bytes
   * @param {number} byte a 32-bit integer, of which the low 8 bits are taken
   * @param {number} byteLength bytes
   * @returns {number} dst
   *
   * @overload
   * @param {number} dst bytes
   * @param {ArrayBuffer | SharedArrayBuffer | ArrayBufferView} buffer
   * @param {number} [srcOffset] bytes from the start of the buffer or view
   * @param {number} [byteLength] bytes, up to its end when left out
   * @returns {number} dst
   *
   * @throws {TypeError} ERR_INVALID_ARG_TYPE when an argument is of the wrong type
   * @throws {RangeError} ERR_OUT_OF_RANGE when a range is not inside the memory or the buffer, or the byte is not an integer
   */
  memset(dst, byteOrBuffer, ...range) {
    if (typeof byteOrBuffer === 'number') fillBytes(this, dst, byteOrBuffer, ...range)
    else copyBytes(this, dst, byteOrBuffer, ...range)
    return dst
  }

  /**
   * Reads an element, counting elements of that type from the start of the memory, or back from its end.
   *
   * @param {TypedArrayConstructor} TypedArray
   * @param {number} index elements
   * @returns {number | bigint | undefined} undefined when there is no such element
   * @throws {TypeError} ERR_INVALID_ARG_TYPE when TypedArray is not a typed array constructor
   */
  at(TypedArray, index) {
    const array = viewOfType(viewsOf(this), TypedArray)
    if (Number.isInteger(index) && index >= 0 && index < array.length) return array[index]
    const element = whole(this, TypedArray, 'at', index)
    if (element !== undefined) return element
    refreshNow(this)
    return whole(this, TypedArray, 'at', index)
  }

  /**
   * Fills elements with a value. Over the whole memory this writes over the heap's own records too.
   *
   * @param {TypedArrayConstructor} TypedArray
   * @param {number | bigint} value
   * @param {number} [start] elements, back from the end when negative
   * @param {number} [end] elements, back from the end when negative
   * @returns {this} the memory, as the array's own method returns the array
   * @throws {TypeError} ERR_INVALID_ARG_TYPE when TypedArray is not a typed array constructor, or the value is of the
   * other kind
   */
  fill(TypedArray, value, start, end) {
    whole(this, TypedArray, 'fill', value, start, end)
    return this
  }

  /**
   * Copies elements within the memory. The ranges may overlap.
   *
   * @param {TypedArrayConstructor} TypedArray
   * @param {number} target elements, back from the end when negative
   * @param {number} start elements, back from the end when negative
   * @param {number} [end] elements, back from the end when negative
   * @returns {this} the memory, as the array's own method returns the array
   * @throws {TypeError} ERR_INVALID_ARG_TYPE when TypedArray is not a typed array constructor
   */
  copyWithin(TypedArray, target, start, end) {
    whole(this, TypedArray, 'copyWithin', target, start, end)
    return this
  }

  /**
   * Makes a typed array over a range of elements.
   *
   * @param {TypedArrayConstructor} TypedArray
   * @param {number} [begin] elements, back from the end when negative
   * @param {number} [end] elements, back from the end when negative
   * @returns {TypedArray} live
   * @throws {TypeError} ERR_INVALID_ARG_TYPE when TypedArray is not a typed array constructor
   */
  subarray(TypedArray, begin, end) {
    return whole(this, TypedArray, 'subarray', begin, end)
  }

  /**
   * Copies values in.
   *
   * @param {TypedArrayConstructor} TypedArray
   * @param {ArrayLike} source
   * @param {number} [offset] elements
   * @throws {TypeError} ERR_INVALID_ARG_TYPE when TypedArray is not a typed array constructor, or a value cannot be converted
   * @throws {RangeError} ERR_OUT_OF_RANGE when the values do not fit at the offset
   */
  set(TypedArray, source, offset) {
    try {
      whole(this, TypedArray, 'set', source, offset)
    } catch (error) {
      if (error.code !== 'ERR_OUT_OF_RANGE') throw error
      refreshNow(this)
      whole(this, TypedArray, 'set', source, offset)
    }
  }

  static {
    if (!('Float16Array' in globalThis)) delete this.prototype.Float16Array
  }
}
