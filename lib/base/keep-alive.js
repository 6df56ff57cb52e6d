// What keeps a thread running while it awaits another one. A pending waitAsync alone does not: Node.js ends a thread that has
// nothing else to do, before it is notified.

import { setInterval } from './engine.js'

/** The longest that a timer can take, in milliseconds: 24 days; then it starts again. */
export const LONGEST_MS = 2 ** 31 - 1

/** A timer that does nothing, referenced while anything is awaited. */
let timer
/** The arrays of pending waits. The engine forgets a waiter whose buffer is collected. */
const awaited = new Set()

const hold = (entry) => {
  awaited.add(entry)
  timer ??= setInterval(() => {}, LONGEST_MS)
  timer.ref()
}

const letGo = (entry) => {
  awaited.delete(entry)
  if (awaited.size === 0) timer?.unref()
}

/**
 * Keeps the thread, and the bytes that it waits on, until a wait has come to its end.
 *
 * @param {Int32Array | BigInt64Array} array that is waited on
 * @param {Promise} promise that Atomics.waitAsync made, which is never rejected
 */
export const keepAlive = (array, promise) => {
  const entry = { array }
  // Before it is held: the caller may be cut short in between, by the timeout of vm, and would hold it for ever.
  promise.then(() => letGo(entry))
  hold(entry)
}
