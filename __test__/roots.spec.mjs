// Names for blocks: the same in all threads, and never those of another memory.

import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads'
import test from 'ava'
import LocalSharedMemory from '../index.js'
import { launch, reportsOf } from './fixtures/launch.mjs'

const INVALID_TYPE = { instanceOf: TypeError, code: 'ERR_INVALID_ARG_TYPE' }
const OUT_OF_RANGE = { instanceOf: RangeError, code: 'ERR_OUT_OF_RANGE' }
const INVALID_POINTER = { instanceOf: Error, code: 'ERR_INVALID_POINTER' }

const NAMES = [
  'queue',
  'a\0b',
  'ä',
  '漢字',
  '😀',
  '\ud800',
  '\udc00',
  ' ',
  'x'.repeat(256),
  '__proto__',
]

const newMemory = (shared = true) => new LocalSharedMemory(1, 100, shared)

/** Another handle of the same memory, as another thread gets it. */
const received = async (memory) => {
  const { port1, port2 } = new MessageChannel()
  port1.postMessage(memory)
  const { message } = receiveMessageOnPort(port2)
  port1.close()
  await once(port1, 'close')
  return LocalSharedMemory.from(message)
}

test('a name has the pointer that it was given last', (t) => {
  for (const shared of [true, false]) {
    const memory = newMemory(shared)
    const ptrs = NAMES.map((name) => {
      t.is(memory.getRoot(name), undefined)
      const ptr = memory.malloc(32)
      t.is(memory.setRoot(name, ptr), undefined)
      return ptr
    })
    t.deepEqual(
      NAMES.map((name) => memory.getRoot(name)),
      ptrs,
    )
    memory.setRoot('queue', ptrs[1])
    t.is(memory.getRoot('queue'), ptrs[1])
    memory.setRoot('queue', 0)
    memory.setRoot('nobody', 0)
    t.is(memory.getRoot('queue'), undefined)
    t.is(memory.getRoot('nobody'), undefined)
    t.is(memory.getRoot('ä'), ptrs[2])
  }
})

test('roots survive growth, what is written over the memory, and the end of their block', (t) => {
  for (const shared of [true, false]) {
    const memory = newMemory(shared)
    const ptr = memory.malloc(32)
    memory.setRoot('queue', ptr)
    memory.malloc(1_000_000)
    t.is(memory.getRoot('queue'), ptr)
    memory.free(ptr)
    t.is(memory.getRoot('queue'), ptr)
    memory.fill(Uint8Array, 255)
    t.is(memory.getRoot('queue'), ptr)
  }
})

test('a memory has its own roots, whoever holds it', async (t) => {
  const memory = newMemory()
  const ptr = memory.malloc(32)
  memory.setRoot('queue', ptr)
  t.is(newMemory().getRoot('queue'), undefined)
  const other = await received(memory)
  t.not(other, memory)
  t.is(other.getRoot('queue'), ptr)
  other.setRoot('queue', 0)
  other.setRoot('other', ptr)
  t.is(memory.getRoot('queue'), undefined)
  t.is(memory.getRoot('other'), ptr)
})

test('memories with heapBase and on either storage have roots', (t) => {
  for (const options of [{ heapBase: 65_536 }, { storage: 'engine' }, { initial: 0 }]) {
    const memory = new LocalSharedMemory({ initial: 1, maximum: 100, shared: true, ...options })
    t.is(memory.getRoot('queue'), undefined)
    memory.setRoot('queue', 0)
    const ptr = memory.malloc(32)
    memory.setRoot('queue', ptr)
    t.is(memory.getRoot('queue'), ptr)
  }
})

test('asking for a root leaves a memory untouched', (t) => {
  const memory = newMemory()
  memory.getRoot('queue')
  memory.setRoot('queue', 0)
  t.true(new Uint8Array(memory.buffer).every((byte) => byte === 0))
})

test('only live blocks get a name', (t) => {
  const memory = newMemory()
  t.throws(() => memory.setRoot('queue', 16), INVALID_POINTER)
  const ptr = memory.malloc(32)
  const freed = memory.malloc(32)
  memory.free(freed)
  for (const bad of [freed, ptr + 8, ptr + 16, 16, 2 ** 32 - 1]) {
    t.throws(() => memory.setRoot('queue', bad), INVALID_POINTER)
  }
  for (const bad of [-1, 0.5, NaN, 2 ** 32, Infinity]) {
    t.throws(() => memory.setRoot('queue', bad), OUT_OF_RANGE)
  }
  for (const bad of [undefined, null, '16', 16n, {}]) {
    t.throws(() => memory.setRoot('queue', bad), INVALID_TYPE)
  }
  t.is(memory.getRoot('queue'), undefined)
})

test('bad names are refused', (t) => {
  const memory = newMemory()
  const ptr = memory.malloc(32)
  for (const name of [undefined, null, 1, 1n, Symbol('queue'), {}, ['queue'], Object('queue')]) {
    t.throws(() => memory.setRoot(name, ptr), INVALID_TYPE)
    t.throws(() => memory.getRoot(name), INVALID_TYPE)
  }
  for (const name of ['', 'x'.repeat(257), 'x'.repeat(1_000_000)]) {
    t.throws(() => memory.setRoot(name, ptr), OUT_OF_RANGE)
    t.throws(() => memory.getRoot(name), OUT_OF_RANGE)
  }
})

test('workers find what has a name, and give names, all at once', async (t) => {
  const memory = newMemory()
  memory.setRoot('block', memory.malloc(16))
  for (const name of NAMES) memory.setRoot(name, memory.mallocString(`named ${name.length}`))
  const workers = [0, 1, 2, 3].map((index) =>
    launch('root-worker.mjs', { memory, index, names: NAMES }),
  )
  const expected = NAMES.map((name) => `named ${name.length}`)
  t.deepEqual(await reportsOf(60_000, workers), [expected, expected, expected, expected])
  for (const index of [0, 1, 2, 3]) {
    t.is(memory.getString(memory.getRoot(`worker ${index}`)), `from ${index}`)
    t.is(memory.getRoot(`own ${index} 9`), memory.getRoot('block'))
  }
  t.is(memory.getRoot('contended'), undefined)
})

test('roots outlast the worker that set them, in a memory that nobody else has used', async (t) => {
  for (const options of [{}, { heapBase: 65_536 }, { storage: 'engine' }]) {
    const memory = new LocalSharedMemory({ initial: 1, maximum: 100, shared: true, ...options })
    const { end } = launch('naming-worker.mjs', { memory })
    // oxlint-disable-next-line no-await-in-loop -- one memory after the other
    const { code, report } = await end
    t.is(code, 0)
    t.is(memory.getRoot('left'), report)
    t.is(memory.getString(report), 'by the worker')
  }
})

test('roots outlast the threads that knew them, whatever is written over the records', async (t) => {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 100, shared: true })
  const { report } = await launch('naming-worker.mjs', { memory }).end
  // All of the superblock, but for the three words that tell a heap of this build from chance bytes.
  new Uint8Array(memory.buffer).fill(255, 28, 1024)
  t.is(LocalSharedMemory.from(memory).getRoot('left'), report)
})

test('threads that come after a stray write find the roots', async (t) => {
  const memory = newMemory()
  const ptr = memory.malloc(32)
  memory.setRoot('queue', ptr)
  memory.fill(Uint8Array, 255, 64)
  const other = await received(memory)
  t.is(other.getRoot('queue'), ptr)
  t.throws(() => other.setRoot('queue', ptr), { code: 'ERR_HEAP_CORRUPTED' })
})

test('no memory has the roots of one that was collected', (t) => {
  const script = fileURLToPath(new URL('fixtures/roots-collected.mjs', import.meta.url))
  const { stdout, status } = spawnSync(process.execPath, ['--expose-gc', script], {
    timeout: 120_000,
  })
  t.is(status, 0)
  t.deepEqual(JSON.parse(stdout), { strangers: 0, kept: true })
})
