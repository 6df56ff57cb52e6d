// Medians and their spread.

import { quantile } from 'd3-array'

/**
 * @param {number[]} samples - one figure for each round
 * @returns {{ median: number, low: number, high: number }} the median and the quartiles
 */
export function summary(samples) {
  return {
    median: quantile(samples, 0.5),
    low: quantile(samples, 0.25),
    high: quantile(samples, 0.75),
  }
}

/**
 * The median over the rounds of one contender's figure to another's in the same round.
 * @param {number[]} samples
 * @param {number[]} others
 * @param {(one: number, other: number) => number} compare - a quotient unless given
 * @returns {number}
 */
export function paired(samples, others, compare = (one, other) => one / other) {
  return quantile(
    samples.map((sample, round) => compare(sample, others[round])),
    0.5,
  )
}
