// Comparisons over several rows or groups of one run, for the goals. `find(name, row, column)` gives the entries.

import { paired } from '../harness/statistics.js'

export const OURS = 'local-shared-memory'
export const MIMALLOC = 'mimalloc (native)'
export const WASI = 'wasi-libc dlmalloc'
export const TLSF = 'AssemblyScript TLSF'
export const KOFFI = 'koffi + glibc'
const PEERS = [WASI, TLSF, 'walloc', '@thi.ng/malloc', 'malloc (codemix)', 'shared-memory-objects']
const COSTS = [
  'pair',
  'drain LIFO',
  'drain FIFO',
  'drain random',
  'replace FIFO',
  'replace random',
  'sizes',
  'sizes small',
  'large',
  'traces',
]
const THROUGHPUTS = ['threads private', 'threads exchange', 'threads pipeline']

const slower = (ours, theirs) => paired(ours.samples, theirs.samples)
const throughput = (ours, theirs) => paired(theirs.samples, ours.samples)
const greater = (one, other) => (other.ratio > one.ratio ? other : one)

/**
 * The column of a group in which this package is furthest behind the best of some others.
 * @returns {{ where: string, ratio: number }} above 1 when it is behind, in the same rounds
 */
export function furthestBehind(find, name, rivals, behind = slower) {
  const columns = find(name, OURS).map((ours) => {
    const others = rivals.flatMap((row) => find(name, row, ours.column))
    const ratios = others.map((theirs) => behind(ours, theirs))
    return { where: `${name}, ${ours.column}`, ratio: Math.max(0, ...ratios) }
  })
  return columns.reduce(greater)
}

/** The same over every group that JavaScript and WebAssembly peers have a row in. */
export function furthestBehindPeers(find) {
  const [ours] = find('wasm', `${OURS}, from wasm`)
  const [theirs] = find('wasm', `${WASI}, from wasm`)
  return [
    ...COSTS.map((name) => furthestBehind(find, name, PEERS)),
    ...THROUGHPUTS.map((name) => furthestBehind(find, name, PEERS, throughput)),
    { where: 'from wasm', ratio: slower(ours, theirs) },
  ].reduce(greater)
}

/** What many live blocks cost over few. */
export function spread(find, row) {
  const [many, few] = ['1,000,000', '1,000'].map((live) => find('replace random', row, live)[0])
  return many.median / few.median
}
