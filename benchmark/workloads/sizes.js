// Many sizes at once, and large blocks.

import { logUniform, slots } from '../harness/random.js'
import { heapCase } from './heap.js'

const KIB = 1024

function sizesCase(title, { live, least, most, ops }) {
  const sizes = logUniform(Math.max(ops, live), least, most)
  return heapCase({
    title,
    kernel: 'replace',
    ops,
    live,
    bytes: (live * (most - least)) / Math.log(most / least),
    stream: () => ({ script: slots(ops, live), sizes, live }),
  })
}

export const groups = [
  {
    name: 'sizes',
    title: 'Sizes uniform in their logarithm: free a random block, take another',
    unit: 'ns per pair',
    cases: ({ scale }) => [
      sizesCase('16 B … 4 KiB, 10,000 live', {
        live: 10_000,
        least: 16,
        most: 4 * KIB,
        ops: 500_000 * scale,
      }),
      sizesCase('32 KiB … 1 MiB, 16 live', {
        live: 16,
        least: 32 * KIB,
        most: KIB * KIB,
        ops: 50_000 * scale,
      }),
    ],
  },
]
