// Many sizes at once, large blocks, and few blocks in a memory that begins with one page.

import { constant, cyclic, logUniform, slots } from '../harness/random.js'
import { heapCase } from './heap.js'

const KIB = 1024
const MOST_PAGES = 65_536

function sizesCase(title, { live, least, most, ops, small }) {
  const sizes = logUniform(Math.max(ops, live), least, most)
  return heapCase({
    title,
    kernel: 'replace',
    ops,
    live,
    small,
    bytes: (live * (most - least)) / Math.log(most / least),
    stream: () => ({ script: slots(ops, live), sizes, live }),
  })
}

function largeCase(title, { live, size, ops }) {
  return heapCase({
    title,
    kernel: 'drain',
    ops,
    step: live,
    live,
    small: MOST_PAGES,
    bytes: live * size,
    stream: () => ({ script: cyclic(live, live), sizes: constant(live, size), live }),
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
  {
    name: 'sizes small',
    title: 'The same in a memory that begins with one page',
    unit: 'ns per pair',
    cases: ({ scale }) =>
      [
        ['16 B … 2 KiB, 20 live', { live: 20, least: 16, most: 2 * KIB }],
        ['1 KiB … 8 KiB, 16 live', { live: 16, least: KIB, most: 8 * KIB }],
        ['16 B … 30 KiB, 50 live', { live: 50, least: 16, most: 30 * KIB }],
        ['450 live, 64 pages at most', { live: 450, least: 16, most: 30 * KIB, small: 64 }],
      ].map(([title, blocks]) =>
        sizesCase(title, { small: MOST_PAGES, ...blocks, ops: 200_000 * scale }),
      ),
  },
  {
    name: 'large',
    title:
      'Large blocks: take some, then free all in FIFO order, in a memory that begins with one page',
    unit: 'ns per pair',
    cases: ({ scale }) =>
      [
        ['40 of 64 KiB', { live: 40, size: 64 * KIB }],
        ['3 of 1.2 MB', { live: 3, size: 1_200_000 }],
        ['1 of 8 MB', { live: 1, size: 8_000_000 }],
      ].map(([title, blocks]) => largeCase(title, { ...blocks, ops: 120_000 * scale })),
  },
]
