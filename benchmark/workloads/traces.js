// Recorded programs: the time of each call, and how far the memory grows.

import { contenders } from '../contenders/index.js'
import { fresh } from '../harness/kernels.js'
import { readTrace, traceNames } from '../harness/traces.js'
import { heapCase } from './heap.js'

const NO_SIZES = new Uint32Array(0)
const STEADY_PASSES = 2

function timeCase(name) {
  const { script, ids, calls, peakBlocks, leastBytes } = readTrace(name)
  return heapCase({
    title: name,
    kernel: 'replay',
    ops: calls,
    live: peakBlocks,
    bytes: leastBytes,
    needs: ['realloc'],
    stream: () => ({ script, sizes: NO_SIZES, live: ids }),
  })
}

// A heap of its own for each round: how much longer the first pass takes than the fastest of those after it.
function firstPassCase(name) {
  const { script, ids, calls } = readTrace(name)
  return {
    title: name,
    enter: () => ({
      entrants: contenders
        .filter((contender) => contender.openSmall)
        .map((contender) => {
          const loop = fresh('replay')
          const pass = (heap) => {
            const pointers = new (contender.Pointers ?? Uint32Array)(ids)
            const [start, end] = loop(heap, pointers, { script }, calls)
            return Number(end - start)
          }
          return {
            row: contender.name,
            most: 1,
            run() {
              const heap = contender.open()
              const first = pass(heap)
              return first / Math.min(...Array.from({ length: STEADY_PASSES }, () => pass(heap)))
            },
            finish() {},
          }
        }),
      absent: [],
    }),
  }
}

function growthCase(name) {
  const { script, ids, calls, leastBytes } = readTrace(name)
  return {
    title: `${name} (${(leastBytes / 2 ** 20).toFixed(1)} MiB)`,
    enter: () => ({
      entrants: contenders
        .filter((contender) => contender.openSmall)
        .map((contender) => ({
          row: contender.name,
          most: 1,
          run() {
            const heap = contender.openSmall()
            fresh('replay')(heap, new Uint32Array(ids), { script }, calls)
            return (heap.memory ?? heap).buffer.byteLength / leastBytes
          },
          finish() {},
        })),
      absent: [],
    }),
  }
}

export const groups = [
  {
    name: 'traces',
    title: 'Recorded traces',
    unit: 'ns per call of malloc, free or realloc',
    reference: 'floor (JS)',
    cases: () => traceNames.map(timeCase),
  },
  {
    name: 'first pass',
    title: 'Recorded traces: the first pass in a fresh heap, over the faster of the next two',
    unit: 'times the later pass',
    reference: null,
    cases: () => traceNames.map(firstPassCase),
  },
  {
    name: 'growth',
    title: 'Memory grown to, over the least that (n + 8) rounded up to 16 allows at the peak',
    unit: 'bytes per byte; heaps that start at one page and grow by themselves',
    reference: 'AssemblyScript TLSF',
    cases: () => traceNames.map(growthCase),
  },
]
