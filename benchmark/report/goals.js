// The goals, each computed from the figures of one run.

import { figure, signed } from './format.js'

const OURS = 'local-shared-memory'
const MIMALLOC = 'mimalloc (native)'
const PEERS = [
  'walloc',
  'wasi-libc dlmalloc',
  'AssemblyScript TLSF',
  '@thi.ng/malloc',
  'malloc (codemix)',
  'shared-memory-objects',
]

const times = (number) => `${figure(number)}×`
const nanoseconds = (number) => `${signed(number)} ns`
const worst = (entries, key) => Math.max(...entries.map((entry) => entry[key]))

/** A goal is { what, limit or atLeast, show(value), measure(find), beside(find) }. */
const goals = [
  {
    what: 'get and set accessors, the slowest against the raw DataView call',
    limit: 0.4,
    show: nanoseconds,
    measure: (find) => worst(find('accessors', OURS), 'difference'),
  },
  {
    what: 'Atomics methods, the slowest against the raw Atomics call',
    limit: 1.1,
    measure: (find) => worst(find('atomics', OURS), 'ratio'),
  },
  {
    what: 'malloc + free of 64 B at once, against native mimalloc',
    limit: 1,
    measure: (find) => worst(find('pair', OURS), 'ratio'),
  },
  ...['drain FIFO', 'drain random', 'replace FIFO', 'replace random'].flatMap((name) => [
    {
      what: `10,000 blocks, ${name}, against native mimalloc`,
      limit: 1.5,
      measure: (find) => worst(find(name, OURS, '10,000'), 'ratio'),
    },
    {
      what: `10,000 blocks, ${name}, against the fastest JS or wasm peer`,
      limit: 1,
      measure: (find) => againstPeers(find, name),
    },
  ]),
  ...['git', 'sqlite', 'python'].map((trace) => ({
    what: `trace ${trace}, per call, against native mimalloc`,
    limit: 1.5,
    measure: (find) => worst(find('traces', OURS, trace), 'ratio'),
  })),
  {
    what: '2 threads with blocks of their own, against one',
    atLeast: 1.8,
    measure: (find) => find('threads private', OURS, '2 threads')[0].scaling,
  },
  {
    what: 'memory grown to over the least possible at peak, the worst of the traces',
    limit: 1.2,
    measure: (find) => worst(find('growth', OURS), 'median'),
  },
  ...['replace FIFO', 'replace random'].map((name) => ({
    what: `cost of a pair at 1,000,000 live blocks against 1,000, ${name}`,
    limit: 2,
    measure: (find) => growth(find, name, OURS),
    beside: (find) => `native mimalloc: ${times(growth(find, name, MIMALLOC))}`,
  })),
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
    limit: 5,
    measure: (find) => worst(find('construct', `${OURS}, native`), 'ratio'),
  },
]

function againstPeers(find, name) {
  const best = Math.min(...PEERS.flatMap((peer) => find(name, peer, '10,000')).map(median))
  return find(name, OURS, '10,000')[0].median / best
}

function growth(find, name, row) {
  const [many, few] = ['1,000,000', '1,000'].map((live) => find(name, row, live)[0].median)
  return many / few
}

const median = (entry) => entry.median

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
