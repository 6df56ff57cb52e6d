// One worker of a team: attaches to the heap once, then runs what it is told.

import { parentPort, workerData } from 'node:worker_threads'
import { fresh } from '../harness/kernels.js'

const { module, handle, stream } = workerData
const { contender } = await import(module)
const heap = contender.attach(handle)
const pointers = new (contender.Pointers ?? Uint32Array)(stream.live)
const kernels = ['replace', 'exchange', 'pipeline']
const loops = Object.fromEntries(kernels.map((kernel) => [kernel, fresh(kernel)]))

const ARRIVED = 0
const OPEN = 1

function meet(barrier, threads) {
  if (Atomics.add(barrier, ARRIVED, 1) + 1 < threads) {
    Atomics.wait(barrier, OPEN, 0)
  } else {
    Atomics.store(barrier, OPEN, 1)
    Atomics.notify(barrier, OPEN)
  }
}

parentPort.on('message', ({ kernel, ops, threads, barrier, outbox, inbox, index }) => {
  const work = { ...stream, outbox, inbox, index }
  const span = loops[kernel](heap, pointers, work, ops, () => meet(barrier, threads))
  parentPort.postMessage(span.map(Number))
})
parentPort.postMessage('ready')
