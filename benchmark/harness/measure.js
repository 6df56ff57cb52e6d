// From a case to the figures of its entrants: medians, spreads and ratios.

import { paired, summary } from './statistics.js'
import { race } from './race.js'

/** The row that ratios are taken to unless a group names another. */
export const REFERENCE = 'mimalloc (native)'

/**
 * Runs one case of a group.
 * @param {object} group
 * @param {object} benchmarkCase
 * @param {object} settings
 * @returns {Promise<{ entries: object[], absent: object[] }>}
 */
export async function measure(group, benchmarkCase, settings) {
  const { entrants, absent } = await benchmarkCase.enter()
  const columnOf = (each) => each.column ?? benchmarkCase.title
  const results = await race(entrants, settings)
  const entries = entrants.map((entrant) => {
    const { ops, samples } = results.get(entrant)
    const figures = group.convert ? samples.map(group.convert) : samples
    const { row, most } = entrant
    return { row, column: columnOf(entrant), ops, most, samples: figures, ...summary(figures) }
  })
  for (const entrant of entrants) await entrant.finish()
  for (const entry of entries) compare(entry, entries, group)
  return { entries, absent: absent.map((each) => ({ ...each, column: columnOf(each) })) }
}

function compare(entry, entries, { reference = REFERENCE, base, difference }) {
  const rival = entries.find(({ row, column }) => row === reference && column === entry.column)
  const alone = entries.find(({ row, column }) => row === entry.row && column === base)
  if (rival) entry.ratio = paired(entry.samples, rival.samples)
  if (alone) entry.scaling = paired(entry.samples, alone.samples)
  if (rival && difference) entry.difference = paired(entry.samples, rival.samples, subtract)
}

const subtract = (one, other) => one - other
