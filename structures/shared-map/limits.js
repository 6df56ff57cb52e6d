// What keeps a map within its limits: eviction by CLOCK, which comes near to the least recently read entry. A hand goes over the
// entries of the shard, spares those that were read since it was there last, and takes the first that was not. A shard
// evicts its own entries before it looks at others.

import * as layout from './layout.js'
import { Shards } from './shards.js'

const {
  BUCKETS,
  BYTES_USED,
  COUNT,
  EVICTIONS,
  EXPIRIES,
  EXPIRING,
  HAND,
  NEXT,
  POINTER_MASK,
  READ_BIT,
  SPARE_COUNT,
  SPARES,
  STRIPE_HITS,
  STRIPE_MISSES,
  SWEEP,
  VERSION,
} = layout

/** Buckets that are searched for expired entries when an entry is added: more than entries can be added meanwhile. */
const SWEPT = 2

/** The shards of a map that has limits, or whose entries expire. */
export class Limited extends Shards {
  /** Whether an entry was taken out that nobody asked for: what was found before may be gone. */
  hasDiscarded = false
  /** An entry that is to be replaced, and its shard: it is not evicted, as it stays when there is no room. */
  #replaced = 0
  #replacedIn = 0

  /** Sets the limits, Infinity for none. */
  limit(maxEntries, maxBytes) {
    this.maxEntries = maxEntries
    this.maxBytes = maxBytes
    this.isLimited = maxEntries !== Infinity || maxBytes !== Infinity
  }

  /** @returns {number} the entries of all shards; those of others while they change */
  countAll() {
    let sum = 0
    for (const shard of this.shards) sum += this.words[shard + COUNT]
    return sum
  }

  /** @returns {number} the bytes that the blocks of all entries take */
  bytesOfAll() {
    let sum = 0
    for (const shard of this.shards) sum += this.floats[(shard + BYTES_USED) >>> 1]
    return sum
  }

  /** @returns {import('../index.js').SharedMapStats} */
  stats() {
    const { floats } = this
    const sum = (words, at) => words.reduce((total, word) => total + floats[(word + at) >>> 1], 0)
    return {
      size: this.countAll(),
      bytes: this.bytesOfAll(),
      hits: sum(this.stripes, STRIPE_HITS),
      misses: sum(this.stripes, STRIPE_MISSES),
      evictions: sum(this.shards, EVICTIONS),
      expiries: sum(this.shards, EXPIRIES),
    }
  }

  /** Notes which entry, 0 for none, is to be replaced, and that none was taken out since. */
  beginReplacing(shard, entry) {
    this.hasDiscarded = false
    this.#replaced = entry
    this.#replacedIn = entry === 0 ? 0 : shard
  }

  /**
   * Evicts until there is room.
   *
   * @param {number} own the shard whose lock this thread has
   * @param {number} entries to be added
   * @param {number} bytes to be added
   */
  makeRoom(own, entries, bytes) {
    let tooMany = this.maxEntries === Infinity ? 0 : this.countAll() + entries - this.maxEntries
    let tooLong = this.maxBytes === Infinity ? 0 : this.bytesOfAll() + bytes - this.maxBytes
    if (tooMany <= 0 && tooLong <= 0) return
    const evictEnough = (shard) => {
      while (tooMany > 0 || tooLong > 0) {
        const freed = this.evictFrom(shard)
        if (freed === 0) return false
        tooMany--
        tooLong -= freed
      }
      return true
    }
    if (!evictEnough(own)) this.#elsewhere(own, evictEnough)
  }

  /** Evicts one entry anywhere, for want of memory; returns whether there was one. */
  evictAny(own) {
    const evictOne = (shard) => this.evictFrom(shard) !== 0
    return evictOne(own) || this.#elsewhere(own, evictOne)
  }

  /** Frees the blocks of one shard that wait to become entries; returns whether there was one. */
  freeSpares(own) {
    const free = (shard) => this.freeSlots(shard + SPARES, SPARE_COUNT)
    return free(own) || this.#elsewhere(own, free)
  }

  // A shard that another thread has is left out: waiting for it with a lock in hand might be waiting for each other.
  #elsewhere(own, isEnoughAfter) {
    return this.shards.some((shard) => {
      if (shard === own || !this.tryLock(shard)) return false
      try {
        this.unsettled(shard)
        const isEnough = isEnoughAfter(shard)
        this.settled(shard)
        return isEnough
      } finally {
        this.unlock(shard)
      }
    })
  }

  /** Evicts an entry of a locked shard; returns the bytes of its block, 0 when there is none. */
  evictFrom(shard) {
    if (this.words[shard + COUNT] <= (shard === this.#replacedIn ? 1 : 0)) return 0
    const buckets = this.words[shard + BUCKETS]
    // Once round to forget what was read, once more to find one.
    for (let passed = 0; passed <= 2 * buckets; passed++) {
      const freed = this.#evictUnread(shard, this.bucketLocked(shard, this.#at(shard, HAND)))
      if (freed !== 0) return freed
      this.#next(shard, HAND)
    }
    throw this.corrupted()
  }

  // Of the entries that were not read the last one, which came first.
  #evictUnread(shard, bucket) {
    const { words } = this
    let victim = 0
    let victimLink = 0
    let link = bucket
    for (let entry = this.follow(link); entry !== 0; entry = this.follow(link)) {
      if ((words[entry + NEXT] & READ_BIT) === 0 && entry !== this.#replaced) {
        victim = entry
        victimLink = link
      }
      link = entry
    }
    if (victim !== 0) return this.discard(shard, victimLink, victim, EVICTIONS)
    for (let entry = this.follow(bucket); entry !== 0; entry = this.follow(entry + NEXT)) {
      words[entry + NEXT] &= POINTER_MASK
    }
    return 0
  }

  /** Takes an entry out, and counts that; returns the bytes of its block. */
  discard(shard, link, entry, counter) {
    const freed = this.lengthOf(entry)
    this.hasDiscarded = true
    this.unlink(shard, link, entry)
    this.floats[(shard + counter) >>> 1] += 1
    return freed
  }

  /** The bucket that a hand is at. */
  #at(shard, hand) {
    const bucket = this.words[shard + hand] >>> 0
    return bucket < this.words[shard + BUCKETS] ? bucket : 0
  }

  #next(shard, hand) {
    const { words } = this
    const bucket = this.#at(shard, hand)
    words[shard + hand] = bucket + 1
    return this.bucketLocked(shard, bucket)
  }

  /** Keeps an entry from eviction for a while, unless the shard is locked or has changed since. */
  markRead(shard, entry, version) {
    if (!this.tryLock(shard)) return
    if (this.words[shard + VERSION] === version) this.words[entry + NEXT] |= READ_BIT
    this.unlock(shard)
  }

  /** Looks for expired entries in a few buckets of a locked shard, others each time. */
  sweep(shard) {
    if (this.words[shard + EXPIRING] === 0) return
    for (let swept = 0; swept < SWEPT; swept++) this.#sweepBucket(shard, this.#next(shard, SWEEP))
  }

  #sweepBucket(shard, bucket) {
    let link = bucket
    for (let entry = this.follow(link); entry !== 0; entry = this.follow(link)) {
      if (this.isExpired(entry)) this.discard(shard, link, entry, EXPIRIES)
      else link = entry
    }
  }
}
