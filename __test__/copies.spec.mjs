// More than one copy of the package in a process, as npm installs them when two dependencies ask for versions of their own.
// Copies of one build are one: their heap, its lock and its tables are the same. Copies of different builds keep apart.

import test from 'ava'
import LocalSharedMemory from '../index.js'
import { copyOfOtherBuild, copyPackage } from './fixtures/copies.mjs'
import { DEBUG } from './fixtures/debug.mjs'
import { launch, reportsOf } from './fixtures/launch.mjs'

const MISMATCH = { instanceOf: Error, code: 'ERR_ADDON_MISMATCH' }
const INVALID_POINTER = { code: 'ERR_INVALID_POINTER' }
const OPERATIONS = DEBUG ? 20_000 : 300_000
const SLOTS = 500

const onLinux = process.platform === 'linux' ? test : test.skip

const COPIES = [copyPackage(), copyPackage()]
const [First, Second] = await Promise.all(COPIES.map(async (copy) => (await import(copy)).default))
const CLASSES = [LocalSharedMemory, First, Second]

const KINDS = {
  'native storage': {},
  'engine storage': { storage: 'engine' },
  heapBase: { heapBase: 20_000 },
}

for (const [title, options] of Object.entries(KINDS)) {
  const make = (Class) => new Class({ initial: 1, maximum: 1000, shared: true, ...options })

  test(`three copies in one thread have one heap: ${title}`, (t) => {
    const memory = make(LocalSharedMemory)
    const handles = CLASSES.slice(1).map((Class) => Class.from(structuredClone(memory)))
    const all = [memory, ...handles]
    for (const byteLength of [10, 100, 5000, 100_000]) {
      for (const maker of all) {
        for (const other of all) {
          const ptr = maker.malloc(byteLength)
          t.is(other.sizeof(ptr), byteLength)
          other.free(ptr)
          for (const handle of all) t.throws(() => handle.free(ptr), INVALID_POINTER)
        }
      }
    }
    t.is(memory.stats().blockCount, 0)
    handles[0].setRoot('block', handles[1].malloc(8))
    t.is(memory.getRoot('block'), handles[1].allocs()[0].byteOffset)
  })

  test(`copies that have opened a memory before there is a heap: ${title}`, (t) => {
    const memory = make(Second)
    const others = [First, LocalSharedMemory].map((Class) => Class.from(structuredClone(memory)))
    const ptrs = [...others, memory].map((handle) => handle.malloc(1000))
    for (const ptr of ptrs) memory.free(ptr)
    t.is(others[1].length, 0)
  })

  test(`a copy in each thread: ${title}`, async (t) => {
    const memory = make(First)
    const slots = memory.calloc(SLOTS, 4)
    const work = { memory, slots, slotCount: SLOTS, operations: OPERATIONS }
    const workers = [...COPIES, new URL('../index.js', import.meta.url).href].map((copy, seed) =>
      launch('copies-worker.mjs', { ...work, copy, seed }),
    )
    const reports = await reportsOf(240_000, workers)
    t.deepEqual(
      reports.map(({ damaged }) => damaged),
      [0, 0, 0],
    )
    for (const ptr of memory.arrayView(Uint32Array, slots)) memory.free(ptr)
    memory.free(slots)
    t.is(memory.length, 0)
    t.deepEqual(memory.check(), [])
  })
}

test('copies in one thread are one owner of a lock', async (t) => {
  const structures = [new URL('../structures/index.js', import.meta.url).href, ...COPIES].map(
    (copy) => import(copy.replace(/(structures\/)?index\.js$/, 'structures/index.js')),
  )
  const [mine, ...others] = await Promise.all(structures)
  const memory = new LocalSharedMemory(10)
  const handles = CLASSES.slice(1).map((Class) => Class.from(structuredClone(memory)))
  const mutex = mine.Mutex.open(memory, 'mutex')
  mutex.lock()
  for (const [index, { Mutex }] of others.entries()) {
    const same = Mutex.open(handles[index], 'mutex')
    t.throws(() => same.lock({ timeout: 1000 }), { code: 'ERR_DEADLOCK' })
    t.false(same.tryLock())
    same.unlock()
    same.lock()
  }
  mutex.unlock()
  const map = mine.SharedMap.open(memory, 'map')
  const same = others[0].SharedMap.open(handles[0], 'map')
  map.set('key', 1)
  map.update('key', (value) => {
    t.throws(() => same.set('key', 5), { code: 'ERR_DEADLOCK' })
    return value + 1
  })
  t.is(same.get('key'), 2)
})

/** The word that tells which build has made a heap, and where it is. */
const BUILD = 16 + 8
const bytesBefore = (memory) => new Uint8Array(memory.buffer).slice()

for (const [title, heapBase] of [
  ['all of the memory', undefined],
  ['heapBase', 4096],
]) {
  const start = heapBase ?? 16

  test(`the heap of another build is refused: ${title}`, (t) => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 10, shared: true })
    const model = new LocalSharedMemory(1, 10)
    model.malloc(10)
    const words = new DataView(memory.buffer)
    words.setUint32(start, model.getUint32(16), true)
    words.setUint32(start + 4, start, true)
    words.setUint32(start + 8, model.getUint32(BUILD) ^ 1, true)
    const before = bytesBefore(memory)
    t.throws(() => LocalSharedMemory.from(memory, { heapBase }), MISMATCH)
    t.deepEqual(bytesBefore(memory), before)
  })

  test(`a heap that another build makes before the first malloc stays as it is: ${title}`, (t) => {
    const model = new LocalSharedMemory(1, 10)
    model.malloc(10)
    const memory = new LocalSharedMemory({ initial: 1, maximum: 10, heapBase })
    memory.getRoot('nothing')
    memory.setUint32(start, model.getUint32(16))
    memory.setUint32(start + 4, start)
    memory.setUint32(start + 8, model.getUint32(BUILD) ^ 1)
    const before = bytesBefore(memory)
    t.throws(() => memory.malloc(10), MISMATCH)
    t.deepEqual(bytesBefore(memory), before)
  })
}

onLinux('a memory is open in one build at a time', async (t) => {
  const { default: Other } = await import(copyOfOtherBuild())
  for (const options of Object.values(KINDS)) {
    const make = (Class) => new Class({ initial: 1, maximum: 1000, shared: true, ...options })
    for (const [One, Another] of [
      [LocalSharedMemory, Other],
      [Other, First],
    ]) {
      const memory = make(One)
      memory.malloc(10)
      t.throws(() => Another.from(structuredClone(memory)), MISMATCH)
      t.throws(() => Another.from(structuredClone(memory), { heapBase: 40_000 }), MISMATCH)
      t.is(memory.stats().blockCount, 1)

      const unused = One.from(structuredClone(make(One)))
      t.throws(() => Another.from(structuredClone(unused)), MISMATCH)
      unused.malloc(10)

      const late = new One(1, 10)
      const early = Another.from(structuredClone(late))
      t.throws(() => late.malloc(10), MISMATCH)
      early.free(early.malloc(10))
    }
  }
})

onLinux('copies of another build are one, too', async (t) => {
  const classes = [copyOfOtherBuild(), copyOfOtherBuild()].map(
    async (copy) => (await import(copy)).default,
  )
  const [One, Another] = await Promise.all(classes)
  const memory = new One(1, 100)
  Another.from(structuredClone(memory)).free(memory.malloc(100))
  t.is(memory.length, 0)
})

onLinux('a memory that another build has closed may be opened', async (t) => {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 100, shared: true })
  const work = { memory, slots: 16, slotCount: 0, operations: 0, seed: 0 }
  await reportsOf(60_000, [launch('copies-worker.mjs', { ...work, copy: copyOfOtherBuild() })])
  const mine = LocalSharedMemory.from(memory)
  mine.free(mine.malloc(100))
  t.is(mine.length, 0)
})
