// How `from` gives a memory that exists to a constructor, past those of subclasses, which see nothing of it: whatever they do,
// and give to `super`, they become that memory, or `from` throws.

import { invalidArgType } from '../base/errors.js'
import { newRunner } from '../base/running.js'

const { run, isRunning } = newRunner()

/** A memory, the heap in it and the class that it is to have, until the constructor takes them; stale where that was cut short. */
let received

/** What was received for a class that is being constructed; undefined when it is to be a new memory. */
export const takeReceived = (Class) => {
  if (received?.Class !== Class || !isRunning()) return undefined
  const taken = received
  received = undefined
  return taken
}

/**
 * @template {WebAssembly.Memory} T
 * @param {new () => T} Class
 * @param {WebAssembly.Memory} memory
 * @param {object} opened the heap in it
 * @returns {T} the same memory
 * @throws {TypeError} ERR_INVALID_ARG_TYPE when the constructor returns something else
 */
export const adopt = (Class, memory, opened) => {
  const outer = isRunning() ? received : undefined
  received = { Class, memory, opened }
  try {
    if (run(() => new Class()) === memory) return memory
  } finally {
    received = outer
  }
  throw invalidArgType('this', 'a class whose constructor returns what super() made', Class)
}
