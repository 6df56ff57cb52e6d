// Threads grow one memory from JavaScript, from inside WebAssembly and by malloc, all at the same time, while all of them
// use accessors, views, Atomics and instructions on it: base, lengths and views stay right.

import test from 'ava'
import LocalSharedMemory from '../index.js'
import { launch, reportsOf } from './fixtures/launch.mjs'
import { sharedModule } from './fixtures/modules.mjs'
import { PAGE } from './fixtures/pages.mjs'
import { checkAllocs } from './fixtures/shadow.mjs'

const MAXIMUM = 100
const ROLES = ['javascript', 'plain', 'wasm', 'malloc', 'small']
const [ROUNDS, STEPS] = [3, 1200]

const SHAPES = {
  'native storage': { storage: 'native' },
  'engine storage': { storage: 'engine' },
  'native storage and heapBase': { storage: 'native', heapBase: PAGE },
  'engine storage and heapBase': { storage: 'engine', heapBase: 4096 },
}

const race = async (t, module, descriptor, seed) => {
  const ownsAll = descriptor.heapBase === undefined
  const memory = new LocalSharedMemory({
    ...descriptor,
    initial: 1,
    maximum: MAXIMUM,
    shared: true,
  })
  const counter = memory.calloc(4)
  const initial = memory.buffer.byteLength / PAGE
  const old = memory.arrayView(Int32Array, counter)
  const board = new SharedArrayBuffer(64 * 4)
  const gate = new SharedArrayBuffer(4)
  const shared = {
    memory,
    gate,
    threads: ROLES.length,
    counter,
    board,
    module,
    ownsAll,
    maximum: MAXIMUM,
    steps: STEPS,
  }
  const launched = ROLES.map((role, index) =>
    launch('growth-race-worker.mjs', { ...shared, role, seed: seed * 10 + index }),
  )
  const reports = await reportsOf(60_000, launched)

  memory.grow(0)
  const length = memory.buffer.byteLength
  t.is(old[0], 3 * STEPS * ROLES.length)
  t.is(memory.getInt32(counter), old[0])
  t.true(length > initial * PAGE && length <= MAXIMUM * PAGE)

  const grown = reports.flatMap(({ pages }) => pages)
  t.is(new Set(grown).size, grown.length)
  t.true(grown.every((page) => page >= 1 && page < length / PAGE))
  const blocks = memory.allocs()
  checkAllocs(blocks, length)
  const expected = [counter, ...reports.flatMap((report) => report.blocks)]
  t.deepEqual(
    blocks.map(({ byteOffset }) => byteOffset),
    expected.toSorted((a, b) => a - b),
  )
  const foreign = new Set(ownsAll ? [] : grown)
  for (const { byteOffset, byteLength } of blocks) {
    const last = Math.floor((byteOffset + byteLength - 1) / PAGE)
    for (let page = Math.floor((byteOffset - 8) / PAGE); page <= last; page++) {
      t.false(foreign.has(page), `block ${byteOffset} in page ${page}`)
    }
    memory.free(byteOffset)
  }
  t.is(memory.length, 0)
  return { grown: grown.length, reads: reports.reduce((sum, { reads }) => sum + reads, 0) }
}

for (const [title, descriptor] of Object.entries(SHAPES)) {
  const native = descriptor.storage === 'native'
  const declare = native && process.platform !== 'linux' ? test.skip : test.serial
  declare(`threads grow and use one memory in every way at once: ${title}`, async (t) => {
    const module = sharedModule()
    const total = { grown: 0, reads: 0 }
    for (let round = 0; round < ROUNDS; round++) {
      // oxlint-disable-next-line no-await-in-loop -- one memory after the other
      const { grown, reads } = await race(t, module, descriptor, round)
      total.grown += grown
      total.reads += reads
    }
    t.log(total)
    t.true(total.grown > ROUNDS * 10 && total.reads > 10_000)
  })
}
