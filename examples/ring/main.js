// Several producers and several consumers share one ring: each message is a block that a producer allocates and a consumer
// frees, and what goes through the ring is its pointer. Every message is checked to arrive once, and in order:
//
//   node examples/ring/main.js

import LocalSharedMemory from 'local-shared-memory'
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { Ring } from './ring.js'

const PRODUCERS = 3
const CONSUMERS = 3
const MESSAGES = 20_000
const CAPACITY = 64
const STOP = 0

const memory = LocalSharedMemory.shared('ring', { initial: 1, maximum: 1000 })

const start = (role, index) =>
  new Worker(new URL('worker.js', import.meta.url), {
    workerData: { role, index, messages: MESSAGES },
  })

const startAll = (role, count) => Array.from({ length: count }, (_, index) => start(role, index))

const ends = async (workers) => {
  const codes = await Promise.all(workers.map((worker) => once(worker, 'exit')))
  if (codes.some(([code]) => code !== 0)) throw new Error('a worker failed')
}

const main = async () => {
  const ring = new Ring(memory, Ring.allocate(memory, CAPACITY))
  const arrived = memory.calloc(PRODUCERS * MESSAGES)
  memory.setRoot('ring', ring.ptr)
  memory.setRoot('arrived', arrived)

  const begin = performance.now()
  const consumed = ends(startAll('consumer', CONSUMERS))
  await ends(startAll('producer', PRODUCERS))
  for (let i = 0; i < CONSUMERS; i++) ring.put(STOP)
  await consumed
  const milliseconds = performance.now() - begin

  const times = memory.arrayView(Uint8Array, arrived)
  const wrong = times.filter((count) => count !== 1).length
  if (wrong > 0) throw new Error(`${wrong} messages did not arrive once`)
  memory.free(arrived)
  memory.free(ring.ptr)
  if (memory.length !== 0) throw new Error(`${memory.length} bytes are still in use`)
  console.log(
    `${PRODUCERS} producers sent ${times.length} messages to ${CONSUMERS} consumers through a ring of ${CAPACITY} ` +
      `places in ${milliseconds.toFixed(0)} ms. Each arrived once, in order, and the heap is empty.`,
  )
}

try {
  await main()
} catch (error) {
  console.error(`ring: ${error.message}`)
  process.exit(1)
}
