// 64-byte blocks: one at a time, and many taken and then freed in three orders.

import { constant, cyclic, shuffled } from '../harness/random.js'
import { heapCase } from './heap.js'

const SIZE = 64
const LIVE = [100, 1_000, 10_000, 100_000]

const orders = {
  LIFO: (live) => cyclic(live, live).toReversed(),
  FIFO: (live) => cyclic(live, live),
  random: (live) => shuffled(live),
}

const pair = {
  name: 'pair',
  title: 'malloc + free of 64 B at once',
  unit: 'ns per pair',
  cases: ({ scale }) => [
    heapCase({
      title: 'at once',
      kernel: 'pairs',
      ops: 2_000_000 * scale,
      stream: () => ({ sizes: constant(1, SIZE) }),
    }),
  ],
}

const drain = (order) => ({
  name: `drain ${order}`,
  title: `64 B: take N blocks, then free all in ${order} order`,
  unit: 'ns per pair, by N',
  cases: ({ scale }) =>
    LIVE.map((live) =>
      heapCase({
        title: live.toLocaleString('en'),
        kernel: 'drain',
        ops: Math.max(live, 500_000 * scale),
        step: live,
        live,
        stream: () => ({ script: orders[order](live), sizes: constant(live, SIZE), live }),
      }),
    ),
})

export const groups = [pair, ...Object.keys(orders).map(drain)]
