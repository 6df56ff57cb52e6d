// check(): nothing on a heap that is whole, and every place that was written over on one that is not.

import test from 'ava'
import LocalSharedMemory from '../index.js'
import { launch, reportsOf } from './fixtures/launch.mjs'
import { bytesOf, PAGE } from './fixtures/pages.mjs'
import { randomFrom } from './fixtures/random.mjs'
import { runRandomly, Shadow } from './fixtures/shadow.mjs'

const HEADER = 8
const ROOT = 16
const MODES = [false, true]
const SHAPES = [
  { initial: 1, maximum: 1 },
  { initial: 1, maximum: 60 },
  { initial: 2, maximum: 60, heapBase: 70_000 },
  { initial: 40, maximum: 40, shared: false },
]

const make = (options) =>
  new LocalSharedMemory({ initial: 10, maximum: 40, shared: true, debug: false, ...options })

/** A heap with blocks of many sizes, some of them freed again. */
const makeUsed = (options) => {
  const memory = make(options)
  const ptrs = Array.from({ length: 60 }, (_, index) => memory.malloc(1 + ((index * 331) % 9000)))
  const large = [40_000, 70_000].map((size) => memory.malloc(size))
  for (const ptr of ptrs.splice(20, 20)) memory.free(ptr)
  return { memory, ptrs: [...ptrs, ...large] }
}

const ascending = (numbers) => numbers.toSorted((a, b) => a - b)

for (const debug of MODES) {
  for (const shape of SHAPES) {
    test(`a whole heap has no faults: ${JSON.stringify({ debug, ...shape })}`, (t) => {
      const memory = make({ debug, ...shape })
      t.deepEqual(memory.check(), [])
      const shadow = new Shadow(memory)
      for (let seed = 0; seed < 12; seed++) {
        runRandomly(shadow, { seed, steps: 100, maxBytes: 30_000, maxLive: 60 })
        const before = bytesOf(memory)
        t.deepEqual(memory.check(), [])
        t.true(bytesOf(memory) === before)
      }
      shadow.freeAll()
      memory.trim()
      t.deepEqual(memory.check(), [])
    })
  }

  test(`every damaged header is listed, debug: ${debug}`, (t) => {
    const { memory, ptrs } = makeUsed({ debug })
    const sizes = ptrs.map((ptr) => memory.getUint32(ptr - 4))
    for (const ptr of ptrs) memory.setUint32(ptr - 4, memory.getUint32(ptr - 4) + 1)
    const faults = memory.check()
    t.deepEqual(ascending(faults.map(({ ptr }) => ptr)), ascending(ptrs))
    for (const { kind, ptr, byteOffset, message } of faults) {
      t.is(kind, 'header')
      t.is(byteOffset, ptr - 4)
      t.true(message.includes(String(ptr)))
    }
    for (const [index, ptr] of ptrs.entries()) memory.setUint32(ptr - 4, sizes[index])
    t.deepEqual(memory.check(), [])
  })

  test(`a length that no block of that space has is listed, debug: ${debug}`, (t) => {
    const { memory, ptrs } = makeUsed({ debug })
    for (const ptr of ptrs) {
      const before = memory.getUint32(ptr - HEADER)
      memory.setUint32(ptr - HEADER, 2 ** 31)
      const [fault, ...others] = memory.check()
      t.deepEqual(others, [])
      t.deepEqual([fault.kind, fault.ptr, fault.byteOffset], ['header', ptr, ptr - HEADER])
      memory.setUint32(ptr - HEADER, before)
    }
  })

  test(`a heap whose root is gone has one fault, debug: ${debug}`, (t) => {
    for (const heapBase of [undefined, 4096]) {
      const { memory, ptrs } = makeUsed({ debug, heapBase })
      const root = heapBase ?? ROOT
      for (const word of [0, 1]) {
        const before = memory.getUint32(root + 4 * word)
        memory.setUint32(root + 4 * word, 77)
        const faults = memory.check()
        t.deepEqual(
          faults.map(({ kind, byteOffset, ptr }) => ({ kind, byteOffset, ptr })),
          [{ kind: 'record', byteOffset: root, ptr: undefined }],
        )
        t.throws(() => memory.leaks(), { code: 'ERR_HEAP_CORRUPTED' })
        memory.setUint32(root + 4 * word, before)
      }
      t.deepEqual(memory.check(), [])
      for (const ptr of ptrs) memory.free(ptr)
    }
  })

  test(`whatever is written over the records, check answers, debug: ${debug}`, (t) => {
    const { memory, ptrs } = makeUsed({ debug })
    const random = randomFrom(31)
    let noticed = 0
    // The root and the first segment's table.
    for (let offset = ROOT; offset < 8000; offset += 4 * (1 + random(4))) {
      const before = memory.getUint32(offset)
      for (const value of [0, 2 ** 32 - 1, before ^ (1 << random(32)), random(2 ** 32)]) {
        memory.setUint32(offset, value)
        const faults = memory.check()
        if (faults.length > 0) noticed++
        for (const { kind, byteOffset } of faults) {
          t.true(['record', 'header', 'overrun', 'write-after-free'].includes(kind))
          t.true(byteOffset < memory.buffer.byteLength)
        }
      }
      memory.setUint32(offset, before)
    }
    t.true(noticed > 200)
    t.deepEqual(memory.check(), [])
    for (const ptr of ptrs) memory.free(ptr)
    t.is(memory.length, 0)
  })

  test(`a memory that is full of anything at all, debug: ${debug}`, (t) => {
    for (const byte of [0, 1, 0xff]) {
      const { memory } = makeUsed({ debug })
      memory.fill(Uint8Array, byte)
      t.is(memory.check().length, 1)
      const { memory: other } = makeUsed({ debug })
      other.fill(Uint8Array, byte, 2 * PAGE)
      const faults = other.check()
      t.true(faults.length > 0 && faults.length <= 10_000)
    }
  })
}

test('a write past the end that reaches the next header is listed', (t) => {
  const memory = make()
  const ptrs = Array.from({ length: 50 }, () => memory.malloc(24))
  const next = ptrs.find((ptr) => ptrs.includes(ptr - 32))
  const ptr = next - memory.lengthof(next)
  memory.memset(ptr, 0x41, 40)
  const [fault, ...others] = memory.check()
  t.deepEqual(others, [])
  t.deepEqual([fault.kind, fault.ptr], ['header', next])
  t.is(fault.made, undefined)
})

test('more faults than anyone reads are not all listed', (t) => {
  const memory = make({ initial: 100, maximum: 100 })
  const ptrs = Array.from({ length: 30_000 }, () => memory.malloc(8))
  for (const ptr of ptrs) memory.setUint32(ptr - 4, 0)
  t.is(memory.check().length, 10_000)
})

test('threads that use the heap meanwhile are no faults', async (t) => {
  const memory = make({ initial: 4, maximum: 100 })
  const launched = [1, 2].map(() => launch('debug-worker.mjs', { memory, how: 'churn' }))
  const reports = reportsOf(120_000, launched)
  const state = { pending: true }
  const settled = reports.finally(() => (state.pending = false))
  let checks = 0
  while (state.pending) {
    t.deepEqual(memory.check(), [])
    checks++
    await new Promise(setImmediate) // oxlint-disable-line no-await-in-loop
  }
  await settled
  t.true(checks > 0)
})

test('what another thread grew is not taken for damage', (t) => {
  const memory = make({ initial: 2, maximum: 50 })
  const other = LocalSharedMemory.from(structuredClone(memory))
  memory.malloc(10)
  t.deepEqual(other.check(), [])
  const ptr = memory.malloc(20 * PAGE)
  t.deepEqual(other.check(), [])
  const bufferSize = memory.lengthof(ptr)
  memory.setUint32(ptr - 4, 0)
  t.is(other.check()[0].ptr, ptr)
  // The heap claims more pages than there are.
  memory.setUint32(ptr - 4, bufferSize)
  const endPage = ROOT + 16
  const before = memory.getUint32(endPage)
  memory.setUint32(endPage, 60)
  t.deepEqual(
    other.check().map(({ kind }) => kind),
    ['record'],
  )
  memory.setUint32(endPage, before)
  t.deepEqual(other.check(), [])
})
