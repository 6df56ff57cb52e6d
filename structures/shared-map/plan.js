// What a map is made with: its options, checked, and the first words of its block.

import { randomInt } from 'node:crypto'
import {
  checkInteger,
  checkObject,
  invalidArgType,
  MAX_BYTES,
  outOfRange,
} from '../../lib/base/errors.js'
import { HEADER_WORDS } from '../structure.js'
import { FIRST_SHARD, FIRST_STRIPE, HASH_KEY, LIMITS, SHARD_BITS, SHARD_WORDS } from './layout.js'

const WORD = 4
const ANY_WORD = 2 ** 32
/** A line of the processor's cache: what two threads write is never in one. */
const LINE = 64
/** A map is divided into no more than 2^6 shards. */
const MOST_SHARD_BITS = 6
/** A shard of a map with limits has room for so many entries and bytes, so that there is a choice of what to evict. */
const ENTRIES_OF_SHARD = 64
const BYTES_OF_SHARD = 64 * 1024

const shardBitsFor = ({ maxEntries, maxBytes }) => {
  const shards = Math.min(maxEntries / ENTRIES_OF_SHARD, maxBytes / BYTES_OF_SHARD)
  return Math.min(MOST_SHARD_BITS, Math.max(0, Math.floor(Math.log2(shards))))
}

/**
 * @param {string} name the argument
 * @param {unknown} ttl
 * @throws {TypeError} ERR_INVALID_ARG_TYPE when it is not a number
 * @throws {RangeError} ERR_OUT_OF_RANGE when it is not a time in ms above 0
 */
export const checkTtl = (name, ttl) => {
  if (typeof ttl !== 'number') throw invalidArgType(name, 'a number', ttl)
  if (!(ttl > 0)) throw outOfRange(name, 'above 0 ms', ttl)
}

const checkLimit = (name, limit, unit) => {
  if (limit !== Infinity) checkInteger(name, limit, 1, MAX_BYTES, unit)
}

const checkSettings = (settings) => {
  checkTtl('options.ttl', settings.ttl)
  checkLimit('options.maxEntries', settings.maxEntries, 'entries')
  checkLimit('options.maxBytes', settings.maxBytes, 'bytes')
  return settings
}

const wordsFor = (settings, shardBits) => {
  const words = new Int32Array(FIRST_STRIPE)
  words[SHARD_BITS] = shardBits
  words.set([randomInt(ANY_WORD), randomInt(ANY_WORD)], HASH_KEY)
  const { ttl, maxEntries, maxBytes } = settings
  new Float64Array(words.buffer).set([ttl, maxEntries, maxBytes], LIMITS >>> 1)
  return words.subarray(HEADER_WORDS)
}

/**
 * @param {import('../index.js').SharedMapOptions} [options]
 * @returns {object} as Structure wants it
 * @throws {TypeError} ERR_INVALID_ARG_TYPE
 * @throws {RangeError} ERR_OUT_OF_RANGE
 */
export const planMap = (options = {}) => {
  checkObject('options', options)
  const { ttl = Infinity, maxEntries = Infinity, maxBytes = Infinity } = options
  const settings = checkSettings({ ttl, maxEntries, maxBytes })
  const shardBits = shardBitsFor(settings)
  return {
    settings,
    words: wordsFor(settings, shardBits),
    byteLength: WORD * (FIRST_SHARD + (SHARD_WORDS << shardBits)),
    alignBytes: LINE,
  }
}
