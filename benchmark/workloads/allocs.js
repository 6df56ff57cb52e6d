// The list of all live blocks.

import { ours } from '../contenders/index.js'

const SIZE = 64

function allocsCase(blocks) {
  return {
    title: `${blocks.toLocaleString('en')} live`,
    enter() {
      const memory = ours.open()
      const pointers = Uint32Array.from({ length: blocks }, () => memory.malloc(SIZE))
      const run = () => {
        const start = process.hrtime.bigint()
        const { length } = memory.allocs()
        const end = process.hrtime.bigint()
        if (length !== blocks) throw new Error(`allocs() lists ${length} of ${blocks} blocks`)
        return Number(end - start)
      }
      const finish = () => {
        for (const pointer of pointers) memory.free(pointer)
        ours.check(memory)
      }
      return { entrants: [{ row: ours.name, most: 1, run, finish }], absent: [] }
    },
  }
}

export const groups = [
  {
    name: 'allocs',
    title: 'allocs()',
    unit: 'seconds',
    reference: null,
    convert: (nanoseconds) => nanoseconds / 1e9,
    cases: ({ quick }) => (ours ? [allocsCase(quick ? 100_000 : 1_000_000)] : []),
  },
]
