// One worker of those that have a map open: fills it, then gets or sets entries in random order.

import { parentPort, workerData } from 'node:worker_threads'

const { module, handle, load, entries, start: first } = workerData
const { contender } = await import(module)
const map = contender.attach(handle)

// Flat strings: what concatenation makes would be flattened in the first call that is timed.
const flat = (text) => Buffer.from(text).toString('latin1')
const keyOf = { number: (index) => index, string: (index) => flat(`session:${index}`) }
const valueOf = {
  number: (index) => index + 0.5,
  string: (index) => flat(`${index}`.padEnd(100, 'v')),
}
const keys = Array.from({ length: entries }, (_, index) => keyOf[load.keys](index))
const values = Array.from({ length: entries }, (_, index) => valueOf[load.values](index))
// Each entry once, in an order without a pattern, which each thread begins elsewhere: threads that begin together would meet at
// entry after entry, as those of a program do not.
const order = Uint32Array.from(
  { length: entries },
  (_, index) => ((first + index) * 7919) % entries,
)

const loops = {
  get(ops) {
    let found = 0
    for (let i = 0, at = 0; i < ops; i++) {
      if (map.get(keys[order[at]]) !== undefined) found++
      at = at + 1 === entries ? 0 : at + 1
    }
    return found
  },
  set(ops) {
    for (let i = 0, at = 0; i < ops; i++) {
      map.set(keys[order[at]], values[at])
      at = at + 1 === entries ? 0 : at + 1
    }
    return ops
  },
}

const asking = {
  async get(ops) {
    let found = 0
    // oxlint-disable-next-line no-await-in-loop -- that is what it is for
    for (let i = 0; i < ops; i++)
      if ((await map.get(keys[order[i % entries]])) !== undefined) found++
    return found
  },
  async set(ops) {
    // oxlint-disable-next-line no-await-in-loop -- that is what it is for
    for (let i = 0; i < ops; i++) await map.set(keys[order[i % entries]], values[i % entries])
    return ops
  },
}

/** The part of a round that goes before it, untimed: the other maps have used the processor's caches meanwhile. */
const LEAD_IN = 4
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

async function time(call, ops) {
  const start = process.hrtime.bigint()
  const done = contender.asks ? await asking[call](ops) : loops[call](ops)
  await map.settle?.()
  const end = process.hrtime.bigint()
  if (done !== ops) throw new Error(`${ops - done} entries were not found`)
  return [start, end].map(Number)
}

await time('set', entries)
parentPort.on('message', async ({ call, ops, threads, barrier }) => {
  await time(call, Math.ceil(ops / LEAD_IN))
  meet(barrier, threads)
  parentPort.postMessage(await time(call, ops))
})
parentPort.postMessage('ready')
