// get<Type> and set<Type>: one value at a byte offset, little-endian, at any alignment.
//
// An accessor is a few machine instructions when the compiler sees all of it, hence the shape of this file: each method
// is written out (methods made by one factory would share what the compiler learns about their arguments), and
// every access that is not plainly inside the memory leaves by one door, viewsCovering.

import { BlockMemory } from './blocks.js'
import { outOfLine } from '../base/engine.js'
import { invalidArgType } from '../base/errors.js'
import { dataOf, limitOf, refresh, viewsCovering, viewsOf } from '../pages/pages.js'

// Constants of this module, which the compiler sees through; an imported binding costs a check on every call.
const cachedData = dataOf
const cachedLimit = limitOf
const cachedViews = viewsOf

const dataAt = (memory, offset, byteLength) => {
  if (Number.isInteger(offset) && offset > 0) {
    if (offset <= cachedLimit(memory)) return cachedData(memory)
    // Of a memory that is not shared there is no limit, as its buffer may be detached and have no length.
    const views = cachedViews(memory)
    if (offset <= views.u8.length - byteLength) return views.data
  }
  return covering(memory, offset, byteLength).data
}

/** How often a function has to run until V8 notes what happens in it, and some times more. */
const NOTED = 32
let isShown = false
let isShowing = false

const covering = outOfLine((memory, offset, byteLength) =>
  isShowing ? viewsOf(memory) : viewsCovering(memory, offset, byteLength),
)

// What V8 has never seen happen ends a function as it compiles it, and it keeps a loop around such a function as it is. So it
// sees all ways through dataAt, by offsets of the first memory that has bytes, and behind them.
const showWays = (memory) => {
  refresh(memory)
  const { byteLength } = viewsOf(memory)
  if (byteLength === 0) return
  isShown = true
  isShowing = true
  try {
    for (let time = 0; time < NOTED; time++) {
      for (const offset of [1, byteLength - 1, byteLength]) dataAt(memory, offset, 1)
    }
  } finally {
    isShowing = false
  }
}

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
  constructor(descriptor, existing, open) {
    super(descriptor, existing, open)
    if (!isShown) showWays(this)
  }

  /** Reads a signed 8-bit integer. */
  getInt8(offset) {
    return dataAt(this, offset, 1).getInt8(offset)
  }

  /** Writes a signed 8-bit integer. */
  setInt8(offset, value = 0) {
    const number = typeof value === 'number' ? value : toNumber(value)
    dataAt(this, offset, 1).setInt8(offset, number)
  }

  /** Reads an unsigned 8-bit integer. */
  getUint8(offset) {
    return dataAt(this, offset, 1).getUint8(offset)
  }

  /** Writes an unsigned 8-bit integer. */
  setUint8(offset, value = 0) {
    const number = typeof value === 'number' ? value : toNumber(value)
    dataAt(this, offset, 1).setUint8(offset, number)
  }

  /** Reads a signed 16-bit integer. */
  getInt16(offset) {
    return dataAt(this, offset, 2).getInt16(offset, true)
  }

  /** Writes a signed 16-bit integer. */
  setInt16(offset, value = 0) {
    const number = typeof value === 'number' ? value : toNumber(value)
    dataAt(this, offset, 2).setInt16(offset, number, true)
  }

  /** Reads an unsigned 16-bit integer. */
  getUint16(offset) {
    return dataAt(this, offset, 2).getUint16(offset, true)
  }

  /** Writes an unsigned 16-bit integer. */
  setUint16(offset, value = 0) {
    const number = typeof value === 'number' ? value : toNumber(value)
    dataAt(this, offset, 2).setUint16(offset, number, true)
  }

  /** Reads a signed 32-bit integer. */
  getInt32(offset) {
    return dataAt(this, offset, 4).getInt32(offset, true)
  }

  /** Writes a signed 32-bit integer. */
  setInt32(offset, value = 0) {
    const number = typeof value === 'number' ? value : toNumber(value)
    dataAt(this, offset, 4).setInt32(offset, number, true)
  }

  /** Reads an unsigned 32-bit integer. */
  getUint32(offset) {
    return dataAt(this, offset, 4).getUint32(offset, true)
  }

  /** Writes an unsigned 32-bit integer. */
  setUint32(offset, value = 0) {
    const number = typeof value === 'number' ? value : toNumber(value)
    dataAt(this, offset, 4).setUint32(offset, number, true)
  }

  /** Reads a signed 64-bit integer. */
  getBigInt64(offset) {
    return dataAt(this, offset, 8).getBigInt64(offset, true)
  }

  /** Writes a signed 64-bit integer. */
  setBigInt64(offset, value = 0n) {
    const integer = typeof value === 'bigint' ? value : toBigInt(value)
    dataAt(this, offset, 8).setBigInt64(offset, integer, true)
  }

  /** Reads an unsigned 64-bit integer. */
  getBigUint64(offset) {
    return dataAt(this, offset, 8).getBigUint64(offset, true)
  }

  /** Writes an unsigned 64-bit integer. */
  setBigUint64(offset, value = 0n) {
    const integer = typeof value === 'bigint' ? value : toBigInt(value)
    dataAt(this, offset, 8).setBigUint64(offset, integer, true)
  }

  /** Reads a 32-bit float. */
  getFloat32(offset) {
    return dataAt(this, offset, 4).getFloat32(offset, true)
  }

  /** Writes a 32-bit float. */
  setFloat32(offset, value = 0) {
    const number = typeof value === 'number' ? value : toNumber(value)
    dataAt(this, offset, 4).setFloat32(offset, number, true)
  }

  /** Reads a 64-bit float. */
  getFloat64(offset) {
    return dataAt(this, offset, 8).getFloat64(offset, true)
  }

  /** Writes a 64-bit float. */
  setFloat64(offset, value = 0) {
    const number = typeof value === 'number' ? value : toNumber(value)
    dataAt(this, offset, 8).setFloat64(offset, number, true)
  }

  /** Reads a 16-bit float, where the engine has them. */
  getFloat16(offset) {
    return dataAt(this, offset, 2).getFloat16(offset, true)
  }

  /** Writes a 16-bit float, where the engine has them. */
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
