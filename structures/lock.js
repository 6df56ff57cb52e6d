// A lock in a word of the memory that outlives its owner. The word is 0 when it is free, else the token of the thread that
// holds it, negative while others may be waiting. Free, it takes one compare-exchange to lock and one to unlock.
//
// When the owner's thread has ended, whoever comes next gets the lock and is told: what the lock guards may be half changed,
// and has to be repaired before anything else is done. If that thread ends too, the next one is told again.
//
// `words` is an Int32Array over shared bytes: the whole memory, or a structure's block from its header on. In the second case
// waiting ends with ERR_NOT_A_STRUCTURE when the block is destroyed meanwhile. No function here runs anyone else's code.
//
// Where lock and tryLock had room on the stack, unlock has too: what is unlocked by the function that locked it is
// unlocked whatever is thrown in between.

import { isAskingForStack } from '../lib/native/debug-heap.js'
import { deadlock, notAStructure, notLocked } from '../lib/base/errors.js'
import { undoCutShort } from '../lib/memory/placing.js'
import { LATER } from './line.js'
import { isAlive, SELF } from './liveness.js'
import { checkRoom } from './room.js'
import { nap, wake } from './waiting.js'

const WAITERS = -(2 ** 31)
const OWNER = 2 ** 31 - 1
/** How often to look before going to sleep: some microsecond, the time that a short task takes another thread. */
const LOOKS = 100

/** A constant of this module, which the compiler sees through. */
const self = SELF

// The lock of a thread that has ended. Others may be waiting for it. If its process was killed, it was in the middle of a call
// maybe: from here on what the lock guards is not changed by anyone else, and neither by the undoing of that call.
const takeOver = (words, index, word) => {
  const owner = word & OWNER
  if (owner === self || isAlive(owner)) return false
  undoCutShort(words.buffer)
  return Atomics.compareExchange(words, index, word, self | WAITERS) === word ? 'ownerDied' : false
}

/**
 * Takes the lock if that can be done at once.
 *
 * @param {Int32Array} words
 * @param {number} index
 * @returns {'locked' | 'ownerDied' | false} false when a thread holds it, this one included
 */
export const tryLock = (words, index) => {
  checkRoom(index)
  const word = Atomics.compareExchange(words, index, 0, self)
  return word === 0 ? 'locked' : takeOver(words, index, word)
}

const look = (words, index) => {
  for (let looks = 0; looks < LOOKS; looks++) {
    if (Atomics.load(words, index) === 0) return
  }
}

// One attempt of a thread that has to wait. Returns what to wait on, when it did not get the lock: the word, marked.
const attempt = (words, index, mine) => {
  for (;;) {
    const word = Atomics.compareExchange(words, index, 0, mine)
    if (word === 0) return 'locked'
    if (takeOver(words, index, word)) return 'ownerDied'
    const marked = word | WAITERS
    if (marked === word || Atomics.compareExchange(words, index, word, marked) === word) {
      return marked
    }
  }
}

const checkSame = (words, identity) => {
  if (words[0] === identity) return
  // A process that was killed while it destroyed it has not done so.
  undoCutShort(words.buffer)
  if (words[0] !== identity) throw notAStructure('It was destroyed while this thread waited for it')
}

const lockSlowly = (words, index, deadline) => {
  if (isMine(words, index)) throw deadlock('This thread holds the lock already')
  look(words, index)
  const identity = words[0]
  // Who has waited does not know whether others do.
  for (let mine = self; ; mine = self | WAITERS) {
    const outcome = attempt(words, index, mine)
    if (typeof outcome === 'string') return outcome
    if (!nap(words, index, outcome, deadline)) return false
    checkSame(words, identity)
  }
}

/**
 * Takes the lock, and puts the thread to sleep until it can be had.
 *
 * @param {Int32Array} words
 * @param {number} index
 * @param {number} [deadline] as deadlineOf makes it
 * @returns {'locked' | 'ownerDied' | false} false when the deadline has passed
 * @throws {Error} ERR_DEADLOCK when this thread holds it
 */
export const lock = (words, index, deadline = Infinity) => {
  checkRoom(index)
  return Atomics.compareExchange(words, index, 0, self) === 0
    ? 'locked'
    : lockSlowly(words, index, deadline)
}

const isCutShort = (words, index, busy) =>
  isMine(words, index) && (busy === undefined || words[busy] === 0) && !isAskingForStack()

const resumeSlowly = (words, index, busy) => {
  if (isCutShort(words, index, busy)) return 'ownerDied'
  const outcome = lockSlowly(words, index, Infinity)
  if (outcome === 'ownerDied' && busy !== undefined) words[busy] = 0
  return outcome
}

/**
 * The same for a lock of the package's own, with which in hand it runs no code of others but what a word tells of. Where this thread
 * holds it already, the operation that took it was cut short while the thread lives on, by the `timeout` of `vm` for one: that is
 * like an owner's end.
 *
 * @param {Int32Array} words
 * @param {number} index
 * @param {number} [busy] index of a word that is not 0 while code of others runs with the lock in hand; 0 again where its owner died
 * @returns {'locked' | 'ownerDied'}
 * @throws {Error} ERR_DEADLOCK when such code has come here
 */
export const lockOrResume = (words, index, busy = undefined) => {
  checkRoom(index)
  return Atomics.compareExchange(words, index, 0, self) === 0
    ? 'locked'
    : resumeSlowly(words, index, busy)
}

/**
 * Takes the lock without putting the thread to sleep. Where another task of this thread holds it, that is waited for, too.
 *
 * @param {Int32Array} words
 * @param {number} index
 * @param {Line} line of those that wait for it
 * @param {{ timeout?: number, signal?: AbortSignal }} options of checkWait
 * @param {(timeout: number) => Error} late what the promise is rejected with when the timeout has passed
 * @returns {Promise<'locked' | 'ownerDied'>} rejected also with the signal's reason
 */
export const lockAsync = async (words, index, line, options, late) => {
  const identity = words[0]
  let mine = self
  const tryAgain = () => {
    checkSame(words, identity)
    const outcome = attempt(words, index, mine)
    mine = self | WAITERS
    return typeof outcome === 'string' ? outcome : line.until(index, outcome)
  }
  const outcome = tryAgain()
  return outcome === LATER ? line.wait(tryAgain, options, late) : outcome
}

/**
 * Gives the lock up, and wakes one who waits for it.
 *
 * @param {Int32Array} words
 * @param {number} index
 * @throws {Error} ERR_NOT_LOCKED when this thread does not hold it
 */
export const unlock = (words, index) => {
  const word = Atomics.compareExchange(words, index, self, 0)
  if (word === self) return
  if (word !== (self | WAITERS)) throw notLocked('This thread does not hold the lock')
  // It is given up before anything is called that the end of the stack may refuse.
  Atomics.store(words, index, 0)
  try {
    wake(words, index, 1)
  } catch {
    // Whoever waits looks around after a slice.
  }
}

/** @returns {number} the token of the thread that holds the lock, 0 for none */
export const ownerOf = (words, index) => Atomics.load(words, index) & OWNER

/** @returns {boolean} whether this thread holds the lock */
export const isMine = (words, index) => ownerOf(words, index) === self
