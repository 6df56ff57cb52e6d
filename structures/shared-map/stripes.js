// Counters that every thread has for itself, so that counting costs no more than a store. A thread keeps its stripe as long as
// it runs; who comes later takes over that of one which has ended, and counts on.

import { isAlive, SELF } from '../liveness.js'
import * as layout from './layout.js'

const { STRIPE_COUNT, STRIPE_OWNER, STRIPE_WORDS } = layout

const claim = (words, stripe) => {
  const owner = Atomics.load(words, stripe + STRIPE_OWNER)
  if (owner === SELF) return true
  if (owner !== 0 && isAlive(owner)) return false
  return Atomics.compareExchange(words, stripe + STRIPE_OWNER, owner, SELF) === owner
}

/**
 * Finds this thread's stripe. When there are more threads than stripes some share one, and may count too little.
 *
 * @param {Int32Array} words
 * @param {number} first the word of the first stripe
 * @returns {number} the word of the stripe
 */
export const stripeFor = (words, first) => {
  for (let index = 0; index < STRIPE_COUNT; index++) {
    const stripe = first + index * STRIPE_WORDS
    if (claim(words, stripe)) return stripe
  }
  return first + (SELF % STRIPE_COUNT) * STRIPE_WORDS
}
