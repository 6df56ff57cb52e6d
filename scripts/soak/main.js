// Uses one memory from many threads for as long as it is told to, and counts what goes wrong, while workers come and go
// in every way a worker can end: its heap, or mutex, map and channel. Exits with 1 on any fault or leak.
//
//   node scripts/soak/main.js --minutes 20 --threads 4 --pages 6000 --seed 1
//   node scripts/soak/main.js --structures --minutes 20

import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import LocalSharedMemory from '../../index.js'
import { randomFrom } from '../../__test__/fixtures/random.mjs'
import { soakHeap } from './heap.js'
import { soakStructures } from './structures.js'

const ENDS = ['return', 'throw', 'exit', 'terminate']
/** Exit codes and the message of an error. Terminated before it has begun, a worker ends with 0. */
const EXPECTED = {
  return: { codes: [0] },
  throw: { codes: [1], message: 'the end' },
  exit: { codes: [3] },
  terminate: { codes: [1, 0] },
}
const SHORTEST_LIFE = 100
const LONGEST_LIFE = 5000
const MIB = 2 ** 20

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    threads: { type: 'string', default: '4' },
    pages: { type: 'string', default: '6000' },
    seed: { type: 'string', default: '1' },
    structures: { type: 'boolean', default: false },
  },
})
const threads = Number(values.threads)
const random = randomFrom(Number(values.seed))
const memory = new LocalSharedMemory(1, Number(values.pages))
/** Outside the heap: what tells a worker to stop, and operations of each. */
const stop = new Int32Array(new SharedArrayBuffer(4))
const operations = new Int32Array(new SharedArrayBuffer(threads * 4))
const totals = { operations: 0, workers: 0, terminated: 0 }
const faults = []

const fault = (what) => {
  faults.push(what)
  console.error(what)
}

/** Runs something that must not fail. */
const must = (what, act) => {
  try {
    return act()
  } catch (error) {
    fault(`${what}: ${error.stack}`)
  }
}

const runWorker = async (subject, index, how) => {
  const life = SHORTEST_LIFE + random(LONGEST_LIFE)
  const { data, settle } = subject.newWorker()
  const workerData = { memory, stop, operations, ...data, index, how, life, seed: random(2 ** 31) }
  const worker = new Worker(subject.worker, { workerData })
  totals.workers++
  let failure
  worker.on('error', (error) => (failure = error))
  const ended = new Promise((resolve) => {
    worker.once('exit', resolve)
  })
  if (how === 'terminate') await Promise.race([sleep(life), ended]).then(() => worker.terminate())
  const { codes, message } = EXPECTED[how]
  const actual = await ended
  if (!codes.includes(actual) || failure?.message !== message) {
    fault(`a worker that should ${how} ended with ${actual}: ${failure?.stack}`)
  }
  if (how === 'terminate') totals.terminated++
  settle()
}

const keepWorking = async (subject, index) => {
  while (Atomics.load(stop, 0) === 0) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await runWorker(subject, index, ENDS[random(ENDS.length)])
  }
}

const figures = (since) => {
  const { byteLength, usedBytes, cachedBytes } = memory.stats()
  totals.operations += operations.reduce(
    (sum, _, at) => sum + Atomics.exchange(operations, at, 0),
    0,
  )
  return {
    seconds: Math.round((Date.now() - since) / 1000),
    operations: totals.operations,
    workers: totals.workers,
    faults: faults.length,
    'heap MiB': Math.round(byteLength / MIB),
    'used MiB': Math.round(usedBytes / MIB),
    'cached KiB': Math.round(cachedBytes / 1024),
    'resident MiB': Math.round(process.memoryUsage.rss() / MIB),
  }
}

const watch = async (subject, minutes) => {
  const since = Date.now()
  const rows = [figures(since)]
  const end = since + minutes * 60_000
  for (let second = 1; Date.now() < end; second++) {
    // oxlint-disable-next-line no-await-in-loop -- once a second
    await sleep(Math.min(1000, end - Date.now()))
    subject.inspect(second)
    if (second % 60 === 0) {
      rows.push(figures(since))
      console.table([rows.at(-1)])
    }
  }
  Atomics.store(stop, 0, 1)
  return { rows, since }
}

memory.free(memory.malloc(1))
memory.trim()
const subject = (values.structures ? soakStructures : soakHeap)(memory, { must, fault, totals })
const working = Array.from({ length: threads }, (_, index) => keepWorking(subject, index))
const { rows, since } = await watch(subject, Number(values.minutes))
await Promise.all(working)
subject.end()
must('trim', () => memory.trim())
rows.push(figures(since))
console.table(rows)
const { usedBytes, cachedBytes } = memory.stats()
const leaked = usedBytes + cachedBytes
console.log({ ...totals, faults: faults.length, leakedBytes: leaked })
process.exitCode = faults.length > 0 || leaked > 0 ? 1 : 0
