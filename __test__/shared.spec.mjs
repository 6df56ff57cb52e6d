// Memories by name: one for a thread and all workers that it starts afterwards.

import { setEnvironmentData } from 'node:worker_threads'
import test from 'ava'
import LocalSharedMemory from '../index.js'
import { launch, reportsOf } from './fixtures/launch.mjs'
import { PAGE } from './fixtures/pages.mjs'

const INVALID_TYPE = { instanceOf: TypeError, code: 'ERR_INVALID_ARG_TYPE' }
const OUT_OF_RANGE = { instanceOf: RangeError, code: 'ERR_OUT_OF_RANGE' }
const SMALL = { initial: 1, maximum: 100 }

const run = async (name, options, depth) => {
  const [report] = await reportsOf(60_000, [launch('shared-worker.mjs', { name, options, depth })])
  return report
}

test('a name is always the same memory, and another name another one', (t) => {
  const memory = LocalSharedMemory.shared('same', SMALL)
  t.true(memory instanceof LocalSharedMemory)
  t.is(memory.buffer.byteLength, PAGE)
  t.is(LocalSharedMemory.shared('same', SMALL), memory)
  t.is(LocalSharedMemory.shared('same'), memory)
  t.not(LocalSharedMemory.shared('other', SMALL), memory)
})

test('options are those of the constructor, with its defaults, for a memory that is shared', (t) => {
  const memory = LocalSharedMemory.shared('options', {
    initial: 2,
    heapBase: PAGE,
    storage: 'engine',
  })
  t.is(memory.buffer.byteLength, 2 * PAGE)
  t.true(memory.buffer instanceof SharedArrayBuffer)
  t.is(memory.storage, 'engine')
  t.true(memory.malloc(8) >= PAGE)
  t.throws(() => memory.grow(1), { instanceOf: RangeError })
  t.is(LocalSharedMemory.shared('shared', { ...SMALL, shared: true }).buffer.byteLength, PAGE)
})

test.serial('without options it is as large as any', (t) => {
  LocalSharedMemory.devicePageSize = 3
  try {
    t.is(LocalSharedMemory.shared('default').buffer.byteLength, 3 * PAGE)
  } finally {
    LocalSharedMemory.devicePageSize = 1000
  }
})

test('only the first options count', (t) => {
  const memory = LocalSharedMemory.shared('first', SMALL)
  t.is(LocalSharedMemory.shared('first', { initial: 50, maximum: 60 }), memory)
  t.is(memory.buffer.byteLength, PAGE)
})

test('workers find the memory, and their workers do', async (t) => {
  const memory = LocalSharedMemory.shared('workers', SMALL)
  memory.mallocString('main')
  const reports = await run('workers', undefined, 2)
  t.is(reports.length, 3)
  for (const { isSame, isMemory, byteLength } of reports) {
    t.deepEqual(
      { isSame, isMemory, byteLength },
      { isSame: true, isMemory: true, byteLength: PAGE },
    )
  }
  t.deepEqual(reports[2].found.toSorted(), ['depth 1', 'depth 2', 'main'])
  t.is(memory.allocs().length, 4)
})

test('a name that only a worker knows is its own, and that of its workers', async (t) => {
  const reports = await run('worker only', SMALL, 1)
  t.deepEqual(
    reports.map(({ found }) => found),
    [[], ['depth 1']],
  )
  t.deepEqual(LocalSharedMemory.shared('worker only', SMALL).allocs(), [])
})

test('a subclass makes memories of its own class', (t) => {
  class Mine extends LocalSharedMemory {}
  t.true(Mine.shared('mine', SMALL) instanceof Mine)
})

test('bad names and options are refused, and no memory has the name', (t) => {
  for (const name of [undefined, null, 1, Symbol('name'), {}, Object('name')]) {
    t.throws(() => LocalSharedMemory.shared(name), INVALID_TYPE)
  }
  for (const name of ['', 'x'.repeat(257)]) {
    t.throws(() => LocalSharedMemory.shared(name), OUT_OF_RANGE)
  }
  for (const options of [null, 1, 'options']) {
    t.throws(() => LocalSharedMemory.shared('refused', options), INVALID_TYPE)
  }
  t.throws(() => LocalSharedMemory.shared('refused', { ...SMALL, shared: false }), OUT_OF_RANGE)
  t.throws(() => LocalSharedMemory.shared('refused', { initial: 2, maximum: 1 }), {
    instanceOf: RangeError,
  })
  t.throws(
    () => LocalSharedMemory.shared('refused', { ...SMALL, heapBase: PAGE + 1 }),
    OUT_OF_RANGE,
  )
  t.throws(() => LocalSharedMemory.shared('refused', { ...SMALL, storage: 'disk' }), OUT_OF_RANGE)
  t.is(LocalSharedMemory.shared('refused', { initial: 2 }).buffer.byteLength, 2 * PAGE)
})

test('create: false makes no memory, and finds one that was made', async (t) => {
  const UNKNOWN = { instanceOf: Error, code: 'ERR_UNKNOWN_NAME' }
  t.throws(() => LocalSharedMemory.shared('created', { create: false }), UNKNOWN)
  t.throws(() => LocalSharedMemory.shared('created', { ...SMALL, create: false }), UNKNOWN)
  const memory = LocalSharedMemory.shared('created', { ...SMALL, create: true })
  t.is(LocalSharedMemory.shared('created', { create: false }), memory)
  const [{ byteLength }] = await run('created', { create: false }, 0)
  t.is(byteLength, PAGE)
  for (const create of [null, 0, 'false']) {
    t.throws(() => LocalSharedMemory.shared('created', { create }), INVALID_TYPE)
  }
})

test("something else under the package's key is refused", (t) => {
  setEnvironmentData('local-shared-memory:taken', 'text')
  t.throws(() => LocalSharedMemory.shared('taken'), INVALID_TYPE)
})
