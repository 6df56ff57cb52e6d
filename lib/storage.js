// Who allocates the bytes of a memory: Rust ('native'), or the engine.

import process from 'node:process'
import binding from './binding.js'
import { bufferOf } from './engine.js'
import { invalidArgType, outOfRange, storageUnavailable } from './errors.js'

/** Why native storage is not even tried for a memory, if so. */
const obstacle = (buffer, shared) => {
  if (!shared) return 'the memory is not shared'
  if (process.versions.bun) return 'Bun clears the bytes when it collects the memory'
  if (buffer.byteLength === 0) return 'the memory has no initial pages'
  return null
}

/**
 * @param {unknown} storage what a descriptor asks for
 * @throws {TypeError} ERR_INVALID_ARG_TYPE when it is not a string
 * @throws {RangeError} ERR_OUT_OF_RANGE when it is not a kind of storage
 */
export const checkStorage = (storage) => {
  if (storage === undefined || storage === 'native' || storage === 'engine') return
  if (typeof storage !== 'string') throw invalidArgType('storage', 'a string', storage)
  throw outOfRange('storage', `'native' or 'engine'`, storage)
}

/**
 * Moves a memory that was just made to native storage, if that works.
 *
 * @param {WebAssembly.Memory} memory
 * @param {object} options
 * @param {'native'} [options.storage] when it must work
 * @param {boolean} options.shared whether the memory is shared
 * @param {number} options.maximum pages that the memory may grow to
 * @throws {Error} ERR_STORAGE_UNAVAILABLE when native storage is asked for and cannot be had
 */
export const placeBytes = (memory, { storage, shared, maximum }) => {
  const buffer = bufferOf(memory)
  const reason = obstacle(buffer, shared) ?? binding.overlayStorage(new Uint8Array(buffer), maximum)
  if (reason !== null && storage === 'native') {
    throw storageUnavailable(`Native storage cannot be had: ${reason}`)
  }
}

/**
 * @param {WebAssembly.Memory} memory
 * @returns {'native' | 'engine'}
 */
export const storageOf = (memory) => {
  const buffer = bufferOf(memory)
  return buffer.byteLength > 0 && binding.isOverlaid(new Uint8Array(buffer)) ? 'native' : 'engine'
}
