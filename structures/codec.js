// JavaScript values as bytes. Numbers, strings, bigints, booleans, null and bytes are stored as they are; everything else that
// structured clone takes goes through v8.serialize. `undefined` is no value, nor is what belongs to one thread or to one process.
//
// A value is prepared first, which measures it and may run its getters, so before anything is locked; then written, which runs nobody's
// code and allocates nothing in the heap. Its tag is kept beside its bytes.

import { types } from 'node:util'
import { deserialize, serialize } from 'node:v8'
import workerThreads from 'node:worker_threads'
import { heapCorrupted, invalidArgType, isOutOfStack, refused } from '../lib/base/errors.js'
import { nodeBufferOf, viewsCovering } from '../lib/pages/pages.js'

const TypedArrayPrototype = Object.getPrototypeOf(Uint8Array.prototype)
/** The engine's own, whatever a subclass puts in their place. */
const GETTERS = ['buffer', 'byteOffset', 'length'].map(
  (name) => Object.getOwnPropertyDescriptor(TypedArrayPrototype, name).get,
)

/** What bytes are: 1 to 15. Those before Number have none. */
export const Tag = {
  Null: 1,
  False: 2,
  True: 3,
  Number: 4,
  /** 64 bits. */
  BigInt: 5,
  /** A byte a unit. */
  Latin1: 6,
  /** Two bytes a unit. */
  Utf16: 7,
  Bytes: 8,
  /** What v8.serialize makes. */
  Clone: 9,
}

/** Up to here, in bytes, a loop is faster than a call of the engine's own method. */
const SHORT_WRITE = 16
const SHORT_READ = 4
const SHORT_TEST = 8

/** Up to here, in bytes, the engine has a typed array's bytes in the object itself. */
const INLINE_BYTES = 64

/** The value that prepare was given. */
export const prepared = { tag: 0, byteLength: 0, value: undefined }

const WIDE = /[^\u0000-\u00ff]/ // oxlint-disable-line no-control-regex

const keep = (tag, byteLength, value) => {
  prepared.tag = tag
  prepared.byteLength = byteLength
  prepared.value = value
  return byteLength
}

const notCloned = (value) =>
  invalidArgType('value', 'a value that v8.serialize takes, not undefined', value)

const isLatin1 = (text) => {
  if (text.length > SHORT_TEST) return !WIDE.test(text)
  let units = 0
  for (let at = 0; at < text.length; at++) units |= text.charCodeAt(at)
  return units < 256
}

const prepareText = (text) =>
  isLatin1(text) ? keep(Tag.Latin1, text.length, text) : keep(Tag.Utf16, text.length * 2, text)

const HEADER_BYTES = serialize(null).length - 1

const prepareClone = (value) => {
  let bytes
  try {
    bytes = serialize(value)
  } catch (cause) {
    throw refused('v8.serialize', cause)
  }
  // The engine writes nothing at all for a WebAssembly.Module, of whichever realm.
  if (bytes.length <= HEADER_BYTES) throw notCloned(value)
  return keep(Tag.Clone, bytes.length, bytes)
}

const viewOf = (bytes) => {
  const [buffer, byteOffset, length] = GETTERS.map((get) => get.call(bytes))
  // What was detached has no bytes, and no view can be made of it.
  return length === 0 ? new Uint8Array(0) : new Uint8Array(buffer, byteOffset, length)
}

// Whoever has put properties of their own there may have them run code.
const isFixed = (buffer) => {
  const prototype = Object.getPrototypeOf(buffer)
  if (prototype !== ArrayBuffer.prototype && prototype !== SharedArrayBuffer.prototype) return false
  if (Object.hasOwn(buffer, 'resizable') || Object.hasOwn(buffer, 'growable')) return false
  return !buffer.resizable && !buffer.growable
}

const isPlain = (bytes) => {
  const prototype = Object.getPrototypeOf(bytes)
  if (prototype !== Uint8Array.prototype && prototype !== Buffer.prototype) return false
  if (Object.hasOwn(bytes, 'length') || Object.hasOwn(bytes, 'buffer')) return false
  return bytes.length > 0 && isFixed(bytes.buffer)
}

/**
 * A plain view of the same bytes: what a subclass says of its length is not believed, and one that follows a growing buffer would
 * be longer when it is read. Runs nobody's code.
 *
 * @param {Uint8Array} bytes
 * @returns {Uint8Array} itself, when it is plain
 */
export const plainBytes = (bytes) => (isPlain(bytes) ? bytes : viewOf(bytes))

const prepareBytes = (value) => {
  const bytes = plainBytes(value)
  return keep(Tag.Bytes, bytes.length, bytes)
}

const prepareObject = (value) => {
  if (value === null) return keep(Tag.Null, 0, null)
  if (types.isUint8Array(value)) return prepareBytes(value)
  return prepareClone(value)
}

const prepareOther = (value) => {
  switch (typeof value) {
    case 'string':
      return prepareText(value)
    case 'boolean':
      return keep(value ? Tag.True : Tag.False, 0, value)
    case 'bigint':
      return BigInt.asIntN(64, value) === value ? keep(Tag.BigInt, 8, value) : prepareClone(value)
    case 'object':
      return prepareObject(value)
    default:
      throw notCloned(value)
  }
}

/**
 * Measures a value, and remembers it for write, until the next one of this thread is prepared.
 *
 * @param {unknown} value
 * @returns {number} bytes
 * @throws {TypeError} ERR_INVALID_ARG_TYPE for undefined, and what cannot be cloned
 */
export const prepare = (value) =>
  typeof value === 'number' ? keep(Tag.Number, 8, value) : prepareOther(value)

/** @returns {object} the value that was prepared, for recall after others were; bytes as they are now */
export const retain = () => {
  const { tag, byteLength, value } = prepared
  return { tag, byteLength, value: tag === Tag.Bytes ? new Uint8Array(value) : value }
}

/** Prepares again what retain returned. */
export const recall = ({ tag, byteLength, value }) => {
  keep(tag, byteLength, value)
}

/** Lets go of the value that was prepared. */
export const forget = () => {
  prepared.value = undefined
}

const writeLatin1 = (memory, { u8 }, ptr, text) => {
  if (text.length > SHORT_WRITE) nodeBufferOf(memory).latin1Write(text, ptr, text.length)
  else for (let at = 0; at < text.length; at++) u8[ptr + at] = text.charCodeAt(at)
}

/**
 * Writes the value that was prepared.
 *
 * @param {import('../index.js').LocalSharedMemory} memory
 * @param {number} ptr byte offset
 */
export const write = (memory, ptr) => {
  const { tag, byteLength, value } = prepared
  if (byteLength === 0) return
  const views = viewsCovering(memory, ptr, byteLength, 'ptr')
  if (tag === Tag.Number) views.data.setFloat64(ptr, value, true)
  else if (tag === Tag.Latin1) writeLatin1(memory, views, ptr, value)
  else if (tag === Tag.Utf16) nodeBufferOf(memory).ucs2Write(value, ptr, byteLength)
  else if (tag === Tag.BigInt) views.data.setBigInt64(ptr, value, true)
  else views.u8.set(value, ptr)
}

// Not cleared, as Node.js has it for its own pool: clearing takes a fifth of the time of a long copy, which writes all of it.
const unzeroed = (byteLength) => Buffer.allocUnsafeSlow(byteLength).buffer

/**
 * Copies that lie in one ArrayBuffer, one behind the other, as Node.js has it for its small Buffers: one for each costs more than
 * all else. No place is used twice.
 */
class Pool {
  #buffer
  #byteLength
  #used

  constructor(byteLength) {
    this.#byteLength = byteLength
    this.#used = byteLength
  }

  #renew() {
    this.#buffer = unzeroed(this.#byteLength)
    this.#used = 0
    workerThreads.markAsUntransferable?.(this.#buffer)
  }

  take(byteLength) {
    if (this.#used + byteLength > this.#byteLength) this.#renew()
    const bytes = new Uint8Array(this.#buffer, this.#used, byteLength)
    this.#used += (byteLength + 7) & ~7
    return bytes
  }
}

/** Up to so many bytes are taken from each pool. */
const [SMALL_BYTES, LARGE_BYTES] = [2 ** 12, 2 ** 18]
const small = new Pool(2 ** 16)
const large = new Pool(2 ** 20)

const roomFor = (byteLength) => {
  if (byteLength <= SMALL_BYTES) return small.take(byteLength)
  return byteLength <= LARGE_BYTES ? large.take(byteLength) : new Uint8Array(unzeroed(byteLength))
}

const copyOf = (u8, ptr, byteLength) => {
  const source = u8.subarray(ptr, ptr + byteLength)
  if (byteLength <= INLINE_BYTES) return new Uint8Array(source)
  const bytes = roomFor(byteLength)
  bytes.set(source)
  return bytes
}

const readShort = (u8, ptr, byteLength) => {
  let text = ''
  for (let at = 0; at < byteLength; at++) text += String.fromCharCode(u8[ptr + at])
  return text
}

/**
 * Reads a value with the tag Clone whose bytes were read as such.
 *
 * @param {Uint8Array} bytes this thread's own
 * @returns {unknown}
 * @throws {Error} ERR_HEAP_CORRUPTED when they are no value
 */
export const unclone = (bytes) => {
  try {
    return deserialize(bytes)
  } catch (cause) {
    if (isOutOfStack(cause)) throw cause
    throw heapCorrupted(`A value cannot be read: ${cause.message}`)
  }
}

const readLatin1 = (memory, ptr, byteLength) => {
  const { u8 } = viewsCovering(memory, ptr, byteLength, 'ptr')
  return byteLength > SHORT_READ
    ? nodeBufferOf(memory).latin1Slice(ptr, ptr + byteLength)
    : readShort(u8, ptr, byteLength)
}

const readOther = (memory, ptr, byteLength, tag) => {
  if (tag === Tag.Null) return null
  if (tag === Tag.True || tag === Tag.False) return tag === Tag.True
  const { data, u8 } = viewsCovering(memory, ptr, byteLength, 'ptr')
  if (tag === Tag.Number) return data.getFloat64(ptr, true)
  if (tag === Tag.Utf16) return nodeBufferOf(memory).ucs2Slice(ptr, ptr + byteLength)
  if (tag === Tag.BigInt) return data.getBigInt64(ptr, true)
  if (tag === Tag.Bytes) return copyOf(u8, ptr, byteLength)
  if (tag === Tag.Clone) return unclone(copyOf(u8, ptr, byteLength))
  throw heapCorrupted(`The value at byte ${ptr} has a kind that does not exist: ${tag}`)
}

/**
 * Reads a value. It copies first and then decodes, so that bytes which another thread writes meanwhile give another value or
 * ERR_HEAP_CORRUPTED, and no more.
 *
 * @param {import('../index.js').LocalSharedMemory} memory
 * @param {number} ptr byte offset
 * @param {number} byteLength bytes
 * @param {number} tag
 * @returns {unknown}
 * @throws {RangeError} ERR_OUT_OF_RANGE when the bytes are not inside the memory
 * @throws {Error} ERR_HEAP_CORRUPTED when they are no value
 */
export const read = (memory, ptr, byteLength, tag) =>
  tag === Tag.Latin1 ? readLatin1(memory, ptr, byteLength) : readOther(memory, ptr, byteLength, tag)
