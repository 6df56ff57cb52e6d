// get<Type> and set<Type>: one value at a byte offset, little-endian, at any alignment.
//
// An accessor is a few machine instructions when the compiler sees all of it, hence the shape of this file: each method
// is written out (methods made by one factory would share what the compiler learns about their arguments), and
// every access that is not plainly inside the memory leaves by one door, viewsCovering.

import { BlockMemory } from './blocks.js'
import { invalidArgType } from './errors.js'
import { dataOf, limitOf, viewsCovering } from './pages.js'

// Constants of this module, which the compiler sees through; an imported binding costs a check on every call.
const cachedData = dataOf
const cachedLimit = limitOf

const dataAt = (memory, offset, byteLength) =>
  Number.isInteger(offset) && offset > 0 && offset <= cachedLimit(memory)
    ? cachedData(memory)
    : viewsCovering(memory, offset, byteLength).data

const toNumber = (value) => {
  try {
    return +value
  } catch (cause) {
    throw invalidArgType('value', 'a number', value, cause)
  }
}

const toBigInt = (value) => {
  try {
    return BigInt.asIntN(64, value)
  } catch (cause) {
    throw invalidArgType('value', 'a bigint', value, cause)
  }
}

/** The memory with typed access to single values. */
export class AccessorMemory extends BlockMemory {
  /**
   * Reads a signed 8-bit integer.
   *
   * @param {number} offset bytes
   * @returns {number}
   * @throws {TypeError} ERR_INVALID_ARG_TYPE when the offset is not a number
   * @throws {RangeError} ERR_OUT_OF_RANGE when the offset is null or the byte is not inside the memory
   */
  getInt8(offset) {
    return dataAt(this, offset, 1).getInt8(offset)
  }

  /**
   * Writes a signed 8-bit integer.
   *
   * @param {number} offset bytes
   * @param {number} [value]
   * @throws {TypeError} ERR_INVALID_ARG_TYPE when the offset is not a number, or the value cannot become a number
   * @throws {RangeError} ERR_OUT_OF_RANGE when the offset is null or the byte is not inside the memory
   */
  setInt8(offset, value = 0) {
    const number = typeof value === 'number' ? value : toNumber(value)
    dataAt(this, offset, 1).setInt8(offset, number)
  }

  /**
   * Reads an unsigned 8-bit integer.
   *
   * @param {number} offset bytes
   * @returns {number}
   * @throws {TypeError} ERR_INVALID_ARG_TYPE when the offset is not a number
   * @throws {RangeError} ERR_OUT_OF_RANGE when the offset is null or the byte is not inside the memory
   */
  getUint8(offset) {
    return dataAt(this, offset, 1).getUint8(offset)
  }

  /**
   * Writes an unsigned 8-bit integer.
   *
   * @param {number} offset bytes
   * @param {number} [value]
   * @throws {TypeError} ERR_INVALID_ARG_TYPE when the offset is not a number, or the value cannot become a number
   * @throws {RangeError} ERR_OUT_OF_RANGE when the offset is null or the byte is not inside the memory
   */
  setUint8(offset, value = 0) {
    const number = typeof value === 'number' ? value : toNumber(value)
    dataAt(this, offset, 1).setUint8(offset, number)
  }

  /**
   * Reads a signed 16-bit integer.
   *
   * @param {number} offset bytes
   * @returns {number}
   * @throws {TypeError} ERR_INVALID_ARG_TYPE when the offset is not a number
   * @throws {RangeError} ERR_OUT_OF_RANGE when the offset is null or the 2 bytes are not inside the memory
   */
  getInt16(offset) {
    return dataAt(this, offset, 2).getInt16(offset, true)
  }

  /**
   * Writes a signed 16-bit integer.
   *
   * @param {number} offset bytes
   * @param {number} [value]
   * @throws {TypeError} ERR_INVALID_ARG_TYPE when the offset is not a number, or the value cannot become a number
   * @throws {RangeError} ERR_OUT_OF_RANGE when the offset is null or the 2 bytes are not inside the memory
   */
  setInt16(offset, value = 0) {
    const number = typeof value === 'number' ? value : toNumber(value)
    dataAt(this, offset, 2).setInt16(offset, number, true)
  }

  /**
   * Reads an unsigned 16-bit integer.
   *
   * @param {number} offset bytes
   * @returns {number}
   * @throws {TypeError} ERR_INVALID_ARG_TYPE when the offset is not a number
   * @throws {RangeError} ERR_OUT_OF_RANGE when the offset is null or the 2 bytes are not inside the memory
   */
  getUint16(offset) {
    return dataAt(this, offset, 2).getUint16(offset, true)
  }

  /**
   * Writes an unsigned 16-bit integer.
   *
   * @param {number} offset bytes
   * @param {number} [value]
   * @throws {TypeError} ERR_INVALID_ARG_TYPE when the offset is not a number, or the value cannot become a number
   * @throws {RangeError} ERR_OUT_OF_RANGE when the offset is null or the 2 bytes are not inside the memory
   */
  setUint16(offset, value = 0) {
    const number = typeof value === 'number' ? value : toNumber(value)
    dataAt(this, offset, 2).setUint16(offset, number, true)
  }

  /**
   * Reads a signed 32-bit integer.
   *
   * @param {number} offset bytes
   * @returns {number}
   * @throws {TypeError} ERR_INVALID_ARG_TYPE when the offset is not a number
   * @throws {RangeError} ERR_OUT_OF_RANGE when the offset is null or the 4 bytes are not inside the memory
   */
  getInt32(offset) {
    return dataAt(this, offset, 4).getInt32(offset, true)
  }

  /**
   * Writes a signed 32-bit integer.
   *
   * @param {number} offset bytes
   * @param {number} [value]
   * @throws {TypeError} ERR_INVALID_ARG_TYPE when the offset is not a number, or the value cannot become a number
   * @throws {RangeError} ERR_OUT_OF_RANGE when the offset is null or the 4 bytes are not inside the memory
   */
  setInt32(offset, value = 0) {
    const number = typeof value === 'number' ? value : toNumber(value)
    dataAt(this, offset, 4).setInt32(offset, number, true)
  }

  /**
   * Reads an unsigned 32-bit integer.
   *
   * @param {number} offset bytes
   * @returns {number}
   * @throws {TypeError} ERR_INVALID_ARG_TYPE when the offset is not a number
   * @throws {RangeError} ERR_OUT_OF_RANGE when the offset is null or the 4 bytes are not inside the memory
   */
  getUint32(offset) {
    return dataAt(this, offset, 4).getUint32(offset, true)
  }

  /**
   * Writes an unsigned 32-bit integer.
   *
   * @param {number} offset bytes
   * @param {number} [value]
   * @throws {TypeError} ERR_INVALID_ARG_TYPE when the offset is not a number, or the value cannot become a number
   * @throws {RangeError} ERR_OUT_OF_RANGE when the offset is null or the 4 bytes are not inside the memory
   */
  setUint32(offset, value = 0) {
    const number = typeof value === 'number' ? value : toNumber(value)
    dataAt(this, offset, 4).setUint32(offset, number, true)
  }

  /**
   * Reads a signed 64-bit integer.
   *
   * @param {number} offset bytes
   * @returns {bigint}
   * @throws {TypeError} ERR_INVALID_ARG_TYPE when the offset is not a number
   * @throws {RangeError} ERR_OUT_OF_RANGE when the offset is null or the 8 bytes are not inside the memory
   */
  getBigInt64(offset) {
    return dataAt(this, offset, 8).getBigInt64(offset, true)
  }

  /**
   * Writes a signed 64-bit integer.
   *
   * @param {number} offset bytes
   * @param {bigint} [value]
   * @throws {TypeError} ERR_INVALID_ARG_TYPE when the offset is not a number, or the value cannot become a bigint
   * @throws {RangeError} ERR_OUT_OF_RANGE when the offset is null or the 8 bytes are not inside the memory
   */
  setBigInt64(offset, value = 0n) {
    const integer = typeof value === 'bigint' ? value : toBigInt(value)
    dataAt(this, offset, 8).setBigInt64(offset, integer, true)
  }

  /**
   * Reads an unsigned 64-bit integer.
   *
   * @param {number} offset bytes
   * @returns {bigint}
   * @throws {TypeError} ERR_INVALID_ARG_TYPE when the offset is not a number
   * @throws {RangeError} ERR_OUT_OF_RANGE when the offset is null or the 8 bytes are not inside the memory
   */
  getBigUint64(offset) {
    return dataAt(this, offset, 8).getBigUint64(offset, true)
  }

  /**
   * Writes an unsigned 64-bit integer.
   *
   * @param {number} offset bytes
   * @param {bigint} [value]
   * @throws {TypeError} ERR_INVALID_ARG_TYPE when the offset is not a number, or the value cannot become a bigint
   * @throws {RangeError} ERR_OUT_OF_RANGE when the offset is null or the 8 bytes are not inside the memory
   */
  setBigUint64(offset, value = 0n) {
    const integer = typeof value === 'bigint' ? value : toBigInt(value)
    dataAt(this, offset, 8).setBigUint64(offset, integer, true)
  }

  /**
   * Reads a 32-bit float.
   *
   * @param {number} offset bytes
   * @returns {number}
   * @throws {TypeError} ERR_INVALID_ARG_TYPE when the offset is not a number
   * @throws {RangeError} ERR_OUT_OF_RANGE when the offset is null or the 4 bytes are not inside the memory
   */
  getFloat32(offset) {
    return dataAt(this, offset, 4).getFloat32(offset, true)
  }

  /**
   * Writes a 32-bit float.
   *
   * @param {number} offset bytes
   * @param {number} [value]
   * @throws {TypeError} ERR_INVALID_ARG_TYPE when the offset is not a number, or the value cannot become a number
   * @throws {RangeError} ERR_OUT_OF_RANGE when the offset is null or the 4 bytes are not inside the memory
   */
  setFloat32(offset, value = 0) {
    const number = typeof value === 'number' ? value : toNumber(value)
    dataAt(this, offset, 4).setFloat32(offset, number, true)
  }

  /**
   * Reads a 64-bit float.
   *
   * @param {number} offset bytes
   * @returns {number}
   * @throws {TypeError} ERR_INVALID_ARG_TYPE when the offset is not a number
   * @throws {RangeError} ERR_OUT_OF_RANGE when the offset is null or the 8 bytes are not inside the memory
   */
  getFloat64(offset) {
    return dataAt(this, offset, 8).getFloat64(offset, true)
  }

  /**
   * Writes a 64-bit float.
   *
   * @param {number} offset bytes
   * @param {number} [value]
   * @throws {TypeError} ERR_INVALID_ARG_TYPE when the offset is not a number, or the value cannot become a number
   * @throws {RangeError} ERR_OUT_OF_RANGE when the offset is null or the 8 bytes are not inside the memory
   */
  setFloat64(offset, value = 0) {
    const number = typeof value === 'number' ? value : toNumber(value)
    dataAt(this, offset, 8).setFloat64(offset, number, true)
  }

  /**
   * Reads a 16-bit float, where the engine has them.
   *
   * @param {number} offset bytes
   * @returns {number}
   * @throws {TypeError} ERR_INVALID_ARG_TYPE when the offset is not a number
   * @throws {RangeError} ERR_OUT_OF_RANGE when the offset is null or the 2 bytes are not inside the memory
   */
  getFloat16(offset) {
    return dataAt(this, offset, 2).getFloat16(offset, true)
  }

  /**
   * Writes a 16-bit float, where the engine has them.
   *
   * @param {number} offset bytes
   * @param {number} [value]
   * @throws {TypeError} ERR_INVALID_ARG_TYPE when the offset is not a number, or the value cannot become a number
   * @throws {RangeError} ERR_OUT_OF_RANGE when the offset is null or the 2 bytes are not inside the memory
   */
  setFloat16(offset, value = 0) {
    const number = typeof value === 'number' ? value : toNumber(value)
    dataAt(this, offset, 2).setFloat16(offset, number, true)
  }

  static {
    if (!('getFloat16' in DataView.prototype)) {
      delete this.prototype.getFloat16
      delete this.prototype.setFloat16
    }
  }
}
