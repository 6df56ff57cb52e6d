// What the command line asks for: --quick, --only <name>.

import { parseArgs } from 'node:util'

const { values } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, only: { type: 'string', default: '' } },
})

const FULL = { rounds: 5, target: 30e6, scale: 1 }
const QUICK = { rounds: 3, target: 8e6, scale: 0.2 }

/**
 * `rounds` of each workload; `target`, the nanoseconds that a contender's round need not exceed;
 * `scale`, the part of the operations that a round has at most.
 */
export const settings = { ...values, ...(values.quick ? QUICK : FULL) }
