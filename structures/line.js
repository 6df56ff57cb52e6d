// Those of one thread that wait for a structure without sleeping. They stand in a line, and the engine waits once for all of
// them: a notification costs one look for each that is served and one more, however many wait.
//
// Attempts are made from the first of the line on until one has to wait. Where no notification comes for a slice, all are made: one that
// was lost with a terminated thread keeps nobody for ever, and neither does a long message that has no room yet.
//
// A call may be cut short anywhere while its thread lives on, by the `timeout` of `vm` for one. So the last that a call does is to
// stand in the line, which waits already: nothing is taken for a caller that has no promise, and others find the line as it was.

import { clearTimeout, now, setTimeout } from '../lib/base/engine.js'
import { keepAlive, LONGEST_MS } from '../lib/base/keep-alive.js'
import { deadlineOf, looksAfter, tookTurn, wake } from './waiting.js'

/** What an attempt answers that has to wait. */
export const LATER = Symbol('later')

/** Those of one thread that wait for the same of a structure. */
export class Line {
  #words
  #waiters = new Set()
  /** What the next wait in the engine is for. */
  #index = 0
  #value = 0
  /** The wait in the engine that goes on: for which word, and the moment when it has ended at the latest. */
  #awaited = 0
  #end = -Infinity

  /** @param {Int32Array} words the structure's block */
  constructor(words) {
    this.#words = words
  }

  /** What an attempt answers that has to wait while a word holds a value: LATER. */
  until(index, value) {
    this.#index = index
    this.#value = value
    return LATER
  }

  /**
   * Makes an attempt, unless others stand in the line, whom it would overtake.
   *
   * @param {() => unknown} attempt
   * @returns {unknown} what it answers; LATER when it is not made
   */
  attemptInTurn(attempt) {
    if (this.#waiters.size === 0) return attempt()
    return this.until(this.#index, Atomics.load(this.#words, this.#index))
  }

  /**
   * Waits until an attempt answers something else than LATER, which the caller was answered just before. None is made for a caller
   * that gave up.
   *
   * @param {() => unknown} attempt
   * @param {{ timeout?: number, signal?: AbortSignal }} options of checkWait
   * @param {(timeout: number) => Error} late what the promise is rejected with when the timeout has passed
   * @returns {Promise<unknown>} rejected also with what the attempt throws, or the signal's reason
   */
  async wait(attempt, { timeout, signal }, late) {
    signal?.throwIfAborted()
    const deadline = deadlineOf(timeout)
    if (now() >= deadline && this.#waiters.size === 0) throw late(timeout)
    while (!this.#engage()) {
      const outcome = this.attemptInTurn(attempt)
      if (outcome !== LATER) return outcome
    }
    const waiter = { attempt }
    const promise = new Promise((resolve, reject) => {
      waiter.settle = resolve
      waiter.fail = reject
    })
    const abort = () => this.#giveUp(waiter, signal.reason)
    signal?.addEventListener('abort', abort, { once: true })
    if (deadline !== Infinity) this.#expire(waiter, deadline, () => late(timeout))
    try {
      this.#waiters.add(waiter)
      return await promise
    } finally {
      clearTimeout(waiter.timer)
      signal?.removeEventListener('abort', abort)
    }
  }

  // Waits in the engine, unless it does. Returns false when the word has changed.
  #engage() {
    const begin = now()
    if (begin < this.#end && this.#awaited === this.#index) return true
    const words = this.#words
    const index = this.#index
    const slice = looksAfter(words)
    const { async, value: ending } = Atomics.waitAsync(words, index, this.#value, slice)
    if (!async) return false
    const end = begin + slice
    ending.then((how) => this.#turn(how === 'ok', index, end))
    keepAlive(words, ending)
    this.#awaited = index
    this.#end = end
    return true
  }

  // A notification that finds nobody goes to another thread.
  #turn(isNotified, index, end) {
    tookTurn()
    if (this.#end === end) this.#end = -Infinity
    if (isNotified && this.#waiters.size === 0) wake(this.#words, index, 1)
    this.#serve(!isNotified)
    while (this.#waiters.size > 0 && !this.#engage()) this.#serve(false)
  }

  #serve(all) {
    for (const waiter of this.#waiters) {
      if (!this.#isServed(waiter) && !all) return
    }
  }

  #isServed(waiter) {
    try {
      const outcome = waiter.attempt()
      if (outcome === LATER) return false
      this.#waiters.delete(waiter)
      waiter.settle(outcome)
    } catch (error) {
      this.#giveUp(waiter, error)
    }
    return true
  }

  // Nobody awaits the promise of one that does not stand in the line.
  #giveUp(waiter, error) {
    if (this.#waiters.delete(waiter)) waiter.fail(error)
  }

  // Timers are early by part of a millisecond, and none takes longer than LONGEST_MS.
  #expire(waiter, deadline, late) {
    const rest = Math.max(Math.ceil(deadline - now()), 1)
    const look = () => {
      if (!this.#waiters.has(waiter)) return
      if (now() < deadline) return this.#expire(waiter, deadline, late)
      // What there is now is for those before it first.
      this.#serve(false)
      this.#giveUp(waiter, late())
    }
    waiter.timer = setTimeout(look, Math.min(rest, LONGEST_MS))
  }
}
