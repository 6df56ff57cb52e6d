// What is to be done once, though its first calls may be refused: at the end of the stack the engine refuses any.

import { isOutOfStack } from './errors.js'

/**
 * @template {unknown[]} A
 * @param {(...args: A) => void} act
 * @returns {(...args: A) => void} calls `act`, and nothing once that has returned, or has thrown for another reason than want of stack
 */
export const once = (act) => {
  let isDone = false
  return (...args) => {
    if (isDone) return
    try {
      act(...args)
    } catch (error) {
      isDone = !isOutOfStack(error)
      throw error
    }
    isDone = true
  }
}
