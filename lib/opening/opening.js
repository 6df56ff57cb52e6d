// How a memory gets its heap: as its descriptor asks for when it is made here, as `from` finds it when it comes from elsewhere.

import { checkAddress, checkAddressOf } from './address.js'
import { checkDebug, DEBUG_BY_DEFAULT } from '../native/debug-heap.js'
import { bufferOf } from '../base/engine.js'
import { checkInteger, invalidArgType } from '../base/errors.js'
import { MAX_PAGES } from '../pages/pages.js'
import { openHeap } from '../heap/session.js'
import { checkStorage, placeBytes, prepareStorage } from '../pages/storage.js'

const PAGE = 65_536

export const isObject = (value) =>
  typeof value === 'function' || (typeof value === 'object' && value !== null)

const checkHeapBase = (heapBase, byteLength) => {
  if (heapBase !== undefined) checkInteger('heapBase', heapBase, 0, byteLength, 'bytes')
}

const bytesOf = (memory) => {
  try {
    return new Uint8Array(bufferOf(memory))
  } catch (cause) {
    throw invalidArgType('memory', 'a WebAssembly.Memory', memory, cause)
  }
}

const stable = (value) => (isObject(value) ? +value : value)

/**
 * What a descriptor says, each property read and converted once and in the engine's own order, so that the engine and the
 * heap go by the same numbers whatever getters and valueOf do.
 *
 * @param {object | Function | null} source
 * @returns {object | null}
 */
export const readDescriptor = (source) => {
  if (source === null) return source
  const { address } = source
  checkAddress(address)
  const initial = stable(source.initial)
  const maximum = stable(source.maximum)
  const { shared, heapBase, storage, debug } = source
  checkStorage(storage)
  checkDebug(debug)
  const descriptor = { address, initial, maximum, shared, heapBase, storage, debug }
  prepareStorage(descriptor)
  return descriptor
}

const toPages = (value) => Math.trunc(Number(value))

/**
 * Gives a new memory its storage, and opens the heap in it at once if other threads are to find out: it shares the memory, or
 * is in debug mode.
 *
 * @param {WebAssembly.Memory} memory
 * @param {object} request what readDescriptor returned
 * @returns {{ options: object, native?: object }}
 */
export const asRequested = (
  memory,
  { initial: pages, maximum = MAX_PAGES, shared, heapBase, storage, debug },
) => {
  const initial = toPages(pages)
  checkHeapBase(heapBase, initial * PAGE)
  const options = { heapBase, initial, maximum: toPages(maximum), madeHere: true, debug }
  if (storage !== 'engine') placeBytes(memory, { storage, shared, maximum: options.maximum })
  const early = heapBase !== undefined || debug || DEBUG_BY_DEFAULT
  return { options, native: early ? openHeap(memory, bytesOf(memory), options) : undefined }
}

/**
 * Opens the heap in a memory that was received, and leaves the memory as it was.
 *
 * @param {unknown} memory
 * @param {object} options of `from`
 * @returns {{ options: object, native?: object }}
 */
export const openReceived = (memory, { heapBase, debug }) => {
  const bytes = bytesOf(memory)
  if (!Object.isExtensible(memory)) {
    throw invalidArgType('memory', 'a memory that can get a prototype: it is frozen', memory)
  }
  checkAddressOf(memory)
  checkHeapBase(heapBase, bytes.length)
  checkDebug(debug)
  const initial = bytes.length / PAGE
  const options = { heapBase, initial, maximum: MAX_PAGES, madeHere: false, debug }
  return { options, native: openHeap(memory, bytes, options) }
}
