// A lock that no thread takes with it when it ends: the next one gets it, and is told. What it guards is the user's. index.d.ts
// says what each method takes, returns and throws.

import { dispose } from '../lib/base/engine.js'
import { invalidArgType, notLocked, timedOut } from '../lib/base/errors.js'
import { once } from '../lib/base/once.js'
import { Line } from './line.js'
import { isMine, lock, lockAsync, ownerOf, tryLock, unlock } from './lock.js'
import { isAlive } from './liveness.js'
import { checkAlive, FACTS, HEADER_WORDS, magicOf, Structure, wordsOf } from './structure.js'
import { checkWait, deadlineOf } from './waiting.js'

/** The word of the lock. */
const LOCK = HEADER_WORDS

const late = (timeout) => timedOut(`The mutex could not be had within ${timeout} ms`)

/** @type {(mutex: Mutex) => number} how often it has given the lock up */
let unlocksOf

/** A lock that is held from here on until it is disposed of, once. If it was given up by hand, a later one is not this guard's. */
class Guard {
  #unlock
  #outcome
  #unlocks

  constructor(mutex, options) {
    this.#unlock = once(() => {
      if (unlocksOf(mutex) !== this.#unlocks) throw notLocked('The lock was given up by hand')
      mutex.unlock()
    })
    this.#outcome = mutex.lock(options)
    this.#unlocks = unlocksOf(mutex)
  }

  /** @returns {boolean} whether the owner before ended while it held the lock */
  get ownerDied() {
    return this.#outcome === 'ownerDied'
  }

  [dispose]() {
    this.#unlock()
  }
}

/** A lock for all threads. */
export class Mutex extends Structure {
  static kind = { name: 'Mutex', magic: magicOf('MUTX'), version: 1, leastWords: LOCK + 1 }

  static plan() {
    return { settings: {}, words: [0] }
  }

  #words = wordsOf(this)
  #line = new Line(this.#words)
  #unlocks = 0

  static {
    unlocksOf = (mutex) => mutex.#unlocks
  }

  /** Takes the lock; the thread sleeps until it can be had. */
  lock(options) {
    const timeout = options === undefined ? undefined : checkWait(options).timeout
    checkAlive(this)
    const outcome = lock(this.#words, LOCK, deadlineOf(timeout))
    if (outcome === false) throw late(timeout)
    return outcome
  }

  /** Takes the lock if it can be had at once. */
  tryLock() {
    checkAlive(this)
    return tryLock(this.#words, LOCK)
  }

  /** Takes the lock without putting the thread to sleep. It waits for other tasks of this thread too. */
  async lockAsync(options) {
    const wait = checkWait(options)
    wait.signal?.throwIfAborted()
    checkAlive(this)
    return lockAsync(this.#words, LOCK, this.#line, wait, late)
  }

  /** Gives the lock up. */
  unlock() {
    checkAlive(this)
    unlock(this.#words, LOCK)
    this.#unlocks++
  }

  /** Takes the lock for as long as a scope, with `using`. */
  acquire(options) {
    return new Guard(this, options)
  }

  /** Takes the lock for as long as a function runs; until its promise is settled, when it returns one. */
  withLock(run, options) {
    if (typeof run !== 'function') throw invalidArgType('run', 'a function', run)
    const outcome = this.lock(options)
    let result
    try {
      result = run(outcome)
      if (typeof result?.then === 'function') return this.#unlockAfter(result)
    } catch (error) {
      // That the function gave the lock up itself counts for less. This is no method: at the end of the stack there is no room
      // for another call.
      try {
        this.unlock()
      } catch {}
      throw error
    }
    this.unlock()
    return result
  }

  async #unlockAfter(promise) {
    let result
    try {
      result = await promise
    } catch (error) {
      // As in withLock.
      try {
        this.unlock()
      } catch {}
      throw error
    }
    this.unlock()
    return result
  }

  get #state() {
    const owner = ownerOf(this.#words, LOCK)
    if (owner === 0) return 'free'
    if (isMine(this.#words, LOCK)) return 'locked by this thread'
    return isAlive(owner) ? 'locked by another thread' : 'locked by a thread that has ended'
  }

  [FACTS]() {
    return { state: this.#state }
  }
}
