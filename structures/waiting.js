// Waiting on a word of the memory, in slices: whoever waits looks around every now and then, so that no notification that
// was lost with a terminated thread, and no owner that died, keeps it for ever. In a memory that other processes have too, a
// thread sleeps by the operating system, so that they can wake it.

import { now, setImmediate } from '../lib/base/engine.js'
import { checkObject, invalidArgType, outOfRange } from '../lib/base/errors.js'
import { peerOf } from '../lib/pages/pages.js'

/** Milliseconds until a waiter looks around: half of what it may take to notice that an owner died. */
const SLICE_MS = 50
/** The same for who waits without sleeping for what another process may change: nobody can tell it of that. */
const POLL_MS = 5
/** Milliseconds that tasks go on before timers and I/O have their turn. */
const TURN_MS = 10
/** As many as a native number can say. */
const ALL = 2 ** 32 - 1

const checkTimeout = (timeout) => {
  if (typeof timeout !== 'number') throw invalidArgType('timeout', 'a number', timeout)
  if (!(timeout >= 0)) throw outOfRange('timeout', '0 milliseconds or more', timeout)
}

/** What is called of a signal, which may be another realm's, or a stand-in. */
const SIGNAL_METHODS = ['throwIfAborted', 'addEventListener', 'removeEventListener']

const checkSignal = (signal) => {
  if (!SIGNAL_METHODS.every((name) => typeof signal?.[name] === 'function')) {
    throw invalidArgType('signal', 'an AbortSignal', signal)
  }
}

/**
 * Checks how long to wait.
 *
 * @param {unknown} [options]
 * @returns {{ timeout?: number, signal?: AbortSignal }} timeout in milliseconds
 * @throws {TypeError} ERR_INVALID_ARG_TYPE
 * @throws {RangeError} ERR_OUT_OF_RANGE when the timeout is below 0 or NaN
 */
export const checkWait = (options = {}) => {
  checkObject('options', options)
  const { timeout, signal } = options
  if (timeout !== undefined) checkTimeout(timeout)
  if (signal !== undefined) checkSignal(signal)
  return { timeout, signal }
}

/**
 * @param {number} [timeout] milliseconds, for ever when left out
 * @returns {number} the moment, as now() has it
 */
export const deadlineOf = (timeout = Infinity) =>
  timeout === Infinity ? Infinity : now() + timeout

const sliceUntil = (deadline) =>
  deadline === Infinity ? SLICE_MS : Math.min(SLICE_MS, deadline - now())

/** @returns {number} milliseconds after which to look around where the thread does not sleep */
export const looksAfter = (words) => (peerOf(words.buffer) === undefined ? SLICE_MS : POLL_MS)

let lastTurn = now()
let nextTurn

/** The event loop has had its turn. */
export const tookTurn = () => {
  lastTurn = now()
}

const makeTurn = () =>
  new Promise((resolve) => {
    setImmediate(() => {
      tookTurn()
      nextTurn = undefined
      resolve()
    })
  })

/**
 * What to await before a task goes on, where tasks of this thread that never had to wait have kept the event loop from its turn for long.
 *
 * @returns {Promise<void> | undefined} the same for all who ask before the turn, so that nobody overtakes those who await it;
 * undefined where none is due
 */
export const turnDue = () => {
  if (nextTurn === undefined && now() - lastTurn < TURN_MS) return undefined
  nextTurn ??= makeTurn()
  return nextTurn
}

const wordOf = (words, index) => words.byteOffset / 4 + index

/** Another process reaches this thread only where the system has put it to sleep. Whether that was possible. */
const napAmongProcesses = (peer, words, index, value, slice) =>
  peer.wait(wordOf(words, index), value >>> 0, Math.ceil(slice * 1000)) >= 0

/**
 * Sleeps while a word holds a value, for a slice at the most. The caller looks again after it.
 *
 * @param {Int32Array} words
 * @param {number} index
 * @param {number} value
 * @param {number} deadline as deadlineOf makes it
 * @returns {boolean} false, at once, when the deadline has passed
 */
export const nap = (words, index, value, deadline) => {
  const slice = sliceUntil(deadline)
  if (slice <= 0) return false
  const peer = peerOf(words.buffer)
  if (peer === undefined || !napAmongProcesses(peer, words, index, value, slice)) {
    Atomics.wait(words, index, value, slice)
  }
  return true
}

/**
 * Wakes threads that sleep on a word.
 *
 * @param {Int32Array} words
 * @param {number} index
 * @param {number} [count] the most of them, all when left out; as many again in other processes
 * @returns {number} how many
 */
export const wake = (words, index, count = Infinity) => {
  const woken = Atomics.notify(words, index, count)
  const peer = peerOf(words.buffer)
  if (peer === undefined) return woken
  return woken + Math.max(peer.wake(wordOf(words, index), Math.min(count, ALL)), 0)
}
