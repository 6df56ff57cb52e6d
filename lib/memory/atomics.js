// Atomics over the whole memory. Each method is Atomics' own with one addition: where Atomics takes an array, these
// take a constructor too, and find the array themselves, again after every growth.

import { types } from 'node:util'
import { ElementMemory } from './elements.js'
import { checkInteger, invalidArgType, refused } from '../base/errors.js'
import { keepAlive } from '../base/keep-alive.js'
import { refresh, refreshNow, viewsOf } from '../pages/pages.js'

/** A constant of this module, which the compiler sees through; an imported binding costs a check on every call. */
const cachedViews = viewsOf

/**
 * The array to work on, when the index is plainly inside it. Each type has a branch with a `length` of its own, because
 * one shared `length` that meets many types costs as much as the atomic operation.
 */
const arrayAt = (memory, TypedArray, index) => {
  const views = cachedViews(memory)
  if (Number.isInteger(index) && index >= 0) {
    if (TypedArray === Int32Array) {
      if (index < views.i32.length) return views.i32
    } else if (ArrayBuffer.isView(TypedArray)) {
      if (index < TypedArray.length) return TypedArray
    } else if (TypedArray === BigInt64Array) {
      if (index < views.i64.length) return views.i64
    } else if (TypedArray === Uint32Array) {
      if (index < views.u32.length) return views.u32
    } else if (TypedArray === Uint8Array) {
      if (index < views.u8.length) return views.u8
    } else if (TypedArray === BigUint64Array) {
      if (index < views.u64.length) return views.u64
    } else if (TypedArray === Int8Array) {
      if (index < views.i8.length) return views.i8
    } else if (TypedArray === Int16Array) {
      if (index < views.i16.length) return views.i16
    } else if (TypedArray === Uint16Array && index < views.u16.length) return views.u16
  }
  return currentArrayAt(memory, TypedArray, index)
}

/** The same after a look at the memory's present size; throws what is wrong with the arguments. */
const currentArrayAt = (memory, TypedArray, index) => {
  if (types.isTypedArray(TypedArray)) return checkIndex(TypedArray, index)
  refresh(memory)
  const array = viewsOf(memory).of(TypedArray)
  if (array === undefined) {
    throw invalidArgType('TypedArray', 'a typed array or its constructor', TypedArray)
  }
  if (typeof index !== 'number' || index < array.length) return checkIndex(array, index)
  refreshNow(memory)
  return checkIndex(viewsOf(memory).of(TypedArray), index)
}

const checkIndex = (array, index) => {
  checkInteger('index', index, 0, array.length - 1, 'elements')
  return array
}

/**
 * The memory with Atomics.
 *
 * `TypedArray` is the constructor of an integer array: then `index` counts elements of that type from the start of the
 * memory. Or it is such an array, as arrayView makes it: then `index` counts from the array's start.
 */
export class AtomicMemory extends ElementMemory {
  /** Adds to an element. */
  add(TypedArray, index, value) {
    const array = arrayAt(this, TypedArray, index)
    try {
      return Atomics.add(array, index, value)
    } catch (cause) {
      throw refused('Atomics.add', cause)
    }
  }

  /** Subtracts from an element. */
  sub(TypedArray, index, value) {
    const array = arrayAt(this, TypedArray, index)
    try {
      return Atomics.sub(array, index, value)
    } catch (cause) {
      throw refused('Atomics.sub', cause)
    }
  }

  /** Bitwise AND into an element. */
  and(TypedArray, index, value) {
    const array = arrayAt(this, TypedArray, index)
    try {
      return Atomics.and(array, index, value)
    } catch (cause) {
      throw refused('Atomics.and', cause)
    }
  }

  /** Bitwise OR into an element. */
  or(TypedArray, index, value) {
    const array = arrayAt(this, TypedArray, index)
    try {
      return Atomics.or(array, index, value)
    } catch (cause) {
      throw refused('Atomics.or', cause)
    }
  }

  /** Bitwise XOR into an element. */
  xor(TypedArray, index, value) {
    const array = arrayAt(this, TypedArray, index)
    try {
      return Atomics.xor(array, index, value)
    } catch (cause) {
      throw refused('Atomics.xor', cause)
    }
  }

  /** Writes an element and returns what it held. */
  exchange(TypedArray, index, value) {
    const array = arrayAt(this, TypedArray, index)
    try {
      return Atomics.exchange(array, index, value)
    } catch (cause) {
      throw refused('Atomics.exchange', cause)
    }
  }

  /** Writes an element if it holds the expected value. */
  compareExchange(TypedArray, index, expected, replacement) {
    const array = arrayAt(this, TypedArray, index)
    try {
      return Atomics.compareExchange(array, index, expected, replacement)
    } catch (cause) {
      throw refused('Atomics.compareExchange', cause)
    }
  }

  /** Reads an element. */
  load(TypedArray, index) {
    const array = arrayAt(this, TypedArray, index)
    try {
      return Atomics.load(array, index)
    } catch (cause) {
      throw refused('Atomics.load', cause)
    }
  }

  /** Writes an element. */
  store(TypedArray, index, value) {
    const array = arrayAt(this, TypedArray, index)
    try {
      return Atomics.store(array, index, value)
    } catch (cause) {
      throw refused('Atomics.store', cause)
    }
  }

  /** Puts the thread to sleep until it is notified. */
  wait(TypedArray, index, value, timeout) {
    const array = arrayAt(this, TypedArray, index)
    try {
      return Atomics.wait(array, index, value, timeout)
    } catch (cause) {
      throw refused('Atomics.wait', cause)
    }
  }

  /** Waits for a notification without putting the thread to sleep. */
  waitAsync(TypedArray, index, value, timeout) {
    const array = arrayAt(this, TypedArray, index)
    try {
      const result = Atomics.waitAsync(array, index, value, timeout)
      if (result.async) keepAlive(array, result.value)
      return result
    } catch (cause) {
      throw refused('Atomics.waitAsync', cause)
    }
  }

  /** Wakes threads that wait on an element. */
  notify(TypedArray, index, count) {
    const array = arrayAt(this, TypedArray, index)
    try {
      return Atomics.notify(array, index, count)
    } catch (cause) {
      throw refused('Atomics.notify', cause)
    }
  }

  /** Tells whether atomic operations on elements of a size need no lock. */
  isLockFree(size) {
    if (typeof size !== 'number') throw invalidArgType('size', 'a number', size)
    return Atomics.isLockFree(size)
  }
}
