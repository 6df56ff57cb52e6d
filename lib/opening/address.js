// Pointers, block headers and the heap's records are 32-bit, so a memory with 64-bit addresses (`address: 'i64'`) is
// refused, on every engine alike: those that do not know the option would ignore it.

import { grow } from '../base/engine.js'
import { invalidArgType, outOfRange } from '../base/errors.js'

/**
 * @param {unknown} address what a descriptor asks for
 * @throws {TypeError} ERR_INVALID_ARG_TYPE when it is not a string
 * @throws {RangeError} ERR_OUT_OF_RANGE when it is another one than 'i32'
 */
export const checkAddress = (address) => {
  if (address === undefined || address === 'i32') return
  if (typeof address !== 'string') throw invalidArgType('address', 'a string', address)
  throw outOfRange('address', `'i32': pointers are 32-bit`, address)
}

/**
 * @param {WebAssembly.Memory} memory
 * @throws {RangeError} ERR_OUT_OF_RANGE when its addresses have 64 bits
 */
export const checkAddressOf = (memory) => {
  // What is no number of pages changes nothing: it is a TypeError as a number, and a SyntaxError as a BigInt.
  try {
    grow.call(memory, 'no number')
  } catch (error) {
    if (error instanceof SyntaxError) checkAddress('i64')
  }
}
