// Going over all entries while other threads add, take out and replace some, and buckets are added: each entry has a place
// that never changes, its hash with the bits in reverse, and the walk goes by places. The entries of a bucket have
// places in one range, whatever the number of buckets, so that what the walk has passed stays passed.

import * as layout from './layout.js'
import { bucketOf, largestPower } from './buckets.js'

const { BUCKETS, HASH, NEXT } = layout

/** So many entries, if there are as many, are read with the lock in hand at once. */
const BATCH = 16
const PLACES = 2 ** 32

/** @returns {number} the bits of a word, the lowest first */
const reverse = (word) => {
  let bits = ((word >>> 1) & 0x55555555) | ((word & 0x55555555) << 1)
  bits = ((bits >>> 2) & 0x33333333) | ((bits & 0x33333333) << 2)
  bits = ((bits >>> 4) & 0x0f0f0f0f) | ((bits & 0x0f0f0f0f) << 4)
  bits = ((bits >>> 8) & 0x00ff00ff) | ((bits & 0x00ff00ff) << 8)
  return ((bits >>> 16) | (bits << 16)) >>> 0
}

/** The place behind those of a bucket. */
const endOf = (bucket, count) => {
  const power = largestPower(count)
  const isHalved = bucket >= power || bucket < count - power
  return reverse(bucket) + PLACES / (isHalved ? 2 * power : power)
}

/**
 * Reads the next entries of a shard.
 *
 * @template T
 * @param {import('./table.js').Table} table
 * @param {number} shard
 * @param {number} from the place to begin with
 * @param {(shard: number, entry: number) => T} read what is wanted of an entry, with the lock in hand
 * @param {T[]} batch what was read is added to it
 * @returns {number} the place to go on with; 2^32 when that was all
 */
const readBatch = (table, shard, from, read, batch) => {
  table.enter(shard)
  try {
    const count = table.words[shard + BUCKETS]
    let place = count === 0 ? PLACES : from
    while (place < PLACES && batch.length < BATCH) {
      const bucket = bucketOf(reverse(place), count)
      readBucket(table, shard, table.bucketLocked(shard, bucket), place, read, batch)
      place = endOf(bucket, count)
    }
    return place
  } finally {
    table.unlock(shard)
  }
}

const readBucket = (table, shard, bucket, from, read, batch) => {
  for (let entry = table.follow(bucket); entry !== 0; entry = table.follow(entry + NEXT)) {
    if (table.isExpired(entry)) continue
    const place = reverse(table.words[entry + HASH] >>> table.shardBits)
    if (place >= from) batch.push(read(shard, entry))
  }
}

/**
 * @template T
 * @param {import('./table.js').Table} table
 * @param {() => void} check throws when the map is no more; anything may happen between two entries
 * @param {(shard: number, entry: number) => T} read
 * @returns {Generator<T>} each entry that stays for the whole time once
 */
export function* walk(table, check, read) {
  for (const shard of table.shards) {
    for (let place = 0; place < PLACES;) {
      check()
      const batch = []
      place = readBatch(table, shard, place, read, batch)
      yield* batch
    }
  }
}
