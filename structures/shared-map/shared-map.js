// SharedMap as a user has it: checks what it is given, and leaves the rest to the table.

import { checkObject, invalidArgType } from '../../lib/errors.js'
import { forget, prepare } from '../codec.js'
import { checkAlive, FACTS, magicOf, Structure, wordsOf } from '../structure.js'
import { unpack } from './entries.js'
import { checkTtl, planMap } from './plan.js'
import { Table } from './table.js'
import { walk } from './walk.js'

const ttlOf = (options) => {
  checkObject('options', options)
  const { ttl } = options
  if (ttl !== undefined) checkTtl('options.ttl', ttl)
  return ttl
}

const checkFunction = (name, value) => {
  if (typeof value !== 'function') throw invalidArgType(name, 'a function', value)
}

/** A Map that all threads have. */
export class SharedMap extends Structure {
  static kind = { name: 'SharedMap', magic: magicOf('SMAP'), version: 1 }

  static plan(options) {
    return planMap(options)
  }

  #table = new Table(this.memory, this.ptr, wordsOf(this))

  /**
   * @param {import('../index.js').SharedMapKey} key
   * @returns {unknown} a copy of the value; undefined when there is none
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   */
  get(key) {
    checkAlive(this)
    return unpack(this.#table.get(key))
  }

  /**
   * @param {import('../index.js').SharedMapKey} key
   * @returns {boolean}
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   */
  has(key) {
    checkAlive(this)
    return this.#table.has(key)
  }

  /**
   * Gives a key a value, and evicts others if the map has a limit that would be passed.
   *
   * @param {import('../index.js').SharedMapKey} key
   * @param {unknown} value
   * @param {object} [options]
   * @param {number} [options.ttl] ms after which it expires; by default the map's
   * @returns {this}
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE, ERR_OUT_OF_MEMORY; the key has its old value
   */
  set(key, value, options) {
    const ttl = options === undefined ? undefined : ttlOf(options)
    try {
      this.#prepare(value)
      this.#table.set(key, ttl)
    } finally {
      forget()
    }
    return this
  }

  // Getters of the value, or of the options before it, may have destroyed the map.
  #prepare(value) {
    prepare(value)
    checkAlive(this)
  }

  /**
   * @param {import('../index.js').SharedMapKey} key
   * @returns {boolean} whether there was one
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   */
  delete(key) {
    checkAlive(this)
    return this.#table.delete(key)
  }

  /** Takes out all entries, one part of the map after the other: of those that others set meanwhile, some may stay. */
  clear() {
    checkAlive(this)
    this.#table.clear()
  }

  /** @returns {number} the entries, with those that have expired and were not met since */
  get size() {
    checkAlive(this)
    return this.#table.countAll()
  }

  /**
   * Gives a key a value unless it has one.
   *
   * @param {import('../index.js').SharedMapKey} key
   * @param {unknown} value
   * @returns {unknown} the value that it has now
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE, ERR_OUT_OF_MEMORY
   */
  getOrInsert(key, value) {
    checkAlive(this)
    const before = this.#table.get(key)
    const found = before === undefined ? this.#insert(key, value) : before
    return found === undefined ? value : unpack(found)
  }

  #insert(key, value) {
    try {
      this.#prepare(value)
      return this.#table.insert(key)
    } finally {
      forget()
    }
  }

  /**
   * Adds to a value, in one step for all threads. A key that has none gets `by`, and the map's time to live; one that has keeps
   * its own.
   *
   * @param {import('../index.js').SharedMapKey} key
   * @param {number | bigint} [by] of the value's type
   * @returns {number | bigint} the sum
   * @throws {TypeError} ERR_INVALID_ARG_TYPE, also when the value is of another type
   * @throws {RangeError} ERR_OUT_OF_RANGE, ERR_OUT_OF_MEMORY
   */
  increment(key, by = 1) {
    checkAlive(this)
    if (typeof by !== 'number' && typeof by !== 'bigint') {
      throw invalidArgType('by', 'a number or a bigint', by)
    }
    return this.#table.increment(key, by)
  }

  /**
   * Puts what a function makes of a value in its place, in one step for all threads: those that write to this part of the
   * map wait meanwhile. A key that had none gets the map's time to live; one that had keeps its own.
   *
   * @template T
   * @param {import('../index.js').SharedMapKey} key
   * @param {(value: unknown) => T} make gets undefined when there is none, and takes the key out by returning that. It may
   * read SharedMaps, and must not change one; a promise is no value
   * @returns {T} what it returned
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE, ERR_OUT_OF_MEMORY
   * @throws what `make` throws; the key has its old value then
   */
  update(key, make) {
    checkAlive(this)
    checkFunction('make', make)
    return this.#table.update(key, make)
  }

  /**
   * Goes over the entries. Each one that stays for the whole time is met once, whatever other threads do meanwhile; those that
   * come or go may be.
   *
   * @returns {Generator<[import('../index.js').SharedMapKey, unknown]>} copies
   */
  *entries() {
    const table = this.#table
    const read = (shard, entry) => [table.readKey(entry), table.readLocked(shard, entry)]
    for (const [key, value] of this.#walk(read)) yield [key, unpack(value)]
  }

  /** @returns {Generator<import('../index.js').SharedMapKey>} as `entries` */
  keys() {
    return this.#walk((_, entry) => this.#table.readKey(entry))
  }

  /** @returns {Generator<unknown>} as `entries` */
  *values() {
    const read = (shard, entry) => this.#table.readLocked(shard, entry)
    for (const value of this.#walk(read)) yield unpack(value)
  }

  #walk(read) {
    return walk(this.#table, () => checkAlive(this), read)
  }

  /** As `entries`. */
  [Symbol.iterator]() {
    return this.entries()
  }

  /**
   * @param {(value: unknown, key: import('../index.js').SharedMapKey, map: this) => void} act
   * @param {unknown} [receiver] its `this`
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   */
  forEach(act, receiver) {
    checkFunction('act', act)
    for (const [key, value] of this) act.call(receiver, value, key, this)
  }

  /** @returns {import('../index.js').SharedMapStats} */
  stats() {
    checkAlive(this)
    return this.#table.stats()
  }

  /**
   * Frees every byte of it and takes its names away. Nobody may use it while this runs. A thread that is terminated meanwhile
   * leaves a map that can be destroyed.
   *
   * @throws {Error} ERR_NOT_A_STRUCTURE when it was destroyed before, ERR_DEADLOCK in a function of `update`
   */
  destroy() {
    checkAlive(this)
    this.#table.freeAll()
    super.destroy()
  }

  [FACTS]() {
    return this.#table.stats()
  }
}
