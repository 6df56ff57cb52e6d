// A key as this thread looks for it: its bytes, padded with zeros to whole words, in memory of this thread's own, and their
// hash. There is one place for it, which the next key takes: looking for a number or a short string allocates nothing.

import { types } from 'node:util'
import { serialize } from 'node:v8'
import { invalidArgType, outOfRange } from '../../lib/base/errors.js'
import { plainBytes, Tag } from '../codec.js'
import { halfSipHash } from './hash.js'

/** Bytes. The length of a key shares a word with what it is. */
const LONGEST_KEY = 2 ** 24 - 1
/** Up to here, in units, a loop copies a string faster than the engine's own method. */
const SHORT = 24
const FIRST_ROOM = 1024
const WIDE = /[\u0100-\uffff]/
/** The words of the one NaN that all NaNs are here. */
const NAN_LOW = 0
const NAN_HIGH = 0x7ff80000

/** @returns {unknown} the same key, which nobody changes: bytes are copied */
export const ownKey = (key) => (types.isUint8Array(key) ? new Uint8Array(plainBytes(key)) : key)

/** The key that this thread works with. */
export class Key {
  /** What its bytes are, and from bit 8 on how many. */
  tag = 0
  byteLength = 0
  hash = 0

  /**
   * @param {number} key0 the hash's key, 32 bits
   * @param {number} key1 its second half
   */
  constructor(key0, key1) {
    this.key0 = key0
    this.key1 = key1
    this.#reserve(FIRST_ROOM)
  }

  #reserve(byteLength) {
    const buffer = new ArrayBuffer(byteLength)
    this.room = byteLength
    this.words = new Int32Array(buffer)
    this.floats = new Float64Array(buffer)
    this.longs = new BigInt64Array(buffer)
    this.bytes = Buffer.from(buffer)
  }

  /**
   * Takes up a key.
   *
   * @param {unknown} key
   * @returns {number} its hash
   * @throws {TypeError} ERR_INVALID_ARG_TYPE when it cannot be a key
   * @throws {RangeError} ERR_OUT_OF_RANGE when it is longer than keys may be
   */
  take(key) {
    return typeof key === 'number' ? this.#takeNumber(key) : this.#takeOther(key)
  }

  #takeOther(key) {
    if (typeof key === 'string') return this.#takeString(key)
    if (typeof key === 'bigint') return this.#takeBigInt(key)
    if (types.isUint8Array(key)) return this.#takeBytes(plainBytes(key), Tag.Bytes)
    throw invalidArgType('key', 'a string, a number, a bigint or a Uint8Array', key)
  }

  #takeNumber(key) {
    // Adding 0 makes 0 of -0.
    this.floats[0] = key + 0
    return Number.isNaN(key) ? this.#takeNaN() : this.#finish(Tag.Number, 8)
  }

  #takeNaN() {
    this.words[0] = NAN_LOW
    this.words[1] = NAN_HIGH
    return this.#finish(Tag.Number, 8)
  }

  #takeBigInt(key) {
    // What serialize makes of a bigint is the same each time.
    if (BigInt.asIntN(64, key) !== key) return this.#takeBytes(serialize(key), Tag.Clone)
    this.longs[0] = key
    return this.#finish(Tag.BigInt, 8)
  }

  #takeString(key) {
    const { length } = key
    if (length > SHORT) return WIDE.test(key) ? this.#takeUtf16(key) : this.#takeLatin1(key)
    const { words } = this
    let seen = 0
    let word = 0
    for (let at = 0; at < length; at++) {
      const unit = key.charCodeAt(at)
      seen |= unit
      word |= unit << ((at & 3) << 3)
      if ((at & 3) === 3) {
        words[at >>> 2] = word
        word = 0
      }
    }
    if (seen > 0xff) return this.#takeUtf16(key)
    words[length >>> 2] = word
    return this.#finish(Tag.Latin1, length)
  }

  #takeLatin1(text) {
    const { length } = text
    this.#begin(length)
    this.bytes.latin1Write(text, 0, length)
    return this.#finish(Tag.Latin1, length)
  }

  #takeUtf16(text) {
    const byteLength = 2 * text.length
    this.#begin(byteLength)
    this.bytes.ucs2Write(text, 0, byteLength)
    return this.#finish(Tag.Utf16, byteLength)
  }

  #takeBytes(bytes, tag) {
    this.#begin(bytes.length)
    this.bytes.set(bytes)
    return this.#finish(tag, bytes.length)
  }

  /** Makes room, and clears the word that the last bytes do not fill. */
  #begin(byteLength) {
    if (byteLength > LONGEST_KEY) {
      throw outOfRange('key', `at most ${LONGEST_KEY} bytes`, byteLength)
    }
    if (byteLength + 4 > this.room) this.#reserve((byteLength + 4 + FIRST_ROOM) & -FIRST_ROOM)
    this.words[byteLength >>> 2] = 0
  }

  #finish(tag, byteLength) {
    this.tag = (byteLength << 8) | tag
    this.byteLength = byteLength
    this.hash = halfSipHash(this.key0, this.key1, this.words, byteLength)
    return this.hash
  }
}
