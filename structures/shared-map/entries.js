// Entries: made aside, put into their bucket by one store, taken out by one store. The block that an entry is made of is
// in one of three places at every moment, all of them words of the shard: in a bucket, among the spares, or in its hands
// (FRESH and STALE). So a thread that ends between two instructions loses none.

import { freeFrom, mallocInto } from '../../lib/memory/placing.js'
import { prepared, read, Tag, unclone, write } from '../codec.js'
import { Buckets } from './buckets.js'
import * as layout from './layout.js'

const {
  BYTES_USED,
  COUNT,
  DIRTY,
  ENTRY_HEAD,
  EXPIRES,
  EXPIRING,
  FRESH,
  GRAIN,
  HASH,
  KEY,
  TAG_BITS,
  META,
  NEXT,
  POINTER_MASK,
  REACH,
  SPARE_COUNT,
  SPARES,
  STALE,
  VALUE_LENGTH,
  VALUE_TAG_SHIFT,
  VERSION,
} = layout

/** Bytes of a block's header: first the bytes that were asked for, then those that the block takes. */
const HEADER = 8
const NUMBER = Tag.Number
const BIGINT = Tag.BigInt
const ASKED = -2
const TAKEN = -1
/** A longer value is read only where it is known to be one, so that none is read in vain. */
const LONG_VALUE = 4096

/** Bytes: larger blocks go back to the heap at once. */
const LARGEST_SPARE = 2048

const alignUp = (byteLength) => (byteLength + 7) & -8

/** The entries of a map. */
export class Entries extends Buckets {
  /** Bytes that the entry of the present key and the prepared value takes. */
  get entryLength() {
    return ENTRY_HEAD + alignUp(this.key.byteLength) + prepared.byteLength
  }

  /** Fetches a block into a word of a shard. */
  reserve(byteLength, slot) {
    const ptr = mallocInto(this.memory, 4 * slot, byteLength, 'SharedMap')
    this.reaches(ptr + byteLength)
    const shard = this.shardAt(slot)
    const reach = Math.ceil((ptr + byteLength) / GRAIN)
    if (reach > this.words[shard + REACH]) this.words[shard + REACH] = reach
  }

  /** @returns {number} the bytes that an entry's block takes */
  lengthOf(entry) {
    return this.words[entry + TAKEN] >>> 0
  }

  /** @returns {number} when an entry expires, in ms; 0 for never */
  expiryOf(entry) {
    return this.floats[(entry + EXPIRES) >>> 1]
  }

  /** @returns {boolean} whether an entry's time has passed */
  isExpired(entry) {
    const expires = this.expiryOf(entry)
    return expires !== 0 && expires <= Date.now()
  }

  /** The word that an entry's value begins with: an even one. */
  #valueAt(entry) {
    return entry + KEY + (alignUp(this.words[entry + META] >>> 8) >>> 2)
  }

  #tagOf(entry) {
    return (this.words[entry + META] >>> VALUE_TAG_SHIFT) & TAG_BITS
  }

  /**
   * Reads an entry's value.
   *
   * @param {number} entry
   * @param {number} shard
   * @param {number} version the shard's, when the entry was found
   * @returns {unknown} for `unpack`; anything when the shard has changed since
   * @throws {Error} ERR_HEAP_CORRUPTED, also when the shard has changed since
   */
  read(entry, shard, version) {
    const at = this.#valueAt(entry)
    return this.#tagOf(entry) === NUMBER && at < this.wordLimit
      ? this.floats[at >>> 1]
      : this.#readOther(entry, at, shard, version)
  }

  #readOther(entry, at, shard, version) {
    const { words } = this
    const tag = this.#tagOf(entry)
    const byteLength = words[entry + VALUE_LENGTH] >>> 0
    const ptr = 4 * at
    if (ptr + byteLength > this.byteLimit && !this.reaches(ptr + byteLength)) throw this.corrupted()
    if (tag === BIGINT && at < this.wordLimit) return this.longs[at >>> 1]
    if (byteLength > LONG_VALUE && words[shard + VERSION] !== version) return undefined
    return tag === Tag.Clone
      ? new Packed(read(this.memory, ptr, byteLength, Tag.Bytes))
      : read(this.memory, ptr, byteLength, tag)
  }

  /** @returns {unknown} an entry's value, for `unpack`, with the lock in hand */
  readLocked(shard, entry) {
    return this.read(entry, shard, this.words[shard + VERSION])
  }

  /**
   * @returns {unknown} an entry's key, with the lock in hand
   * @throws {Error} ERR_HEAP_CORRUPTED
   */
  readKey(entry) {
    const meta = this.words[entry + META]
    const ptr = 4 * (entry + KEY)
    const byteLength = meta >>> 8
    if (!this.reaches(ptr + byteLength)) throw this.corrupted()
    return read(this.memory, ptr, byteLength, meta & TAG_BITS)
  }

  /**
   * Writes the prepared value over that of an entry, if one store does it: a number's or a bigint's, in an array of such, or what kind
   * of value it is, where neither has bytes. Others are written by several, and would be read half.
   *
   * @param {number} entry
   * @param {number} expires
   * @returns {boolean} whether it did
   */
  overwrite(entry, expires) {
    const { tag, value } = prepared
    if (tag > BIGINT || this.expiryOf(entry) !== expires) return false
    const before = this.#tagOf(entry)
    if (tag >= NUMBER) {
      if (before !== tag) return false
      const at = this.#valueAt(entry) >>> 1
      if (tag === NUMBER) this.floats[at] = value
      else this.longs[at] = value
    } else {
      if (before >= NUMBER) return false
      this.words[entry + META] = this.key.tag | (tag << VALUE_TAG_SHIFT)
    }
    return true
  }

  /**
   * Fetches the block of a new entry into FRESH, from the spares if one fits.
   *
   * @param {number} shard
   * @throws {RangeError} ERR_OUT_OF_MEMORY
   */
  takeBlock(shard) {
    const { words, entryLength } = this
    const slot = shard + SPARES + spareFor(entryLength)
    const spare = words[slot] >>> 2
    const asked = spare === 0 ? 0 : words[spare + ASKED] >>> 0
    if (asked < entryLength || asked > entryLength + GRAIN) {
      return this.reserve(entryLength, shard + FRESH)
    }
    words[shard + FRESH] = words[slot]
    words[slot] = 0
  }

  /** Frees the blocks that words next to each other hold, if any; returns whether there was one. */
  freeSlots(first, count) {
    let isAny = false
    for (let slot = first; slot < first + count; slot++) {
      if (this.words[slot] === 0) continue
      freeFrom(this.memory, 4 * slot)
      isAny = true
    }
    return isAny
  }

  /** Makes an entry of the block in FRESH, of the key that was looked for last and the prepared value. */
  #fill(shard, expires) {
    const { words, floats, key } = this
    const entry = words[shard + FRESH] >>> 2
    words[entry + NEXT] = 0
    words[entry + HASH] = key.hash
    words[entry + META] = key.tag | (prepared.tag << VALUE_TAG_SHIFT)
    words[entry + VALUE_LENGTH] = prepared.byteLength
    floats[(entry + EXPIRES) >>> 1] = expires
    const wordCount = (key.byteLength + 3) >>> 2
    for (let word = 0; word < wordCount; word++) words[entry + KEY + word] = key.words[word]
    write(this.memory, 4 * this.#valueAt(entry))
    return entry
  }

  /**
   * Puts the block in FRESH into the map, as an entry.
   *
   * @param {number} shard
   * @param {number} old the entry that it takes the place of, 0 for none
   * @param {number} expires
   */
  place(shard, old, expires) {
    const { words } = this
    const entry = this.#fill(shard, expires)
    this.#count(shard, entry, 1)
    if (old === 0) this.pushEntry(this.bucket, entry)
    else {
      words[shard + STALE] = old << 2
      words[entry + NEXT] = words[old + NEXT]
      this.point(this.link, entry << 2)
    }
    words[shard + FRESH] = 0
    if (old !== 0) this.#retire(shard, old)
  }

  /** Takes out the entry that a link leads to. */
  unlink(shard, link, entry) {
    const { words } = this
    words[shard + STALE] = entry << 2
    this.point(link, words[entry + NEXT] & POINTER_MASK)
    this.#retire(shard, entry)
  }

  /** What was in STALE becomes a spare, or a free block. */
  #retire(shard, entry) {
    const { words } = this
    this.#count(shard, entry, -1)
    this.close(shard)
    const slot = shard + SPARES + spareFor(words[entry + ASKED])
    if (words[slot] !== 0 || words[entry + ASKED] >>> 0 > LARGEST_SPARE) {
      freeFrom(this.memory, 4 * (shard + STALE))
      return
    }
    words[slot] = entry << 2
    words[shard + STALE] = 0
  }

  #count(shard, entry, by) {
    const { words, floats } = this
    words[shard + COUNT] += by
    floats[(shard + BYTES_USED) >>> 1] += by * this.lengthOf(entry)
    if (this.expiryOf(entry) !== 0) words[shard + EXPIRING] += by
  }

  /** The shard's counters, from an entry that is in a bucket. */
  recount(shard, entry) {
    this.#count(shard, entry, 1)
  }

  /** From here to `settled` whoever gets the lock repairs the shard. */
  unsettled(shard) {
    this.words[shard + DIRTY] = 1
  }

  settled(shard) {
    this.words[shard + DIRTY] = 0
  }
}

/** A value that is yet to be deserialized: not before its bytes are known to be those of one value. */
class Packed {
  #bytes

  constructor(bytes) {
    this.#bytes = bytes
  }

  unpack() {
    return unclone(this.#bytes)
  }
}

/** @returns {unknown} the value, for what `read` has read */
export const unpack = (value) => (value instanceof Packed ? value.unpack() : value)

const spareFor = (byteLength) => ((byteLength + HEADER + GRAIN - 1) >>> 4) & (SPARE_COUNT - 1)

/** Bytes that a block of a length takes at the least. */
export const leastBlock = (byteLength) => Math.ceil((byteLength + HEADER) / GRAIN) * GRAIN
