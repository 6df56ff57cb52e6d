// SharedMap used by several threads at once: all that they see can be put in one order.

import test from 'ava'
import LocalSharedMemory from '../index.js'
import { SharedMap } from '../structures/index.js'
import { launch, reportsOf } from './fixtures/launch.mjs'
import { isLinear, stepOfMap } from './fixtures/linear.mjs'

const LATEST = 120_000
const WORKERS = 3

const newMemory = () => {
  const memory = new LocalSharedMemory(2, 2000)
  memory.free(memory.malloc(1))
  return memory
}

const startAll = (fixture, workerData, count = WORKERS) =>
  Array.from({ length: count }, (_, index) =>
    launch(fixture, { ...workerData, threads: count, seed: workerData.seed * 10 + index }),
  )

/** The operations on each key, by thread. */
const byKey = (histories) => {
  const keys = new Set(histories.flat().map(({ key }) => key))
  return Array.from(keys, (key) =>
    histories.map((history) => history.filter((one) => one.key === key)),
  )
}

const get = (result, from, to) => ({ name: 'get', result, from, to })

test('what is no order of operations is told from what is one', (t) => {
  const set = { name: 'set', argument: 'a', from: 0, to: 3 }
  t.true(isLinear([[set], [get(undefined, 1, 2)]], stepOfMap))
  t.true(isLinear([[set], [get('a', 1, 2)]], stepOfMap))
  t.true(isLinear([[set], [get(undefined, 1, 2), get('a', 2.5, 4)]], stepOfMap))
  t.false(isLinear([[set], [get('a', 1, 2), get(undefined, 2.5, 4)]], stepOfMap))
  t.false(isLinear([[set], [get(undefined, 4, 5)]], stepOfMap))
  t.false(isLinear([[set], [get('b', 1, 2)]], stepOfMap))
})

for (const [seed, options] of [{}, { ttl: 3_600_000 }].entries()) {
  test(`there is an order that explains what all threads saw (${JSON.stringify(options)})`, async (t) => {
    const memory = newMemory()
    const before = memory.stats().usedBytes
    const map = SharedMap.create(memory, options)
    const clock = new Int32Array(new SharedArrayBuffer(4))
    const gate = new SharedArrayBuffer(4)
    const workerData = {
      memory,
      ptr: map.ptr,
      clock,
      gate,
      seed: seed + 1,
      rounds: 12_000,
      keys: 24,
    }
    const histories = await reportsOf(LATEST, startAll('map-histories-worker.mjs', workerData))
    t.true(
      histories.flat().some(({ from, to }) => to - from > 1),
      'no two overlapped',
    )
    for (const threads of byKey(histories)) t.true(isLinear(threads, stepOfMap))
    map.destroy()
    t.is(memory.stats().usedBytes, before)
  })
}

test('threads that open one name get one map, and count together', async (t) => {
  const memory = newMemory()
  const workerData = { memory, name: 'counts', seed: 1, rounds: 20_000, keys: 50 }
  await reportsOf(LATEST, startAll('map-counting-worker.mjs', workerData))
  const map = SharedMap.open(memory, 'counts', { maxEntries: 1000 })
  t.is(map.size, 50)
  t.is(
    [...map.values()].reduce((sum, count) => sum + count, 0),
    WORKERS * 20_000,
  )
  const { hits, misses } = map.stats()
  t.is(hits + misses, WORKERS * 20_000)
  map.destroy()
  t.is(memory.getRoot('counts'), undefined)
})

test('a walk meets what stays once, whatever other threads do', async (t) => {
  const memory = newMemory()
  const map = SharedMap.create(memory)
  const stop = new Int32Array(new SharedArrayBuffer(4))
  for (let key = 0; key < 2000; key++) map.set(key, 'stays')
  const workers = startAll('map-restless-worker.mjs', { memory, ptr: map.ptr, stop, seed: 1 })
  await Promise.all(
    workers.map(({ worker }) => new Promise((resolve) => worker.once('message', resolve))),
  )
  const sizes = []
  for (let walk = 0; walk < 20; walk++) {
    const seen = [...map.keys()].filter((key) => typeof key === 'number')
    t.is(seen.length, 2000)
    t.is(new Set(seen).size, 2000)
    sizes.push(map.size)
  }
  Atomics.store(stop, 0, 1)
  await reportsOf(LATEST, workers)
  t.true(new Set(sizes).size > 1, 'nothing happened meanwhile')
})

for (const [kind, values] of Object.entries({
  bigint: [0n, -1n, 0x0123456789abcdefn],
  number: [1 / 3, -1e300, 5],
  'boolean or null': [true, null, false],
})) {
  test(`a ${kind} is read whole while another thread writes one over it`, async (t) => {
    const memory = newMemory()
    const map = SharedMap.create(memory)
    const stop = new Int32Array(new SharedArrayBuffer(4))
    map.set('key', values[0])
    const { bytes } = map.stats()
    const workerData = { memory, ptr: map.ptr, values, stop, seed: 1 }
    const workers = startAll('map-changing-worker.mjs', workerData, 1)
    await new Promise((resolve) => workers[0].worker.once('message', resolve))
    const seen = new Set()
    for (let round = 0; round < 30_000 || seen.size < 2; round++) seen.add(map.get('key'))
    Atomics.store(stop, 0, 1)
    await reportsOf(LATEST, workers)
    for (const value of seen) t.true(values.includes(value))
    t.is(map.stats().bytes, bytes)
  })
}
