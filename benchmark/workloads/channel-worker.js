// One of two workers that send messages to each other.

import { parentPort, workerData } from 'node:worker_threads'

const { module, handle, message, length } = workerData
const { contender } = await import(module)
const end = contender.attach(handle)

const lengthOf = (value) => value.length ?? value.items.length

const check = (received) => {
  if (lengthOf(received) !== length) throw new Error('A message has changed on its way')
}

const roles = {
  send: (count) => end.send(message, count),
  receive: (count) => end.receive(count, check),
  ask: (count) => end.ask(message, count, check),
  answer: (count) => end.answer(count),
}

const ARRIVED = 0
const OPEN = 1

const meet = (barrier) => {
  if (Atomics.add(barrier, ARRIVED, 1) === 0) return Atomics.wait(barrier, OPEN, 0)
  Atomics.store(barrier, OPEN, 1)
  return Atomics.notify(barrier, OPEN)
}

parentPort.on('message', async ({ role, count, barrier }) => {
  meet(barrier)
  const start = process.hrtime.bigint()
  await roles[role](count)
  parentPort.postMessage([start, process.hrtime.bigint()].map(Number))
})
parentPort.postMessage('ready')
