// Every page of a memory belongs to the module, to JavaScript that grew it, or to the heap, and each writes to its own
// alone: whoever grows the memory, in whatever order, from any number of threads, until the memory can grow no more.

import test from 'ava'
import LocalSharedMemory from '../index.js'
import {
  BREAK,
  breakModule,
  FRESH,
  growingModule,
  GROWTHS,
  MODULE_END,
} from './fixtures/allocators.mjs'
import { launch, reportsOf } from './fixtures/launch.mjs'
import { PAGE } from './fixtures/pages.mjs'
import { intact, stamp } from './fixtures/pattern.mjs'
import { survey, Tenant } from './fixtures/tenant.mjs'

const INITIAL = 2
const MAXIMUM = 400
const SEEDS = 24

const GROWING = growingModule()

const make = (options) =>
  new LocalSharedMemory({
    initial: INITIAL,
    maximum: MAXIMUM,
    shared: true,
    heapBase: INITIAL * PAGE,
    ...options,
  })

const run = (module, memory) => new WebAssembly.Instance(module, { env: { memory } }).exports

/** What the module has grown, [first page, pages] each. */
const growthsOf = (memory) => {
  const words = new Uint32Array(memory.buffer, GROWTHS, 1 + 2 * MAXIMUM)
  return Array.from({ length: words[0] }, (_, i) => [words[1 + 2 * i], words[2 + 2 * i]])
}

/** Fills the initial pages that are nobody's, and tells whether they stay as they are. */
const wallOf = (memory, heapBase) => {
  const byteLength = heapBase - MODULE_END
  stamp(memory, MODULE_END, byteLength, 1)
  return () => intact(memory, MODULE_END, byteLength, 1)
}

/** Checks that nothing was written over, and that the heap, once it is emptied, has all of its own pages. */
const settle = (t, memory, reports) => {
  t.deepEqual(survey(memory, growthsOf(memory), reports, FRESH), [])
  for (const [ptr] of reports.flatMap(({ blocks }) => blocks)) memory.free(ptr)
  const { usedBytes, freeBytes, cachedBytes } = memory.stats()
  const foreign =
    growthsOf(memory).reduce((sum, [, count]) => sum + count, 0) +
    reports.reduce((sum, { pages }) => sum + pages.length, 0)
  t.is(usedBytes, 0)
  t.true(freeBytes + cachedBytes <= memory.buffer.byteLength - foreign * PAGE)
}

const PLACES = { 'in grown pages': INITIAL * PAGE, 'above the data': MODULE_END + 3000 }
const KINDS = {
  native: { storage: process.platform === 'linux' ? 'native' : undefined },
  engine: { storage: 'engine' },
}

for (const [place, heapBase] of Object.entries(PLACES)) {
  for (const [kind, options] of Object.entries(KINDS)) {
    test(`one thread, random orders of growth, the heap ${place}, storage: ${kind}`, (t) => {
      for (let seed = 1; seed <= SEEDS; seed++) {
        const memory = make({ heapBase, ...options })
        const stands = wallOf(memory, heapBase)
        const { malloc } = run(GROWING, memory)
        const tenants = [1, 2].map((part) => {
          const handle = LocalSharedMemory.from(structuredClone(memory))
          return new Tenant(handle, malloc, seed * 10 + part)
        })
        for (let step = 0; step < 400; step++) tenants[step % 2].step()
        t.true(stands(), `seed ${seed}`)
        settle(
          t,
          memory,
          tenants.map((tenant) => tenant.report()),
        )
      }
    })
  }

  test.serial(`four threads, the heap ${place}`, async (t) => {
    for (let round = 0; round < 3; round++) {
      const memory = make({ heapBase })
      const stands = wallOf(memory, heapBase)
      const launched = [1, 2, 3].map((thread) => {
        const seed = 1000 * round + thread
        return launch('tenant-worker.mjs', { memory, module: GROWING, seed, steps: 1500 })
      })
      const done = reportsOf(60_000, launched)
      const tenant = new Tenant(memory, run(GROWING, memory).malloc, 1000 * round + 4)
      for (let step = 0; step < 1500; step++) {
        tenant.step()
        // oxlint-disable-next-line no-await-in-loop -- lets the workers' messages in
        if (step % 50 === 0) await new Promise(setImmediate)
      }
      // oxlint-disable-next-line no-await-in-loop -- one memory at a time
      const reports = [tenant.report(), ...(await done)]
      t.true(stands())
      settle(t, memory, reports)
    }
  })
}

test('an allocator that takes all up to the end of the memory takes the pages of the heap', (t) => {
  const memory = make()
  const { sbrk } = run(breakModule(), memory)
  const ptr = memory.malloc(1000)
  const { byteLength } = memory.buffer
  const own = sbrk(ptr)
  t.true(own <= ptr && ptr < own + ptr)
  t.is(memory.buffer.byteLength, byteLength)
})

test('given its share first, and its break at the maximum, it gets no more, and touches no page of the heap', (t) => {
  const memory = make()
  const { sbrk } = run(breakModule(), memory)
  const share = sbrk(10 * PAGE)
  stamp(memory, share, 10 * PAGE, 1)
  memory.store(Uint32Array, BREAK / 4, MAXIMUM * PAGE)
  const ptrs = []
  t.throws(
    () => {
      for (;;) ptrs.push(memory.malloc(5000))
    },
    { code: 'ERR_OUT_OF_MEMORY' },
  )
  for (const ptr of ptrs) stamp(memory, ptr, 5000, ptr)
  t.is(memory.buffer.byteLength, MAXIMUM * PAGE)
  t.true(ptrs.every((ptr) => ptr >= share + 10 * PAGE))
  for (const byteLength of [1, 16, PAGE, 2 ** 31, 2 ** 32 - 16]) t.is(sbrk(byteLength), -1)
  t.true(intact(memory, share, 10 * PAGE, 1))
  t.true(ptrs.every((ptr) => intact(memory, ptr, 5000, ptr)))
})
