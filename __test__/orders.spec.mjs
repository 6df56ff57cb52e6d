// A worker finds the heap beside a module by `from` alone, in whatever order the module grows the memory, the worker comes,
// and the first blocks are made.

import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import test from 'ava'
import LocalSharedMemory from '../index.js'
import { ownDataModule } from './fixtures/modules.mjs'
import { PAGE } from './fixtures/pages.mjs'
import { allBytes } from './fixtures/pattern.mjs'

const INITIAL = 2
const MODULE_END = 49_000
const BLOCK = 3000

const MODULE = ownDataModule()

/** All orders of the names. */
const permutations = (names) =>
  names.length === 0
    ? [[]]
    : names.flatMap((name) =>
        permutations(names.filter((other) => other !== name)).map((rest) => [name].concat(rest)),
      )

const ORDERS = permutations([
  'main grows',
  'worker grows',
  'worker: from',
  'main allocates',
  'worker allocates',
]).filter((order) => order.indexOf('worker: from') < order.indexOf('worker allocates'))

const startWorker = () => {
  const worker = new Worker(new URL('fixtures/orders-worker.mjs', import.meta.url))
  const ask = async (action, details) => {
    const answer = once(worker, 'message')
    worker.postMessage({ action, ...details })
    return (await answer)[0]
  }
  return { ask, stop: () => worker.terminate() }
}

/** Goes through one order with a new memory. */
const play = async (ask, order, heapBase) => {
  const memory = new LocalSharedMemory({ initial: INITIAL, maximum: 60, shared: true, heapBase })
  const { exports: own } = new WebAssembly.Instance(MODULE, { env: { memory } })
  await ask('receive', { memory, module: MODULE })
  const pages = []
  const ptrs = []
  const steps = {
    'main grows': () => pages.push([own.take(3, 0x11), 3, 0x11]),
    'worker grows': async () => pages.push([await ask('grow', { pages: 2, byte: 0x22 }), 2, 0x22]),
    'worker: from': () => ask('from'),
    'main allocates': () => ptrs.push(memory.malloc(BLOCK)),
    'worker allocates': async () => ptrs.push(await ask('malloc', { byteLength: BLOCK })),
  }
  // oxlint-disable-next-line no-await-in-loop -- the order is what is tested
  for (const name of order) await steps[name]()
  return { memory, pages, ptrs: ptrs.toSorted((ptr, other) => ptr - other) }
}

for (const [place, heapBase] of Object.entries({
  'in grown pages': INITIAL * PAGE,
  'above the data': MODULE_END,
})) {
  test(`all orders, the heap ${place}`, async (t) => {
    const { ask, stop } = startWorker()
    t.is(ORDERS.length, 60)
    for (const order of ORDERS) {
      const title = order.join(', ')
      /* oxlint-disable no-await-in-loop -- one order after the other */
      const { memory, pages, ptrs } = await play(ask, order, heapBase)
      const blocks = ptrs.map((ptr) => [ptr, BLOCK])
      t.deepEqual(await ask('blocks'), blocks, title)
      t.deepEqual(
        memory.allocs().map(({ byteOffset, byteLength }) => [byteOffset, byteLength]),
        blocks,
        title,
      )
      for (const ptr of ptrs) {
        t.true(ptr - 8 >= heapBase, title)
        memory.memset(ptr, 0xff, BLOCK)
      }
      for (const [first, count, byte] of pages) {
        t.true(allBytes(memory, first * PAGE, count * PAGE, byte), title)
      }
      t.true(allBytes(memory, 2048, MODULE_END - 2048, 0), title)
      await ask('free', { ptr: ptrs[0] })
      memory.free(ptrs[1])
      t.is(memory.length, 0, title)
      /* oxlint-enable no-await-in-loop */
    }
    await stop()
  })
}
