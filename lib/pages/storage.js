// Who allocates the bytes of a memory: Rust ('native'), or the engine.

import process from 'node:process'
import binding from '../native/binding.js'
import { bufferOf } from '../base/engine.js'
import { invalidArgType, outOfRange, storageUnavailable } from '../base/errors.js'

/**
 * A module whose function reads the byte at an offset of a memory:
 *
 *     (import "" "" (memory 1 2 shared))
 *     (func (export "") (param i32) (result i32) (i32.load8_u (local.get 0)))
 */
const READER = new Uint8Array(
  [
    [0, 97, 115, 109, 1, 0, 0, 0],
    [1, 6, 1, 96, 1, 127, 1, 127],
    [2, 7, 1, 0, 0, 2, 3, 1, 2],
    [3, 2, 1, 0],
    [7, 4, 1, 0, 0, 0],
    [10, 9, 1, 7, 0, 32, 0, 45, 0, 0, 11],
  ].flat(),
)

const { Instance, Memory, Module } = WebAssembly
const TWO_PAGES = { initial: 1, maximum: 2, shared: true }
let tried = false

/**
 * Lets the native side find out, once in each thread, what the engine reserves for a memory that may grow: it maps only what
 * is the memory's own. Done before such a memory is made, because each takes up 10 GiB of addresses.
 *
 * The engine refuses the module in a process that may not compile any, the memory when there is no room for it, and the growth
 * where no memory may have two pages, whatever its maximum.
 *
 * @param {object} descriptor of the memory, as it was read
 */
export const prepareStorage = ({ initial, maximum, shared, storage }) => {
  if (tried || !shared || storage === 'engine') return
  try {
    if (!(maximum > initial)) return
    tried = true
    new Memory(TWO_PAGES).grow(1)
    const memory = new Memory(TWO_PAGES)
    const { exports } = new Instance(new Module(READER), { '': { '': memory } })
    binding.proveGuards(new Uint8Array(bufferOf(memory)), exports[''])
  } catch {
    // What is not known is not relied upon.
  }
}

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
