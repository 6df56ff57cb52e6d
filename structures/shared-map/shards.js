// The lock of a shard, and what is done when whoever held it ended, or was thrown out, in the middle: every entry is in
// its bucket then, or in MOVING; what is not an entry is found in FRESH or STALE. The rest is counted again.

import { deadlock } from '../../lib/base/errors.js'
import { freeFrom } from '../../lib/memory/placing.js'
import { newRunner } from '../../lib/base/running.js'
import { lockOrResume, tryLock, unlock } from '../lock.js'
import { Entries } from './entries.js'
import * as layout from './layout.js'

const {
  BUCKETS,
  BYTES_USED,
  COUNT,
  DIRTY,
  EXPIRING,
  FRESH,
  GRAIN,
  LOCK,
  MOVING,
  NEXT,
  REACH,
  SPARE_COUNT,
  SPARES,
  STALE,
  UPDATING,
} = layout

const { run, isRunning } = newRunner()

/** The words of the memory, and the one that says so, while this thread runs a user's code with a lock in hand. */
let updating

/**
 * Whether this thread runs such code: then it must not wait for another. What was cut short is like an operation of the package that
 * was: whoever comes next resumes the lock.
 */
const isUpdating = () => {
  if (updating === undefined || isRunning()) return updating !== undefined
  updating.words[updating.at] = 0
  updating = undefined
  return false
}

/** Calls a function that runs a user's code, with the lock of a shard in hand. */
export const callLocked = (words, shard, act) => {
  const at = shard + UPDATING
  words[at] = 1
  updating = { words, at }
  try {
    return run(act)
  } finally {
    updating = undefined
    words[at] = 0
  }
}

/** The shards of a map, each behind its lock. */
export class Shards extends Entries {
  /**
   * Locks a shard, which is whole then.
   *
   * @param {number} shard
   * @throws {Error} ERR_DEADLOCK in a function that was given to `update`
   */
  enter(shard) {
    if (isUpdating())
      throw deadlock('A function given to update must not change or walk a SharedMap')
    this.lock(shard)
  }

  /** The same for reading what could not be read otherwise: it never waits for one that waits for this thread. */
  lock(shard) {
    lockOrResume(this.words, shard + LOCK, shard + UPDATING)
    try {
      this.mend(shard)
    } catch (error) {
      unlock(this.words, shard + LOCK)
      throw error
    }
  }

  /** @returns {boolean} whether it could be had at once */
  tryLock(shard) {
    const outcome = tryLock(this.words, shard + LOCK)
    if (outcome === false) return false
    try {
      if (outcome === 'ownerDied') this.words[shard + UPDATING] = 0
      this.mend(shard)
      return true
    } catch (error) {
      unlock(this.words, shard + LOCK)
      throw error
    }
  }

  unlock(shard) {
    unlock(this.words, shard + LOCK)
  }

  mend(shard) {
    this.steps = this.wordLimit
    if (this.words[shard + DIRTY] !== 0) this.#repair(shard)
    const end = this.words[shard + REACH] * GRAIN
    if (end > this.byteLimit) this.reaches(end)
  }

  #repair(shard) {
    this.lookNow()
    // Whoever ended may have had no time to note how far the shard's blocks reach.
    this.words[shard + REACH] = this.byteLimit / GRAIN
    this.open(shard)
    if (this.words[shard + BUCKETS] !== 0) {
      this.#settleMoving(shard)
      this.fillLast(shard)
    }
    this.#recountAll(shard)
    this.#settleHand(shard, FRESH)
    this.#settleHand(shard, STALE)
    this.close(shard)
    this.settled(shard)
  }

  /** An entry on its way arrives, unless it has not set out. */
  #settleMoving(shard) {
    const { words } = this
    const entry = words[shard + MOVING] >>> 2
    if (entry !== 0 && !this.#isInAnyBucket(shard, entry)) {
      this.pushEntry(this.bucketFor(shard, entry), entry)
    }
    words[shard + MOVING] = 0
  }

  #isInAnyBucket(shard, wanted) {
    let found = false
    this.eachEntry(shard, (entry) => {
      if (entry === wanted) found = true
    })
    return found
  }

  #recountAll(shard) {
    const { words, floats } = this
    words[shard + COUNT] = 0
    words[shard + EXPIRING] = 0
    floats[(shard + BYTES_USED) >>> 1] = 0
    const hands = [FRESH, STALE]
    this.eachEntry(shard, (entry) => {
      this.recount(shard, entry)
      for (const hand of hands) if (words[shard + hand] >>> 2 === entry) words[shard + hand] = 0
    })
  }

  /** A block that is in no bucket, and no spare, is nobody's. */
  #settleHand(shard, hand) {
    const { words } = this
    const pointer = words[shard + hand]
    if (pointer === 0) return
    const spares = words.subarray(shard + SPARES, shard + SPARES + SPARE_COUNT)
    if (spares.includes(pointer)) words[shard + hand] = 0
    else freeFrom(this.memory, 4 * (shard + hand))
  }

  /**
   * @param {number} shard
   * @param {(entry: number) => void} visit
   * @throws {Error} ERR_HEAP_CORRUPTED
   */
  eachEntry(shard, visit) {
    const buckets = this.words[shard + BUCKETS]
    for (let bucket = 0; bucket < buckets; bucket++) {
      let entry = this.follow(this.bucketLocked(shard, bucket))
      while (entry !== 0) {
        visit(entry)
        entry = this.follow(entry + NEXT)
      }
    }
  }
}
