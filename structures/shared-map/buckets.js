// The buckets of a shard, by linear hashing: the table grows by one bucket at a time, which takes its entries from one
// other, so that no thread ever waits for a large table to be copied. Every entry is reached from its bucket at every
// moment, but for one that is being moved: MOVING leads to that.

import { heapCorrupted } from '../../lib/base/errors.js'
import * as layout from './layout.js'
import { Space } from './space.js'

const {
  BUCKETS,
  COUNT,
  FIRST_BUCKETS,
  HASH,
  KEY,
  MAX_BUCKETS,
  META,
  MOVING,
  NEXT,
  POINTER_MASK,
  READ_BIT,
  SEGMENTS,
  KEY_MASK,
  VERSION,
} = layout

/** What a search answers that ran into something which is no entry. */
export const LOST = -1
/** After so many steps a search makes sure that it is still on an entry. */
const LONG_CHAIN = 256
/** Words of the memory for each entry, at the least: no chain has more entries. */
const LEAST_SHIFT = 3

export const largestPower = (count) => 1 << (31 - Math.clz32(count))

/** The number of the bucket, of `count`, that entries of a hash belong to. */
export const bucketOf = (hash, count) => {
  const mask = -1 >>> Math.clz32(count)
  const bucket = hash & mask
  return bucket < count ? bucket : bucket & (mask >>> 1)
}

const segmentOf = (bucket) => 28 - Math.clz32(bucket | (FIRST_BUCKETS - 1))

/** The number of buckets in a segment, and of those before it but for the first, which has none before it. */
const sizeOf = (segment) => FIRST_BUCKETS << Math.max(segment - 1, 0)

/** The buckets of a map. */
export class Buckets extends Space {
  /** What the last search has met: the word that leads to the entry, and the bucket. */
  link = 0
  bucket = 0
  /** How many more there may be until the lock is given back. */
  steps = 0

  /**
   * @param {import('../../index.js').LocalSharedMemory} memory
   * @param {import('./key.js').Key} key the key that this thread works with
   * @param {number} shardBits how many bits of a hash choose the shard
   */
  constructor(memory, key, shardBits) {
    super(memory)
    this.key = key
    this.shardBits = shardBits
  }

  /** @returns {number} the word of a bucket */
  bucketAt(shard, bucket) {
    const segment = segmentOf(bucket)
    // Each segment but the first begins with a power of two.
    const first = ((FIRST_BUCKETS << segment) >>> 1) & -FIRST_BUCKETS
    return (this.words[shard + SEGMENTS + segment] >>> 2) + bucket - first
  }

  /** The same with the lock in hand. */
  bucketLocked(shard, bucket) {
    const word = this.bucketAt(shard, bucket)
    if (word >>> 0 >= this.wordLimit) throw this.corrupted()
    return word
  }

  /**
   * Looks for the key.
   *
   * @param {number} shard
   * @param {number} version the shard's, when the search began
   * @returns {number} the word of the entry, 0 when there is none, LOST when the shard has changed on the way
   */
  find(shard, version) {
    const { words, wordLimit } = this
    const { hash, tag } = this.key
    const count = words[shard + BUCKETS]
    if (count === 0) return 0
    let link = this.bucketAt(shard, bucketOf(hash >>> this.shardBits, count))
    this.bucket = link
    if (link >>> 0 >= wordLimit) return this.findBeyond(shard, version, link)
    for (let steps = 1; ; steps++) {
      const entry = (words[link] & POINTER_MASK) >>> 2
      if (entry === 0) return 0
      if (entry + KEY >= wordLimit) return this.findBeyond(shard, version, entry)
      const isLike = words[entry + HASH] === hash && (words[entry + META] & KEY_MASK) === tag
      if (isLike && this.isKey(entry + KEY)) {
        this.link = link
        return entry
      }
      link = entry
      if (steps % LONG_CHAIN === 0 && this.isLost(shard, version, steps)) return LOST
    }
  }

  isLost(shard, version, steps) {
    return steps >= this.wordLimit >>> LEAST_SHIFT || this.words[shard + VERSION] !== version
  }

  /** Begins again when the memory has grown, gives up when the word is none. */
  findBeyond(shard, version, word) {
    const { byteLimit } = this
    return this.reaches(4 * (word + KEY)) && this.byteLimit > byteLimit
      ? this.find(shard, version)
      : LOST
  }

  isKey(at) {
    const { words } = this
    const { words: key, byteLength } = this.key
    if (at + (byteLength >>> 2) >= this.wordLimit) return false
    for (let word = (byteLength + 3) >>> 2; word-- > 0;) {
      if (words[at + word] !== key[word]) return false
    }
    return true
  }

  /**
   * Looks for the key with the shard's lock in hand.
   *
   * @param {number} shard
   * @returns {number} the word of the entry, 0 when there is none; `link` and `bucket` lead to it
   * @throws {Error} ERR_HEAP_CORRUPTED
   */
  findLocked(shard) {
    const entry = this.find(shard, this.words[shard + VERSION])
    if (entry === LOST) throw this.corrupted()
    return entry
  }

  corrupted() {
    return heapCorrupted(`Something wrote over the map at ${this.ptr}`)
  }

  /**
   * Goes one step on, with the lock in hand.
   *
   * @param {number} link a word
   * @returns {number} the word of the entry that it leads to, 0 when it leads nowhere
   * @throws {Error} ERR_HEAP_CORRUPTED when that is outside the memory, or there were more steps than there can be entries
   */
  follow(link) {
    const entry = (this.words[link] & POINTER_MASK) >>> 2
    if (entry + KEY >= this.wordLimit || this.steps-- === 0) throw this.corrupted()
    return entry
  }

  /** Points a link elsewhere, in one step. */
  point(link, pointer) {
    Atomics.store(this.words, link, pointer | (this.words[link] & READ_BIT))
  }

  /**
   * Adds a bucket, if there is room for it, when there are fewer than entries.
   *
   * @param {number} shard
   */
  grow(shard) {
    const { words } = this
    const count = words[shard + BUCKETS]
    if (words[shard + COUNT] <= count || count >= MAX_BUCKETS) return
    if (!this.#hasRoomFor(shard, count)) return
    this.open(shard)
    this.words[this.bucketLocked(shard, count)] = 0
    this.words[shard + BUCKETS] = count + 1
    this.fillLast(shard)
    this.close(shard)
  }

  /** Makes the first buckets. */
  begin(shard) {
    if (this.words[shard + BUCKETS] !== 0) return
    this.#reserveSegment(shard, 0)
    const first = this.bucketLocked(shard, 0)
    this.words.fill(0, first, first + FIRST_BUCKETS)
    this.words[shard + BUCKETS] = FIRST_BUCKETS
  }

  #hasRoomFor(shard, bucket) {
    try {
      this.#reserveSegment(shard, segmentOf(bucket))
      return true
    } catch {
      return false
    }
  }

  // Whoever began it before may have ended before it was used.
  #reserveSegment(shard, segment) {
    const slot = shard + SEGMENTS + segment
    if (this.words[slot] === 0) this.reserve(4 * sizeOf(segment), slot)
  }

  /** Tells those who read without the lock that entries are on the move. */
  open(shard) {
    const { words } = this
    Atomics.store(words, shard + VERSION, words[shard + VERSION] | 1)
    // Keeps the stores that follow behind this one, on processors that would not.
    Atomics.load(words, shard + VERSION)
  }

  /** What was read before this is void. */
  close(shard) {
    const { words } = this
    Atomics.store(words, shard + VERSION, ((words[shard + VERSION] | 1) + 1) | 0)
    Atomics.load(words, shard + VERSION)
  }

  /** Moves the entries of the last bucket there from the one that they were in. */
  fillLast(shard) {
    const { words } = this
    const count = words[shard + BUCKETS]
    const last = count - 1
    if (last < FIRST_BUCKETS) return
    const target = this.bucketLocked(shard, last)
    let link = this.bucketLocked(shard, last - largestPower(last))
    for (let entry = this.follow(link); entry !== 0; entry = this.follow(link)) {
      if (bucketOf(words[entry + HASH] >>> this.shardBits, count) !== last) link = entry
      else this.#move(shard, link, entry, target)
    }
  }

  #move(shard, link, entry, target) {
    const { words } = this
    words[shard + MOVING] = entry << 2
    words[link] = (words[entry + NEXT] & POINTER_MASK) | (words[link] & READ_BIT)
    this.pushEntry(target, entry)
    words[shard + MOVING] = 0
  }

  /** Puts an entry in front of a bucket's others. */
  pushEntry(bucket, entry) {
    this.words[entry + NEXT] = this.words[bucket] | (this.words[entry + NEXT] & READ_BIT)
    this.point(bucket, entry << 2)
  }

  /** @returns {number} the word of the bucket that an entry belongs to */
  bucketFor(shard, entry) {
    const { words } = this
    const bucket = bucketOf(words[entry + HASH] >>> this.shardBits, words[shard + BUCKETS])
    return this.bucketLocked(shard, bucket)
  }
}
