// Uses one heap from many threads for as long as it is told to, and counts what goes wrong: workers that come and go
// in every way a worker can end, blocks that other threads free, growth, trimming. Exits with 1 on any fault or leak.
//
//   node scripts/soak.js --minutes 10 --threads 4 --pages 6000 --seed 1

import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import LocalSharedMemory from '../index.js'
import { randomFrom } from '../__test__/fixtures/random.mjs'
import { checkAllocs } from '../__test__/fixtures/shadow.mjs'

const ENDS = ['return', 'throw', 'exit', 'terminate']
/** Exit codes and the message of an error. Terminated before it has begun, a worker ends with 0. */
const EXPECTED = {
  return: { codes: [0] },
  throw: { codes: [1], message: 'the end' },
  exit: { codes: [3] },
  terminate: { codes: [1, 0] },
}
const MAX_LIVE = 400
const MAILBOXES = 64
const SHORTEST_LIFE = 100
const LONGEST_LIFE = 5000
const MIB = 2 ** 20

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    threads: { type: 'string', default: '4' },
    pages: { type: 'string', default: '6000' },
    seed: { type: 'string', default: '1' },
  },
})
const threads = Number(values.threads)
const random = randomFrom(Number(values.seed))
const memory = new LocalSharedMemory(1, Number(values.pages))
/** Outside the heap: what tells a worker to stop, operations of each, pointers that anyone may free. */
const shared = {
  stop: new Int32Array(new SharedArrayBuffer(4)),
  operations: new Int32Array(new SharedArrayBuffer(threads * 4)),
  mailboxes: new Uint32Array(new SharedArrayBuffer(MAILBOXES * 4)),
}
const totals = { operations: 0, workers: 0, terminated: 0, inFlight: 0 }
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

const runWorker = async (index, how) => {
  /** The pointers of the worker's live blocks; 0 is none. */
  const live = new Uint32Array(new SharedArrayBuffer(MAX_LIVE * 4))
  const life = SHORTEST_LIFE + random(LONGEST_LIFE)
  const workerData = { memory, ...shared, live, index, how, life, seed: random(2 ** 31) }
  const worker = new Worker(new URL('soak-worker.js', import.meta.url), { workerData })
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
  for (const ptr of live) if (ptr !== 0) must('a block left behind', () => memory.free(ptr))
}

const keepWorking = async (index) => {
  while (Atomics.load(shared.stop, 0) === 0) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await runWorker(index, ENDS[random(ENDS.length)])
  }
}

const figures = (since) => {
  const { byteLength, usedBytes, cachedBytes } = memory.stats()
  totals.operations += shared.operations.reduce(
    (sum, _, at) => sum + Atomics.exchange(shared.operations, at, 0),
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

const watch = async (minutes) => {
  const since = Date.now()
  const rows = [figures(since)]
  const end = since + minutes * 60_000
  for (let second = 1; Date.now() < end; second++) {
    // oxlint-disable-next-line no-await-in-loop -- once a second
    await sleep(Math.min(1000, end - Date.now()))
    must('allocs', () => checkAllocs(memory.allocs(), memory.buffer.byteLength))
    if (second % 10 === 0) must('trim', () => memory.trim())
    if (second % 60 === 0) {
      rows.push(figures(since))
      console.table([rows.at(-1)])
    }
  }
  Atomics.store(shared.stop, 0, 1)
  return { rows, since }
}

// Each terminated worker may have had one block in hand that it had not noted down yet, or not any more.
const freeTheRest = () => {
  for (const ptr of shared.mailboxes) if (ptr !== 0) must('a mailbox', () => memory.free(ptr))
  for (const { byteOffset } of memory.allocs()) {
    must('a block in flight', () => memory.free(byteOffset))
    totals.inFlight++
  }
  if (totals.inFlight > totals.terminated) {
    fault(`${totals.inFlight} blocks belong to nobody, after ${totals.terminated} terminations`)
  }
  must('trim', () => memory.trim())
}

memory.free(memory.malloc(1))
memory.trim()
const working = Array.from({ length: threads }, (_, index) => keepWorking(index))
const { rows, since } = await watch(Number(values.minutes))
await Promise.all(working)
freeTheRest()
rows.push(figures(since))
console.table(rows)
const { usedBytes, cachedBytes } = memory.stats()
const leaked = usedBytes + cachedBytes
console.log({ ...totals, faults: faults.length, leakedBytes: leaked })
process.exitCode = faults.length > 0 || leaked > 0 ? 1 : 0
