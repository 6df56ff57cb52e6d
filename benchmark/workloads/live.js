// 64-byte blocks with N live at all times: free one, take another. The freed one is the oldest or a
// random one; with many live, the random one is in no cache, neither the harness's pointer nor the
// block, so the empty loops show what of the cost is the harness's own.

import { constant, cyclic, slots } from '../harness/random.js'
import { heapCase } from './heap.js'

const SIZE = 64
const FEW = [100, 1_000, 10_000, 100_000]
const MANY = [1_000_000, 10_000_000]

function replaceCase(live, script, scale) {
  const large = live >= MANY[0]
  const ops = large ? 1_000_000 : 500_000 * scale
  return heapCase({
    title: live.toLocaleString('en'),
    kernel: 'replace',
    ops,
    step: large ? ops : 1,
    live,
    bytes: live * SIZE,
    stream: () => ({
      script: script(ops, live),
      sizes: constant(Math.max(ops, live), SIZE),
      live,
    }),
  })
}

const oldest = {
  name: 'replace FIFO',
  title: '64 B, N live: free the oldest, take another',
  unit: 'ns per pair, by N',
  cases: ({ scale, quick }) =>
    [...FEW, ...(quick ? [] : [MANY[0]])].map((live) => replaceCase(live, cyclic, scale)),
}

const random = {
  name: 'replace random',
  title: '64 B, N live: free a random block, take another',
  unit: 'ns per pair, by N',
  cases: ({ scale, quick }) =>
    [...FEW, ...(quick ? [] : MANY)].map((live) => replaceCase(live, slots, scale)),
}

export const groups = [oldest, random]
