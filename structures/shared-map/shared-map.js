// SharedMap as a user has it: checks what it is given, and leaves the rest to the table. ../index.d.ts says what each method takes,
// returns and throws.

import { checkObject, invalidArgType } from '../../lib/base/errors.js'
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

  /** The value of a key, a copy; undefined when it has none. */
  get(key) {
    checkAlive(this)
    return unpack(this.#table.get(key))
  }

  /** Whether a key has a value. */
  has(key) {
    checkAlive(this)
    return this.#table.has(key)
  }

  /** Gives a key a value, and evicts others if the map has a limit that would be passed. */
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

  /** Takes a key out; returns whether it was there. */
  delete(key) {
    checkAlive(this)
    return this.#table.delete(key)
  }

  /** Takes out all entries, one part of the map after the other: of those that others set meanwhile, some may stay. */
  clear() {
    checkAlive(this)
    this.#table.clear()
  }

  /** The entries, with those that have expired and were not met since. */
  get size() {
    checkAlive(this)
    return this.#table.countAll()
  }

  /** Gives a key a value unless it has one; returns the one that it has now. */
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

  /** Adds to a value, in one step for all threads. */
  increment(key, by = 1) {
    checkAlive(this)
    if (typeof by !== 'number' && typeof by !== 'bigint') {
      throw invalidArgType('by', 'a number or a bigint', by)
    }
    return this.#table.increment(key, by)
  }

  /** Puts what a function makes of a value in its place, in one step for all threads. */
  update(key, make) {
    checkAlive(this)
    checkFunction('make', make)
    return this.#table.update(key, make)
  }

  /** Goes over the entries, each of which is a copy. */
  *entries() {
    const table = this.#table
    const read = (shard, entry) => [table.readKey(entry), table.readLocked(shard, entry)]
    for (const [key, value] of this.#walk(read)) yield [key, unpack(value)]
  }

  /** Goes over the keys. */
  keys() {
    return this.#walk((_, entry) => this.#table.readKey(entry))
  }

  /** Goes over the values. */
  *values() {
    const read = (shard, entry) => this.#table.readLocked(shard, entry)
    for (const value of this.#walk(read)) yield unpack(value)
  }

  #walk(read) {
    return walk(this.#table, () => checkAlive(this), read)
  }

  /** Goes over the entries. */
  [Symbol.iterator]() {
    return this.entries()
  }

  /** Calls a function with each entry. */
  forEach(act, receiver) {
    checkFunction('act', act)
    for (const [key, value] of this) act.call(receiver, value, key, this)
  }

  /** How the map is used, by all threads. */
  stats() {
    checkAlive(this)
    return this.#table.stats()
  }

  /** Frees every byte of it. A thread that is terminated meanwhile leaves a map that can be destroyed. */
  destroy() {
    checkAlive(this)
    this.#table.freeAll()
    super.destroy()
  }

  [FACTS]() {
    return this.#table.stats()
  }
}
