// memcpy, memset and the moves of realloc once a memory has an instance of its own for them: a model in plain bytes, growth, the
// ends of the largest memory, and engines that refuse.

import test from 'ava'
import LocalSharedMemory from '../index.js'
import { Bulk } from '../lib/pages/bulk.js'
import { launch, within } from './fixtures/launch.mjs'
import { PAGE } from './fixtures/pages.mjs'
import { randomFrom } from './fixtures/random.mjs'

/** More calls than a memory does without. */
const MANY = 100

const warm = (memory) => {
  const ptr = memory.malloc(64)
  for (let time = 0; time < MANY; time++) memory.memset(ptr, time, 64)
  memory.free(ptr)
}

const KINDS = {
  'native storage': { shared: true },
  'engine storage': { shared: true, storage: 'engine' },
  unshared: { shared: false },
}

for (const [title, options] of Object.entries(KINDS)) {
  test(`bytes are copied and filled as a typed array does it, from the first call on: ${title}`, (t) => {
    const memory = new LocalSharedMemory({ initial: 3, maximum: 100, ...options })
    const random = randomFrom(7)
    const from = 2 * PAGE
    let shadow = new Uint8Array(memory.buffer.slice(from))
    for (let step = 0; step < 1500; step++) {
      const length = random(2) === 0 ? random(70) : random(20_000)
      const [dst, src] = [0, 0].map(() => random(shadow.length - length + 1))
      const byte = random(1000) - 500
      if (random(2) === 0) {
        t.is(memory.memcpy(from + dst, from + src, length), from + dst)
        shadow.copyWithin(dst, src, src + length)
      } else {
        t.is(memory.memset(from + dst, byte, length), from + dst)
        shadow.fill(byte, dst, dst + length)
      }
      if (step % 100 === 99) {
        t.is(Buffer.compare(new Uint8Array(memory.buffer, from), shadow), 0)
        memory.grow(1)
        const longer = new Uint8Array(shadow.length + PAGE)
        longer.set(shadow)
        shadow = longer
      }
    }
  })

  test(`what lies outside the memory is refused, and nothing is written: ${title}`, (t) => {
    const memory = new LocalSharedMemory({ initial: 1, maximum: 1, ...options })
    warm(memory)
    const before = new Uint8Array(memory.buffer.slice(0))
    for (const [dst, src, length] of [
      [PAGE - 8, 64, 9],
      [64, PAGE - 8, 9],
      [64, 128, PAGE],
      [2 ** 32 - 4, 64, 8],
      [0, 64, 8],
      [64, 0, 8],
    ]) {
      t.throws(() => memory.memcpy(dst, src, length), { code: 'ERR_OUT_OF_RANGE' })
    }
    t.throws(() => memory.memset(PAGE - 8, 1, 9), { code: 'ERR_OUT_OF_RANGE' })
    t.is(Buffer.compare(new Uint8Array(memory.buffer), before), 0)
  })
}

test('a block that realloc moves keeps its bytes', (t) => {
  const memory = new LocalSharedMemory(1, 200)
  const random = randomFrom(9)
  const live = []
  for (let step = 0; step < 3000; step++) {
    const at = random(20)
    const byteLength = 1 + random(random(8) === 0 ? 200_000 : 4000)
    const { ptr = 0, length = 0, byte } = live[at] ?? {}
    const moved = memory.realloc(ptr, byteLength)
    const kept = new Uint8Array(memory.buffer, moved, Math.min(length, byteLength))
    t.true(kept.every((each) => each === byte))
    const next = random(256)
    memory.memset(moved, next, byteLength)
    live[at] = { ptr: moved, length: byteLength, byte: next }
  }
  t.deepEqual(memory.check(), [])
})

test('memories of which nothing is known yet do not share what copies', (t) => {
  const memories = Array.from({ length: 3 }, () => new LocalSharedMemory(1))
  for (const [index, memory] of memories.entries()) {
    let ptr = memory.realloc(0, 1000)
    memory.memset(ptr, index + 1, 1000)
    for (let time = 0; time < MANY; time++) ptr = memory.realloc(ptr, 1000 + (time % 2) * 2000)
    t.is(memory.getUint8(ptr + 999), index + 1)
  }
  const [first, received] = [memories[0], LocalSharedMemory.from(structuredClone(memories[0]))]
  const ptr = first.malloc(1000)
  t.not(received.realloc(ptr, 3000), 0)
  t.deepEqual(
    memories.map((memory) => memory.check()),
    [[], [], []],
  )
})

test('what another thread has grown can be copied to at once', async (t) => {
  const memory = new LocalSharedMemory(2, 50)
  warm(memory)
  for (let round = 0; round < 5; round++) {
    const pages = memory.buffer.byteLength / PAGE
    const { end } = launch('blocks-worker.mjs', { memory, lengths: [pages * PAGE] })
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const { report, error } = await within(30_000, 'worker', end)
    t.is(error, undefined)
    const [ptr] = report
    memory.memset(ptr, 7, pages * PAGE)
    memory.memcpy(ptr, ptr + 8, pages * PAGE - 8)
    t.true(new Uint8Array(memory.buffer, ptr, pages * PAGE).every((byte) => byte === 7))
  }
})

test('offsets above 2 GiB are as good, up to the end of 4 GiB', (t) => {
  const memory = new LocalSharedMemory({ initial: 65_536, maximum: 65_536, shared: true })
  warm(memory)
  const end = 2 ** 32
  memory.memset(end - 100, 9, 100)
  memory.memcpy(2 ** 31 - 50, end - 100, 100)
  memory.memcpy(end - 10, 2 ** 31 + 60, 10)
  t.true(new Uint8Array(memory.buffer, 2 ** 31 - 50, 100).every((byte) => byte === 9))
  t.deepEqual(
    [end - 11, end - 10, end - 1].map((offset) => memory.getUint8(offset)),
    [9, 0, 0],
  )
})

test('where the engine makes no instance, or refuses a call, a typed array does it', (t) => {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 2, shared: true })
  const u8 = new Uint8Array(2 * PAGE)
  for (const [round, bulk] of [new Bulk({}, true), new Bulk(memory, true)].entries()) {
    for (let time = 0; time < MANY; time++) {
      const byte = time + round
      bulk.memset(u8, PAGE + time, byte, 1)
      bulk.memcpy(u8, PAGE + 200 + time, PAGE + time, 1)
      t.deepEqual([u8[PAGE + time], u8[PAGE + 200 + time]], [byte, byte])
    }
  }
})
