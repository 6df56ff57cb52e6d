// The goals, each computed from the figures of one run.

import { paired } from '../harness/statistics.js'
import { channelGoals } from './channel-goals.js'
import {
  KOFFI,
  MIMALLOC,
  OURS,
  TLSF,
  WASI,
  furthestBehind,
  furthestBehindPeers,
  spread,
} from './compare.js'
import { figure, signed } from './format.js'
import { mapGoals } from './map-goals.js'
import { processGoals } from './process-goals.js'

const LARGE = 32 * 1024

const times = (number) => `${figure(number)}×`
const nanoseconds = (number) => `${signed(number)} ns`
const percent = (part) => `${figure(part * 100)} %`
const worst = (entries, key) => Math.max(...entries.map((entry) => entry[key]))
const least = (entries) => Math.min(...entries.map(({ median }) => median))

const loads = (entries) => entries.filter(({ column }) => column.startsWith('load'))
const others = (entries) => entries.filter(({ column }) => !column.startsWith('load'))

// The pages and the bytes in the title of a column.
const numbersOf = ({ column }) => column.replaceAll(',', '').match(/\d+/g).map(Number)

const spaceGoals = (name, what) =>
  [
    ['above 32 KiB, from 100 pages on', 0.94, (pages, size) => pages > 10 && size > LARGE],
    ['up to 32 KiB, from 100 pages on', 0.88, (pages, size) => pages > 10 && size <= LARGE],
    ['above 32 KiB, 10 pages', 0.88, (pages, size) => pages === 10 && size > LARGE],
    ['up to 32 KiB, 10 pages', 0.82, (pages, size) => pages === 10 && size <= LARGE],
  ].map(([which, atLeast, includes]) => ({
    what: `${what} that fit, ${which}, the worst`,
    atLeast,
    show: percent,
    measure: (find) => least(find(name, OURS).filter((entry) => includes(...numbersOf(entry)))),
  }))

/** A goal is { what, limit or atLeast, show(value), measure(find), beside(find) }. */
const goals = [
  {
    what: 'traces, per call, against the floor, the worst',
    limit: 1.4,
    measure: (find) => worst(find('traces', OURS), 'ratio'),
  },
  {
    what: 'traces, the first pass against the later ones, the worst',
    limit: 3,
    measure: (find) => worst(find('first pass', OURS), 'median'),
  },
  {
    what: 'every row, against the fastest JS or wasm peer, the worst',
    limit: 1,
    measure: (find) => furthestBehindPeers(find).ratio,
    beside: (find) => furthestBehindPeers(find).where,
  },
  {
    what: 'traces, against AssemblyScript and koffi, the worst',
    limit: 1,
    measure: (find) => furthestBehind(find, 'traces', [TLSF, KOFFI]).ratio,
  },
  {
    what: '2 threads with blocks of their own, against one',
    atLeast: 1.8,
    measure: (find) => find('threads private', OURS, '2 threads')[0].scaling,
  },
  {
    what: '2 threads, every block freed by the other, against wasi-libc',
    atLeast: 2,
    measure: (find) => {
      const [ours, theirs] = [OURS, WASI].flatMap((row) =>
        find('threads exchange', row, '2 threads'),
      )
      return paired(ours.samples, theirs.samples)
    },
  },
  {
    what: 'memory grown to over the least possible at peak, the worst of the traces',
    limit: 1.2,
    measure: (find) => worst(find('growth', OURS), 'median'),
  },
  ...spaceGoals('space', 'blocks of one size'),
  ...spaceGoals('space half', 'blocks of half the size in every second block'),
  ...[
    ['10 pages', 0.82],
    ['100 pages', 0.88],
    ['1000 pages', 0.88],
  ].map(([column, atLeast]) => ({
    what: `random sizes that fit, ${column}`,
    atLeast,
    show: percent,
    measure: (find) => least(find('space random', OURS, column)),
  })),
  {
    what: 'get and set accessors, the slowest against the raw DataView call',
    limit: 0.4,
    show: nanoseconds,
    measure: (find) => worst(find('accessors', OURS), 'difference'),
  },
  {
    what: 'Atomics methods but load, the slowest against the raw Atomics call',
    limit: 1.1,
    measure: (find) => worst(others(find('atomics', OURS)), 'ratio'),
  },
  {
    what: 'Atomics.load, against the raw call',
    limit: 1.3,
    measure: (find) => worst(loads(find('atomics', OURS)), 'ratio'),
  },
  {
    what: 'Mutex, lock and unlock with nobody waiting, against two raw Atomics calls',
    limit: 2,
    measure: (find) => find('structures', OURS)[0].ratio,
  },
  {
    what: '1,000,000 live blocks against 1,000 in random order, over the same of mimalloc',
    limit: 1,
    measure: (find) => spread(find, OURS) / spread(find, MIMALLOC),
    beside: (find) => [OURS, MIMALLOC].map((row) => times(spread(find, row))).join(' and '),
  },
  {
    what: 'allocs() over 1,000,000 blocks',
    limit: 1,
    show: (seconds) => `${figure(seconds)} s`,
    measure: (find) => find('allocs', OURS, '1,000,000 live')[0].median,
  },
  {
    what: 'construct on engine storage, against WebAssembly.Memory',
    limit: 2,
    measure: (find) => worst(find('construct', `${OURS}, engine`), 'ratio'),
  },
  {
    what: 'construct on native storage, against WebAssembly.Memory',
    limit: 4,
    measure: (find) => worst(find('construct', `${OURS}, native`), 'ratio'),
  },
  ...mapGoals,
  ...channelGoals,
  ...processGoals,
]

/**
 * Holds every goal against the figures.
 * @param {object[]} groups
 * @returns {{ what: string, reach: string, measured?: string, reached?: boolean }[]}
 */
export function evaluate(groups) {
  const find = (name, row, column) =>
    (groups.find((group) => group.name === name)?.entries ?? []).filter(
      (entry) => entry.row === row && (column === undefined || entry.column === column),
    )
  return goals.map((goal) => verdict(goal, find))
}

// A goal without its figures was not measured: --only, --quick, or no native storage here.
function attempt(measure, find) {
  try {
    const value = measure(find)
    return Number.isFinite(value) ? value : undefined
  } catch {
    return undefined
  }
}

function verdict({ what, limit, atLeast, show = times, measure, beside }, find) {
  const reach = limit === undefined ? `≥ ${show(atLeast)}` : `≤ ${show(limit)}`
  const value = attempt(measure, find)
  if (value === undefined) return { what, reach }
  const measured = show(value) + (beside ? ` (${beside(find)})` : '')
  return { what, reach, measured, reached: limit ? value <= limit : value >= atLeast }
}
