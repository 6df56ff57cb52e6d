// Memories in a file, with a heap that several processes have at once: each attaches the file by its path. All that has to
// do with other processes is in src/attached; here a memory is made for the file, and its bytes are put there.

import process from 'node:process'
import { adopt } from './adopting.js'
import binding from '../native/binding.js'
import { checkDebug } from '../native/debug-heap.js'
import { bufferOf, cloneOf, getBuffer, grow } from '../base/engine.js'
import {
  attachRefused,
  checkInteger,
  checkObject,
  debugUnavailable,
  invalidArgType,
  outOfMemory,
  outOfRange,
  storageUnavailable,
} from '../base/errors.js'
import { nativeOf } from '../native/native.js'
import { MAX_PAGES, Memory } from '../pages/pages.js'
import { prepareStorage } from '../pages/storage.js'

/** The maximum that the file has, or as many pages as there are initially. */
const AS_IT_IS = 0
/** What a memory in a file is, which a descriptor of another one may ask for. */
const GIVEN = { heapBase: undefined, shared: true, storage: 'native', address: 'i32' }

const checkOptions = (path, options) => {
  if (typeof path !== 'string') throw invalidArgType('path', 'a string', path)
  if (path === '' || path.includes('\0')) throw outOfRange('path', 'the path of a file', path)
  checkObject('options', options)
  const { create, debug } = options
  if (create !== undefined && typeof create !== 'boolean') {
    throw invalidArgType('options.create', 'a boolean', create)
  }
  checkDebug(debug)
  if (debug) throw debugUnavailable('A heap of several processes has no debug mode')
  for (const [name, given] of Object.entries(GIVEN)) {
    const value = options[name]
    if (value !== undefined && value !== given)
      throw outOfRange(`options.${name}`, 'left out', value)
  }
}

const readPages = ({ maximum, initial }, usual) => {
  if (maximum !== undefined) checkInteger('options.maximum', maximum, 1, MAX_PAGES, 'pages')
  const first = initial === undefined ? (maximum ?? usual) : initial
  checkInteger('options.initial', first, 1, maximum ?? MAX_PAGES, 'pages')
  return { initial: first, maximum: maximum ?? AS_IT_IS }
}

const makeMemory = (descriptor) => {
  try {
    prepareStorage(descriptor)
    return new Memory(descriptor)
  } catch (cause) {
    throw outOfMemory(`The engine has no addresses for the memory: ${cause.message}`)
  }
}

const openFile = (memory, file) => {
  const view = new Uint8Array(bufferOf(cloneOf(memory)))
  const opened = binding.openAttached(view, { memory, grow, getBuffer }, file)
  if (typeof opened === 'string') throw storageUnavailable(`The file cannot be mapped: ${opened}`)
  return nativeOf(opened)
}

// What nobody gets, nobody can close.
const adoptOrClose = (Class, memory, opened) => {
  try {
    return adopt(Class, memory, opened)
  } catch (error) {
    binding.closeHeap(opened.native.number)
    throw error
  }
}

/**
 * The memory in a file, which other processes may have too.
 *
 * @template {WebAssembly.Memory} T
 * @param {new () => T} Class of the memory
 * @param {string} path
 * @param {object} options
 * @param {number} usual pages of a new memory for which none are said
 * @returns {T}
 */
export const attachMemory = (Class, path, options, usual) => {
  checkOptions(path, options)
  const wish = readPages(options, usual)
  if (process.versions.bun) throw storageUnavailable('Bun clears the bytes of memories')
  const { create = true } = options
  const { code, reason, file, pages, maximum } = binding.attachFile(
    path,
    wish.initial,
    wish.maximum,
    create,
  )
  if (code) throw attachRefused(code, path, reason)
  try {
    const memory = makeMemory({ initial: pages, maximum, shared: true })
    return adoptOrClose(Class, memory, {
      options: { initial: pages, maximum, madeHere: false },
      native: openFile(memory, file),
    })
  } finally {
    binding.detachFile(file)
  }
}
