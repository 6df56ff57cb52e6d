// Many threads, one heap: at once, across threads, and when a thread ends at any moment.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { MessageChannel, receiveMessageOnPort, setEnvironmentData } from 'node:worker_threads'
import test from 'ava'
import LocalSharedMemory from '../index.js'
import { DEBUG } from './fixtures/debug.mjs'
import { launch, reportsOf, within } from './fixtures/launch.mjs'
import { PAGE } from './fixtures/pages.mjs'
import { intact } from './fixtures/pattern.mjs'
import { randomFrom } from './fixtures/random.mjs'
import { checkAllocs } from './fixtures/shadow.mjs'

const CONTROL_BYTES = 4096

/** Calls allocs() for as long as the promise is pending, and checks every answer. Returns the number of calls. */
const watchAllocs = async (memory, promise) => {
  const state = { pending: true }
  const settled = promise.finally(() => (state.pending = false))
  let calls = 0
  while (state.pending) {
    checkAllocs(memory.allocs(), memory.buffer.byteLength)
    const { usedBytes, freeBytes, cachedBytes, byteLength } = memory.stats()
    if (usedBytes + freeBytes + cachedBytes > byteLength)
      throw new Error('more bytes than there are')
    calls++
    // oxlint-disable-next-line no-await-in-loop -- lets the workers' messages in
    await new Promise(setImmediate)
  }
  await settled
  return calls
}

/** Waits until a count is above a number. */
const grows = async (count, above) => {
  // oxlint-disable-next-line no-await-in-loop -- until it is
  while (count() <= above) await sleep(1)
}

/** Frees what went to a mailbox and was not fetched, and the control block; then nothing may be left. */
const checkEmpty = (t, memory, control) => {
  const words = memory.arrayView(Uint32Array, control)
  const mailed = [...words.subarray(2)].filter((ptr) => ptr !== 0)
  for (const ptr of mailed) memory.free(ptr)
  memory.free(control)
  t.deepEqual(memory.allocs(), [])
  const { usedBytes, blockCount, largestFreeBlock } = memory.stats()
  t.deepEqual({ usedBytes, blockCount }, { usedBytes: 0, blockCount: 0 })
  memory.free(memory.malloc(largestFreeBlock))
}

const STRESS = {
  'a memory of fixed size': {
    initial: 400,
    maximum: 400,
    sizes: [64, 64, 500, 4000],
    maxLive: 600,
  },
  'a small memory that is often full': {
    initial: 16,
    maximum: 16,
    sizes: [64, 500, 4000, 40_000],
    maxLive: 200,
  },
  'a growing memory': { initial: 1, maximum: 3000, sizes: [64, 500, 4000, 60_000], maxLive: 2000 },
  'a growing memory with heapBase': {
    initial: 2,
    maximum: 3000,
    heapBase: PAGE + 100,
    sizes: [64, 1000, 20_000],
    maxLive: 1500,
  },
}
const OPERATIONS = {
  'a memory of fixed size': 260_000,
  'a small memory that is often full': 60_000,
  'a growing memory': 60_000,
  'a growing memory with heapBase': 40_000,
}

for (const [title, { sizes, maxLive, ...descriptor }] of Object.entries(STRESS)) {
  test.serial(`4 threads use one heap: ${title}`, async (t) => {
    const operations = OPERATIONS[title] / (DEBUG ? 10 : 1)
    const memory = new LocalSharedMemory({ ...descriptor, shared: true })
    const control = memory.calloc(CONTROL_BYTES)
    const shared = { memory, control, threads: 4, operations, sizes, maxLive }
    const launched = [0, 1, 2, 3].map((index) =>
      launch('stress-worker.mjs', { ...shared, index, seed: 1000 + index }),
    )
    const reports = reportsOf(120_000, launched)
    const calls = await watchAllocs(memory, reports)
    const done = await reports
    const sum = (key) => done.reduce((total, report) => total + report[key], 0)
    t.true(sum('operations') >= 4 * operations)
    t.true(sum('foreign') > 100)
    t.true(calls > 20)
    if (descriptor.maximum > descriptor.initial) {
      t.true(memory.buffer.byteLength > descriptor.initial * PAGE)
    } else {
      t.is(memory.buffer.byteLength, descriptor.initial * PAGE)
    }
    t.log({
      operations: sum('operations'),
      foreign: sum('foreign'),
      refused: sum('refused'),
      calls,
    })
    checkEmpty(t, memory, control)
  })
}

test.serial('a worker that is terminated while it allocates leaves the heap whole', async (t) => {
  const TERMINATED = 200
  const AT_ONCE = 4
  const random = randomFrom(4)
  const memory = new LocalSharedMemory(1, 2000)
  const control = memory.calloc(CONTROL_BYTES)
  const shared = { memory, control, threads: 2 + AT_ONCE, sizes: [64, 1000, 9000], maxLive: 60 }
  const stress = (index, seed) => launch('stress-worker.mjs', { ...shared, index, seed })
  const alive = () => memory.load(Int32Array, control / 4 + 1)
  const staying = [0, 1].map((index) => stress(index, index))

  const terminateOne = async (index, seed) => {
    const { worker, end } = stress(index, seed)
    const before = alive()
    await once(worker, 'online')
    // Some before they have the heap, most in the middle of using it.
    if (seed % 8 !== 0) await grows(alive, before + 20 + random(40))
    await sleep(random(12))
    await worker.terminate()
    const { code, error, report } = await end
    t.is(error, undefined)
    t.is(report, undefined)
    t.is(code, 1)
  }

  const terminateAll = async () => {
    for (let round = 0; round < TERMINATED / AT_ONCE; round++) {
      const victims = Array.from({ length: AT_ONCE }, (_, i) =>
        terminateOne(2 + i, 100 + round * AT_ONCE + i),
      )
      // oxlint-disable-next-line no-await-in-loop -- a few at a time
      await Promise.all(victims)
      checkAllocs(memory.allocs(), memory.buffer.byteLength)
      memory.free(memory.malloc(1 + random(20_000)))
      // oxlint-disable-next-line no-await-in-loop -- the others go on
      await grows(alive, alive())
    }
  }

  await within(120_000, 'terminating', terminateAll())
  memory.store(Int32Array, control / 4, 1)
  const reports = await reportsOf(30_000, staying)
  t.true(reports.every((report) => report.operations > 1000))
  t.log({ operations: reports.map((report) => report.operations) })
  for (const { byteOffset } of memory.allocs()) memory.free(byteOffset)
  t.is(memory.length, 0)
  t.is(memory.stats().blockCount, 0)
  memory.free(memory.malloc(memory.stats().largestFreeBlock))
  t.is(memory.sizeof(memory.malloc(100 * PAGE)), 100 * PAGE)
})

const stop = (worker) => worker.terminate()

const ENDS = {
  return: { code: 0, error: undefined },
  throw: { code: 1, error: RangeError },
  exit: { code: 3, error: undefined },
  terminate: { code: 1, error: undefined },
}

for (const [how, expected] of Object.entries(ENDS)) {
  test.serial(`a worker that ends leaves its live blocks and no cached ones: ${how}`, async (t) => {
    for (const kept of [0, 30]) {
      const memory = new LocalSharedMemory(100)
      const { worker, end } = launch('ending-worker.mjs', { memory, how, kept })
      if (how === 'terminate') once(worker, 'message').then(() => setTimeout(stop, 2, worker))
      // oxlint-disable-next-line no-await-in-loop
      const { code, error, report } = await within(30_000, 'end', end)
      t.is(code, expected.code)
      t.is(error?.constructor, expected.error)
      const blocks = memory.allocs()
      // A block may be live that was being allocated when the thread was terminated.
      t.true(blocks.length === kept || (how === 'terminate' && blocks.length === kept + 1))
      if (DEBUG) memory.trim()
      t.is(memory.stats().cachedBytes, 0)
      for (const [index, ptr] of report.entries()) {
        t.is(memory.sizeof(ptr), 1 + index * 10)
        t.true(intact(memory, ptr, 1 + index * 10, index))
      }
      for (const { byteOffset } of blocks) memory.free(byteOffset)
      t.is(memory.length, 0)
      memory.free(memory.malloc(memory.stats().largestFreeBlock))
      t.is(memory.sizeof(memory.malloc(80 * PAGE)), 80 * PAGE)
    }
  })
}

test.serial('the process can exit while workers use the heap', async (t) => {
  const path = fileURLToPath(new URL('fixtures/exit-main.mjs', import.meta.url))
  for (let run = 0; run < 4; run++) {
    const child = spawn(process.execPath, [path], { timeout: 20_000, stdio: 'ignore' })
    // oxlint-disable-next-line no-await-in-loop -- one by one
    t.deepEqual(await once(child, 'exit'), [7, null])
  }
})

test.serial('threads whose first malloc comes at the same moment make one heap', async (t) => {
  const [threads, rounds, blocks] = [4, 40, 20]
  const memories = Array.from({ length: rounds }, (_, round) => {
    return new LocalSharedMemory(round % 3, 4 + (round % 3))
  })
  const gate = new SharedArrayBuffer(rounds * 4)
  const launched = Array.from({ length: threads }, (_, index) =>
    launch('first-worker.mjs', { gate, threads, index, blocks, memories }),
  )
  const reports = await reportsOf(60_000, launched)
  for (const [round, memory] of memories.entries()) {
    const all = reports.flatMap((pointers) => pointers[round])
    t.is(new Set(all).size, threads * blocks)
    t.deepEqual(
      memory.allocs().map(({ byteOffset }) => byteOffset),
      all.toSorted((a, b) => a - b),
    )
    checkAllocs(memory.allocs(), memory.buffer.byteLength)
    for (const [index, pointers] of reports.entries()) {
      for (const [number, ptr] of pointers[round].entries()) {
        t.true(intact(memory, ptr, 40 + number, index * 100 + number))
        memory.free(ptr)
      }
    }
    t.is(memory.length, 0)
  }
})

const transport = {
  workerData: (memory, ptr) => launch('transport-worker.mjs', { how: 'workerData', memory, ptr }),
  message: (memory, ptr) => {
    const launched = launch('transport-worker.mjs', { how: 'message' })
    launched.worker.postMessage({ memory, ptr }, [])
    return launched
  },
  environment: (memory, ptr) => {
    setEnvironmentData('memory', { memory, ptr })
    return launch('transport-worker.mjs', { how: 'environment', key: 'memory' })
  },
}

for (const [way, start] of Object.entries(transport)) {
  test.serial(`a memory goes to a worker and comes back: ${way}`, async (t) => {
    for (const heapBase of [undefined, 1000]) {
      const memory = new LocalSharedMemory({ initial: 1, maximum: 4, shared: true, heapBase })
      const ptr = memory.malloc(24)
      memory.setFloat64(ptr, 1.25)
      // oxlint-disable-next-line no-await-in-loop
      const [report] = await reportsOf(30_000, [start(memory, ptr)])
      const { mine, ...rest } = report
      t.deepEqual(rest, { plain: true, same: true, found: 1.25, size: 24 })
      t.is(memory.getFloat64(mine), 2.5)
      t.is(memory.sizeof(mine), 50)
      t.deepEqual(
        memory.allocs().map(({ byteOffset }) => byteOffset),
        [mine],
      )
      if (mine !== ptr) t.throws(() => memory.free(ptr), { code: 'ERR_INVALID_POINTER' })
      memory.free(mine)
      t.is(memory.length, 0)
      setEnvironmentData('memory', undefined)
    }
  })
}

test('structuredClone gives a plain memory with the same heap', (t) => {
  const memory = new LocalSharedMemory(1, 10)
  const ptr = memory.malloc(16)
  memory.setInt32(ptr, 77)
  const clone = structuredClone(memory)
  t.is(Object.getPrototypeOf(clone), WebAssembly.Memory.prototype)
  const other = LocalSharedMemory.from(clone)
  t.is(other, clone)
  t.is(LocalSharedMemory.from(clone), other)
  t.is(LocalSharedMemory.from(other), other)
  t.not(other, memory)
  t.is(other.getInt32(ptr), 77)
  const theirs = other.malloc(300_000)
  t.deepEqual(
    memory.allocs().map(({ byteOffset }) => byteOffset),
    [ptr, theirs].toSorted((a, b) => a - b),
  )
  memory.free(theirs)
  other.free(ptr)
  t.throws(() => memory.free(ptr), { code: 'ERR_INVALID_POINTER' })
  t.is(memory.length, 0)
  t.is(other.length, 0)
})

test('a clone made before the first malloc finds the heap that another handle made', (t) => {
  for (const descriptor of [
    { initial: 1, maximum: 10, shared: true },
    { initial: 0, maximum: 10, shared: true },
    { initial: 1, maximum: 10, shared: true, heapBase: 5000 },
  ]) {
    const memory = new LocalSharedMemory(descriptor)
    const others = [1, 2, 3].map(() => LocalSharedMemory.from(structuredClone(memory)))
    const ptrs = [...others, memory].map((handle) => handle.malloc(100))
    t.is(new Set(ptrs).size, 4)
    for (const handle of [...others, memory]) t.is(handle.stats().blockCount, 4)
    for (const [index, handle] of [memory, ...others].entries()) handle.free(ptrs[index])
    t.is(memory.length, 0)
  }
})

test('a message within the thread carries the same heap', async (t) => {
  const { port1, port2 } = new MessageChannel()
  const memory = new LocalSharedMemory(2)
  const ptr = memory.malloc(10)
  port1.postMessage([memory, { memory }], [])
  const { message } = receiveMessageOnPort(port2)
  port1.close()
  await once(port1, 'close')
  const [first, { memory: second }] = message
  t.is(first, second)
  const received = LocalSharedMemory.from(first)
  t.is(LocalSharedMemory.from(second), received)
  received.free(ptr)
  t.is(memory.length, 0)
})

test('a memory that is not shared cannot be sent', (t) => {
  const memory = new LocalSharedMemory({ initial: 1, shared: false })
  t.throws(() => structuredClone(memory), { any: true })
  t.is(memory.sizeof(memory.malloc(10)), 10)
})
