// Several producers send words to several consumers through one channel, which holds a few hundred at a time: who finds no
// room, or nothing to take, sleeps. Every message is checked to arrive once, and in its producer's order:
//
//   node examples/channel/main.js

import LocalSharedMemory from 'local-shared-memory'
import { Channel } from 'local-shared-memory/structures'
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

const PRODUCERS = 3
const CONSUMERS = 3
const MESSAGES = 20_000
const CAPACITY = 8192

const memory = LocalSharedMemory.shared('channel', { initial: 1, maximum: 1000 })

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
  const words = Channel.open(memory, 'words', { capacity: CAPACITY })
  const arrived = memory.calloc(PRODUCERS * MESSAGES)
  memory.setRoot('arrived', arrived)

  const begin = performance.now()
  const consumed = ends(startAll('consumer', CONSUMERS))
  await ends(startAll('producer', PRODUCERS))
  words.close()
  await consumed
  const milliseconds = performance.now() - begin

  const times = memory.arrayView(Uint8Array, arrived)
  const wrong = times.filter((count) => count !== 1).length
  if (wrong > 0) throw new Error(`${wrong} messages did not arrive once`)
  memory.free(arrived)
  words.destroy()
  if (memory.length !== 0) throw new Error(`${memory.length} bytes are still in use`)
  console.log(
    `${PRODUCERS} producers sent ${times.length} messages to ${CONSUMERS} consumers through a channel of ${CAPACITY} ` +
      `bytes in ${milliseconds.toFixed(0)} ms. Each arrived once, in order, and the heap is empty.`,
  )
}

try {
  await main()
} catch (error) {
  console.error(`channel: ${error.message}`)
  process.exit(1)
}
