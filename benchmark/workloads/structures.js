// Mutex and struct against the raw calls that they stand for, in the same loop; Mutex against Node.js's own locks too.

import workerThreads from 'node:worker_threads'
import { ours } from '../contenders/index.js'
import { Mutex, struct } from '../../structures/index.js'
import { accessCase } from './access.js'

const BYTES = 4096

const LOCKED = {
  title: 'lock and unlock, nobody waiting',
  raw: 'sum += Atomics.compareExchange(view, 4, 0, 7) + Atomics.compareExchange(view, 4, 7, 0)',
  own: 'target.lock(); target.unlock(); sum += at',
}

const FIELD = {
  title: 'read and write a field',
  raw: 'view[2] = view[2] + 1; sum += at',
  own: 'target.price = target.price + 1; sum += at',
}

const COUNTED = {
  title: 'add to a field by pointer',
  raw: 'sum += Atomics.add(view, at >>> 2, 1)',
  own: 'sum += target.add(at, 1)',
}

const LOCKS = 'locks (Node.js)'
/** An operation of theirs takes about so many times as long. */
const LOCKS_COST = 100

const requestAll = async (locks, ops) => {
  const start = process.hrtime.bigint()
  // oxlint-disable-next-line no-await-in-loop -- one after the other, as the others do it
  for (let i = 0; i < ops; i++) await locks.request('benchmark', () => {})
  return Number(process.hrtime.bigint() - start)
}

const locksEntrant = ({ locks }, most) => {
  if (locks === undefined) return { row: LOCKS, why: 'this Node.js has none' }
  return { row: LOCKS, most, run: (ops) => requestAll(locks, ops), finish() {} }
}

/** The same with one more contender, if it can do it. */
const beside = (each, other) => ({
  ...each,
  async enter() {
    const { entrants, absent } = await each.enter()
    return other.why
      ? { entrants, absent: [...absent, other] }
      : { entrants: [...entrants, other], absent }
  },
})

const mutexCase = (memory, most) => {
  const words = memory.arrayView(Int32Array, memory.calloc(64), 16)
  const locked = accessCase(LOCKED, most, Mutex.create(memory), words, 0)
  return beside(locked, locksEntrant(workerThreads, most / LOCKS_COST))
}

const fieldCase = (memory, most) => {
  const Order = struct({ id: 'u32', price: 'f64', name: 'utf8(8)' })
  const floats = memory.arrayView(Float64Array, memory.calloc(64), 8)
  return accessCase(FIELD, most, Order.create(memory), floats, 0)
}

const countedCase = (memory, most) => {
  const { hits } = struct({ hits: 'u32', misses: 'u32' }).fields(memory)
  return accessCase(COUNTED, most, hits, new Int32Array(memory.buffer), memory.calloc(BYTES))
}

export const groups = [
  {
    name: 'structures',
    title: 'Mutex and struct against Atomics and a typed array',
    unit: 'ns per step',
    transposed: true,
    reference: 'raw',
    cases({ scale }) {
      if (!ours) return []
      const memory = ours.open()
      const most = 2_000_000 * scale
      return [mutexCase, fieldCase, countedCase].map((make) => make(memory, most))
    },
  },
]
