// What a map does, one operation a method, on arguments that have been checked.
//
// Reading takes no lock and writes nothing that threads share, as a rule: what was read holds if the shard's version is the same
// before and after. Writing takes the shard's lock.
//
// What get and set always do is short, hardly calls private methods, and leaves what is rare to functions of its own: the engine
// puts all of it into one function as long as that has less than some bytes of code, and a private call takes several times those of
// another. A `get` takes 5 to 10 % less for it.

import { heapCorrupted, invalidArgType, outOfRange } from '../../lib/base/errors.js'
import { checkOpen, freeFrom } from '../../lib/memory/placing.js'
import { forget, prepare } from '../codec.js'
import { leastBlock, unpack } from './entries.js'
import { LOST } from './buckets.js'
import * as layout from './layout.js'
import { Limited } from './limits.js'
import { Key, ownKey } from './key.js'
import { callLocked } from './shards.js'
import { stripeFor } from './stripes.js'

const {
  BUCKETS,
  COUNT,
  EXPIRIES,
  FIRST_SHARD,
  FIRST_STRIPE,
  FRESH,
  HASH_KEY,
  LIMITS,
  NEXT,
  READ_BIT,
  SEGMENT_COUNT,
  SEGMENTS,
  SHARD_BITS,
  SHARD_WORDS,
  SPARE_COUNT,
  SPARES,
  STALE,
  STRIPE_COUNT,
  STRIPE_HITS,
  STRIPE_MISSES,
  STRIPE_WORDS,
  VERSION,
} = layout

/** Attempts to read without the lock. */
const ATTEMPTS = 16
/** Errors that leave a shard as it was. Others, such as the end of the stack, come at any moment. */
const UNCHANGED = new Set(['ERR_OUT_OF_MEMORY', 'ERR_OUT_OF_RANGE'])
const HITS = STRIPE_HITS >>> 1
const MISSES = STRIPE_MISSES >>> 1
/** Where there is no room: one or two do as a rule, and each attempt takes the heap some 100 µs. */
const EVICTED_FIRST = 4
/** So many entries are cleared with the lock in hand at once. */
const CLEARED = 256
/** Other processors may take loads out of their order: an atomic store of this thread's own keeps them in it. */
const NEEDS_FENCE = process.arch !== 'x64'
const fence = new Int32Array(new SharedArrayBuffer(4))

const { load } = Atomics
/** A load that comes after all those before it. */
const loadLast = NEEDS_FENCE
  ? (words, index) => {
      Atomics.store(fence, 0, 0)
      return load(words, index)
    }
  : load

const wordsFrom = (first, step, count) => {
  const words = []
  for (let index = 0; index < count; index++) words.push(first + index * step)
  return words
}

/** A map, as one thread has it open. */
export class Table extends Limited {
  /**
   * @param {import('../../index.js').LocalSharedMemory} memory
   * @param {number} ptr pointer to the map's block
   * @param {Int32Array} block its words
   */
  constructor(memory, ptr, block) {
    const bits = block[SHARD_BITS]
    if (block.length !== FIRST_SHARD + (SHARD_WORDS << bits)) {
      throw heapCorrupted(`Something wrote over the map at ${ptr}`)
    }
    super(memory, new Key(block[HASH_KEY], block[HASH_KEY + 1]), bits)
    this.ptr = ptr
    const first = ptr >>> 2
    this.stripe = (first + stripeFor(block, FIRST_STRIPE)) >>> 1
    this.stripes = wordsFrom(first + FIRST_STRIPE, STRIPE_WORDS, STRIPE_COUNT)
    this.firstShard = first + FIRST_SHARD
    this.shardMask = (1 << bits) - 1
    this.shards = wordsFrom(this.firstShard, SHARD_WORDS, 1 << bits)
    const [ttl, maxEntries, maxBytes] = this.floats.subarray((first + LIMITS) >>> 1)
    this.limit(maxEntries, maxBytes)
    this.ttl = ttl
  }

  /** @returns {number} the shard that keys of a hash belong to */
  shardFor(hash) {
    return this.firstShard + (hash & this.shardMask) * SHARD_WORDS
  }

  /** @returns {number} the shard that a word lies in */
  shardAt(word) {
    return word - ((word - this.firstShard) % SHARD_WORDS)
  }

  /** @returns {unknown} for `unpack`; undefined when there is no such key */
  get(key) {
    const shard = this.shardFor(this.key.take(key))
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const version = load(this.words, shard + VERSION)
      if ((version & 1) !== 0) continue
      const entry = this.find(shard, version)
      const value = entry > 0 ? this.tryRead(entry, shard, version) : undefined
      if (entry === LOST || loadLast(this.words, shard + VERSION) !== version) continue
      if (this.isLimited) this.keep(shard, entry, value, version)
      return this.counted(value)
    }
    return this.getLocked(shard)
  }

  // What another thread writes at this moment may look like anything.
  tryRead(entry, shard, version) {
    try {
      return this.isExpired(entry) ? undefined : this.read(entry, shard, version)
    } catch (error) {
      if (loadLast(this.words, shard + VERSION) === version) throw error
      return undefined
    }
  }

  /** @returns {boolean} whether there is such a key */
  has(key) {
    const shard = this.shardFor(this.key.take(key))
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const version = load(this.words, shard + VERSION)
      if ((version & 1) !== 0) continue
      const entry = this.find(shard, version)
      if (entry === LOST) continue
      const isLive = entry !== 0 && !this.isExpired(entry)
      if (loadLast(this.words, shard + VERSION) === version) return isLive
    }
    return this.#lookLocked(shard, (entry) => entry !== 0 && !this.isExpired(entry))
  }

  keep(shard, entry, value, version) {
    if (value === undefined || (this.words[entry + NEXT] & READ_BIT) !== 0) return
    this.markRead(shard, entry, version)
  }

  counted(value) {
    this.floats[this.stripe + (value === undefined ? MISSES : HITS)] += 1
    return value
  }

  getLocked(shard) {
    return this.#lookLocked(shard, (entry) => this.counted(this.#liveValue(shard, entry)))
  }

  #lookLocked(shard, read) {
    this.lock(shard)
    try {
      return read(this.findLocked(shard))
    } finally {
      this.unlock(shard)
    }
  }

  /** Looks for the key in its shard, which this thread may change meanwhile. */
  #locked(key, act) {
    const shard = this.shardFor(this.key.take(key))
    this.enter(shard)
    try {
      return act(shard, this.findLocked(shard))
    } finally {
      this.unlock(shard)
      forget()
    }
  }

  /** @returns {unknown} for `unpack`: the value of an entry that was read thereby; undefined when there is none, or it has expired */
  #liveValue(shard, entry) {
    if (entry === 0 || this.isExpired(entry)) return undefined
    if (this.isLimited) this.words[entry + NEXT] |= READ_BIT
    return this.readLocked(shard, entry)
  }

  /** @returns {number} when what is set now expires, in ms; 0 for never */
  expiryAfter(ttl = this.ttl) {
    return ttl === Infinity ? 0 : Date.now() + ttl
  }

  /** Gives a key the value that was prepared. */
  set(key, ttl) {
    const shard = this.shardFor(this.key.take(key))
    this.enter(shard)
    try {
      this.#put(shard, this.findLocked(shard), this.expiryAfter(ttl))
    } finally {
      this.unlock(shard)
    }
  }

  /** @returns {boolean} whether there was such a key */
  delete(key) {
    return this.#locked(key, (shard, entry) => entry !== 0 && this.#remove(shard, entry))
  }

  /** @returns {unknown} for `unpack`: what the map had; undefined when it has the value now that was prepared */
  insert(key) {
    return this.#locked(key, (shard, entry) => {
      const before = this.#liveValue(shard, entry)
      if (before === undefined) this.#put(shard, entry, this.expiryAfter())
      return before
    })
  }

  /** @returns {number | bigint} the sum */
  increment(key, by) {
    return this.#locked(key, (shard, entry) => {
      const before = unpack(this.#liveValue(shard, entry))
      const sum = before === undefined ? by : addTo(before, by)
      prepare(sum)
      this.#put(shard, entry, before === undefined ? this.expiryAfter() : this.expiryOf(entry))
      return sum
    })
  }

  /** @returns {unknown} what the function made of the value */
  update(key, make) {
    const own = ownKey(key)
    return this.#locked(own, (shard, entry) => {
      const before = this.#liveValue(shard, entry)
      const expires = before === undefined ? undefined : this.expiryOf(entry)
      const after = callLocked(this.words, shard, () => prepareAny(make(unpack(before))))
      // The function may have looked for other keys.
      this.key.take(own)
      const now = this.findLocked(shard)
      if (after !== undefined) this.#put(shard, now, expires ?? this.expiryAfter())
      else if (now !== 0) this.#remove(shard, now)
      return after
    })
  }

  /** Takes out the entry that was just found; whether it had not expired. */
  #remove(shard, entry) {
    const isLive = !this.isExpired(entry)
    this.unsettled(shard)
    if (isLive) this.unlink(shard, this.link, entry)
    else this.discard(shard, this.link, entry, EXPIRIES)
    this.settled(shard)
    return isLive
  }

  /** Takes out all entries that are there now, and of those that are added meanwhile some. */
  clear() {
    checkOpen(this.memory)
    for (const shard of this.shards) {
      for (let bucket = 0; bucket >= 0;) bucket = this.#clearSome(shard, bucket)
    }
  }

  #clearSome(shard, first) {
    this.enter(shard)
    try {
      this.unsettled(shard)
      let left = CLEARED
      let bucket = first
      while (left > 0 && this.words[shard + COUNT] > 0 && bucket < this.words[shard + BUCKETS]) {
        const link = this.bucketLocked(shard, bucket)
        const entry = this.follow(link)
        if (entry === 0) bucket++
        else {
          this.unlink(shard, link, entry)
          left--
        }
      }
      this.settled(shard)
      return left > 0 ? -1 : bucket
    } finally {
      this.unlock(shard)
    }
  }

  /** Frees all that hangs on the map's block. Whoever ends in the middle of it leaves the rest for the next one. */
  freeAll() {
    this.clear()
    for (const shard of this.shards) {
      this.enter(shard)
      try {
        this.words[shard + BUCKETS] = 0
        this.freeSlots(shard + SPARES, SPARE_COUNT)
        this.freeSlots(shard + SEGMENTS, SEGMENT_COUNT)
      } finally {
        this.unlock(shard)
      }
    }
  }

  /** Writes the value over an entry, or in a new one. */
  #put(shard, entry, expires) {
    if (entry !== 0 && this.overwrite(entry, expires)) return
    this.unsettled(shard)
    const old = this.#prepare(shard, entry)
    this.place(shard, old, expires)
    this.sweep(shard)
    this.grow(shard)
    this.settled(shard)
  }

  // Gets the block for the new entry, and room for it; returns the entry that it takes the place of.
  #prepare(shard, entry) {
    try {
      return this.isLimited ? this.#fetchWithin(shard, entry) : this.#fetch(shard, entry)
    } catch (error) {
      if (UNCHANGED.has(error.code)) this.#giveUp(shard)
      throw error
    }
  }

  #giveUp(shard) {
    freeFrom(this.memory, 4 * (shard + FRESH))
    if (this.words[shard + STALE] === 0) this.settled(shard)
  }

  #fetch(shard, entry) {
    this.#take(shard)
    return entry
  }

  // The same within the limits. How large a block is turns out when it is there.
  #fetchWithin(shard, entry) {
    this.beginReplacing(shard, entry)
    const least = leastBlock(this.entryLength)
    this.#makeRoomFor(shard, entry, least)
    this.#take(shard)
    const length = this.lengthOf(this.words[shard + FRESH] >>> 2)
    if (length > least) this.#makeRoomFor(shard, entry, length)
    return entry === 0 || !this.hasDiscarded ? entry : this.findLocked(shard)
  }

  // The first buckets too, if there are none.
  #take(shard) {
    for (let failures = 1; ; failures++) {
      try {
        if (this.words[shard + BUCKETS] === 0) this.#begin(shard)
        return this.takeBlock(shard)
      } catch (error) {
        if (error.code !== 'ERR_OUT_OF_MEMORY' || !this.#giveBack(shard, failures)) throw error
      }
    }
  }

  #begin(shard) {
    this.begin(shard)
    this.findLocked(shard)
  }

  /**
   * Gives blocks back to the heap, which has no room for another one: an entry's, and, where some of those did not help, those that wait to
   * become entries, as they may lie between all that is free.
   */
  #giveBack(shard, failures) {
    const isFreed = failures > EVICTED_FIRST && this.freeSpares(shard)
    const isEvicted = this.isLimited && !this.#isTooLong && this.evictAny(shard)
    return isEvicted || isFreed || this.freeSpares(shard)
  }

  /** Whether there would be no room if all entries were evicted. */
  get #isTooLong() {
    const lacking = this.entryLength - this.bytesOfAll()
    if (lacking <= 0) return false
    const { freeBytes, cachedBytes } = this.memory.stats()
    return lacking > freeBytes + cachedBytes
  }

  #makeRoomFor(shard, entry, length) {
    if (length > this.maxBytes) {
      throw outOfRange('value', `of no more than ${this.maxBytes} bytes with its key`, length)
    }
    if (entry === 0) this.makeRoom(shard, 1, length)
    else this.makeRoom(shard, 0, length - this.lengthOf(entry))
  }
}

/** Prepares a value unless it is undefined, which may run its getters; returns it. */
const prepareAny = (value) => {
  if (value !== undefined) prepare(value)
  return value
}

const addTo = (before, by) => {
  if (typeof before === typeof by) return before + by
  const isCount = typeof before === 'number' || typeof before === 'bigint'
  throw isCount
    ? invalidArgType('by', `a ${typeof before}, as the value is`, by)
    : invalidArgType('the value', `a ${typeof by}, to be incremented`, before)
}
