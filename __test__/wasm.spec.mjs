// Modules import the memory, JavaScript allocates in it, and both see the same bytes.

import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import LocalSharedMemory from '../index.js'
import { launch, reportsOf } from './fixtures/launch.mjs'
import {
  assemble,
  dataModule,
  ownMemoryModule,
  plainModule,
  sharedModule,
} from './fixtures/modules.mjs'
import { PAGE } from './fixtures/pages.mjs'
import { intact, stamp } from './fixtures/pattern.mjs'
import { Shadow, checkAllocs, runRandomly } from './fixtures/shadow.mjs'

const TRAP = { instanceOf: WebAssembly.RuntimeError }
const GREETING = 'hello, heap!'

const run = (module, memory) => new WebAssembly.Instance(module, { env: { memory } }).exports
const make = (shared) => new LocalSharedMemory({ initial: 1, maximum: 100, shared })
const textAt = (memory, offset, length) =>
  Buffer.from(memory.arrayBuffer(offset, length)).toString()

const KINDS = {
  shared: { module: sharedModule(), shared: true },
  'not shared': { module: plainModule(), shared: false },
}

for (const [title, { module, shared }] of Object.entries(KINDS)) {
  test(`${title}: what a module writes, accessors and views read, and the other way round`, (t) => {
    const memory = make(shared)
    const wasm = run(module, memory)
    const ptr = memory.malloc(800)
    wasm.store(ptr, -123_456)
    t.is(memory.getInt32(ptr), -123_456)
    t.is(memory.arrayView(Int32Array, ptr)[0], -123_456)
    memory.setInt32(ptr + 4, 99)
    t.is(wasm.load(ptr + 4), 99)
    wasm.storeFloat(ptr + 8, Math.E)
    t.is(memory.getFloat64(ptr + 8), Math.E)
    memory.setFloat64(ptr + 16, 0.1)
    t.is(wasm.loadFloat(ptr + 16), 0.1)
    // At any alignment too.
    wasm.store(ptr + 33, 0x01020304)
    t.deepEqual([...memory.arrayView(Uint8Array, ptr + 33, 4)], [4, 3, 2, 1])
    const numbers = memory.Float64Array(Array.from({ length: 100 }, (_, i) => i / 4))
    t.is(wasm.sum(numbers.byteOffset, 100), 4950 / 4)
    wasm.fill(ptr, 7, 800)
    t.true(memory.arrayView(Uint8Array, ptr).every((byte) => byte === 7))
    wasm.copy(ptr, numbers.byteOffset, 800)
    t.deepEqual(memory.arrayView(Float64Array, ptr), numbers)
    memory.free(ptr)
    memory.free(numbers.byteOffset)
    t.is(memory.length, 0)
  })

  test(`${title}: growth on one side is seen on the other`, (t) => {
    const memory = make(shared)
    const wasm = run(module, memory)
    t.is(wasm.size(), 1)
    t.throws(() => wasm.load(PAGE - 3), TRAP)
    t.is(wasm.grow(2), 1)
    t.is(memory.buffer.byteLength, 3 * PAGE)
    wasm.store(3 * PAGE - 4, 5)
    t.is(memory.getInt32(3 * PAGE - 4), 5)
    memory.setInt32(3 * PAGE - 4, 0)
    t.is(memory.grow(1), 3)
    t.is(wasm.size(), 4)
    const ptr = memory.malloc(20 * PAGE)
    t.true(wasm.size() >= 21)
    t.is(wasm.size(), memory.buffer.byteLength / PAGE)
    memory.setInt32(ptr + 20 * PAGE - 4, 6)
    t.is(wasm.load(ptr + 20 * PAGE - 4), 6)
    t.is(wasm.grow(100), -1)
    const before = wasm.size()
    t.is(wasm.grow(100 - before), before)
    t.is(memory.buffer.byteLength, 100 * PAGE)
  })

  test(`${title}: out of bounds traps, and the instance and the heap go on`, (t) => {
    const memory = make(shared)
    const wasm = run(module, memory)
    const ptr = memory.malloc(64)
    stamp(memory, ptr, 64, 1)
    const end = memory.buffer.byteLength
    for (const outside of [end - 3, end, end + PAGE, 2 ** 31, 2 ** 32 - 4, 2 ** 32 - 1]) {
      t.throws(() => wasm.load(outside), TRAP, `${outside}`)
      t.throws(() => wasm.store(outside, 1), TRAP, `${outside}`)
    }
    t.throws(() => wasm.fill(end - 8, 1, 9), TRAP)
    t.throws(() => wasm.copy(ptr, end - 8, 9), TRAP)
    t.is(wasm.load(end - 4), memory.getInt32(end - 4))
    t.true(intact(memory, ptr, 64, 1))
    t.is(memory.allocs().length, 1)
    memory.free(ptr)
  })

  test(`${title}: pages that a module grows are the heap's`, (t) => {
    const memory = make(shared)
    const wasm = run(module, memory)
    const shadow = new Shadow(memory)
    for (let round = 0; round < 10; round++) {
      wasm.grow(3)
      for (let made = 0; made < 30; made++) shadow.malloc(1 + ((round + made * 331) % 8000))
    }
    shadow.verify()
    shadow.end()
    t.true(memory.buffer.byteLength >= 31 * PAGE)
  })
}

test('a module of another kind of memory is refused', (t) => {
  const link = { instanceOf: WebAssembly.LinkError }
  t.throws(() => run(KINDS.shared.module, make(false)), link)
  t.throws(() => run(KINDS['not shared'].module, make(true)), link)
  t.throws(() => run(KINDS.shared.module, new LocalSharedMemory(1, 101)), link)
  t.throws(() => run(KINDS.shared.module, new LocalSharedMemory(0, 100)), link)
})

test('atomic operations of a module and of the memory work on the same words', (t) => {
  const memory = make(true)
  const wasm = run(sharedModule(), memory)
  const ptr = memory.calloc(16)
  t.is(wasm.add(ptr, 5), 0)
  t.is(memory.load(Int32Array, ptr / 4), 5)
  t.is(memory.add(Int32Array, ptr / 4, 2), 5)
  t.is(wasm.loadAtomic(ptr), 7)
  t.throws(() => wasm.add(ptr + 1, 1), TRAP)
  t.throws(() => wasm.add(memory.buffer.byteLength, 1), TRAP)
})

test.serial('threads count with atomics, in modules and in JavaScript', async (t) => {
  const memory = make(true)
  const ptr = memory.calloc(4)
  const module = sharedModule()
  const count = 300_000
  const adding = [1, 2, 3].map(() =>
    launch('wasm-worker.mjs', { memory, module, task: 'add', ptr, count }),
  )
  const done = reportsOf(30_000, adding)
  for (let i = 0; i < count; i++) memory.add(Int32Array, ptr / 4, 1)
  await done
  t.is(memory.getInt32(ptr), 4 * count)
})

test.serial('a module waits until the memory notifies', async (t) => {
  const memory = make(true)
  const ptr = memory.calloc(4)
  const waiting = launch('wasm-worker.mjs', { memory, module: sharedModule(), task: 'wait', ptr })
  const done = reportsOf(30_000, [waiting])
  const state = { woken: 0 }
  while (state.woken === 0) {
    // oxlint-disable-next-line no-await-in-loop -- until the worker waits
    await sleep(5)
    state.woken = memory.notify(Int32Array, ptr / 4, 1)
  }
  t.is(state.woken, 1)
  // 0: woken; 1: another value; 2: timed out.
  t.deepEqual(await done, [0])
})

for (const heapBase of [undefined, PAGE]) {
  test.serial(`JavaScript allocates while modules grow, heapBase: ${heapBase}`, async (t) => {
    const memory = new LocalSharedMemory({ initial: 1, maximum: 100, shared: true, heapBase })
    const module = sharedModule()
    const growing = [1, 2].map(() =>
      launch('wasm-worker.mjs', { memory, module, task: 'grow', pages: 20 }),
    )
    const state = { growing: true }
    const done = reportsOf(60_000, growing).finally(() => (state.growing = false))
    const shadow = new Shadow(memory)
    const load = { steps: 40, maxBytes: 6000, maxLive: 60, verifyEvery: 39 }
    for (let seed = 1; state.growing; seed++) {
      runRandomly(shadow, { ...load, seed })
      shadow.freeAll()
      // oxlint-disable-next-line no-await-in-loop -- lets the workers' messages in
      await new Promise(setImmediate)
    }
    const grown = (await done).flat()
    t.is(grown.length, 40)
    t.is(new Set(grown).size, 40)
    t.is(shadow.refused, 0)
    // Whose pages they are shows when the heap is used to its end.
    const ptrs = []
    t.throws(
      () => {
        for (;;) ptrs.push(shadow.malloc(3000))
      },
      { code: 'ERR_OUT_OF_MEMORY' },
    )
    const used = new Set(ptrs.map((ptr) => Math.floor(ptr / PAGE)))
    t.is(
      grown.some((page) => used.has(page)),
      heapBase === undefined,
    )
    checkAllocs(memory.allocs(), memory.buffer.byteLength)
    shadow.end()
  })
}

test('a module with data, and a heap above it', (t) => {
  const module = dataModule()
  const memory = new LocalSharedMemory({ initial: 1, maximum: 100, shared: true, heapBase: 20_000 })
  const early = memory.malloc(100)
  stamp(memory, early, 100, 1)
  const wasm = run(module, memory)
  t.is(wasm.heapBase.value, 20_000)
  t.is(textAt(memory, 1024, 12), GREETING)
  t.true(intact(memory, early, 100, 1))
  for (let at = 2048; at < 20_000; at += 4) wasm.store(at, at)
  const foreign = wasm.grow(1)
  wasm.fill(foreign * PAGE, 0x5a, PAGE)
  const ptrs = Array.from({ length: 500 }, () => memory.malloc(3000))
  for (const ptr of ptrs) wasm.fill(ptr, 1, 3000)
  t.true(ptrs.every((ptr) => ptr - 8 >= 20_000))
  t.is(textAt(memory, 1024, 12), GREETING)
  for (let at = 2048; at < 20_000; at += 4) if (wasm.load(at) !== at) t.fail(`byte ${at}`)
  t.true(new Uint8Array(memory.buffer, foreign * PAGE, PAGE).every((byte) => byte === 0x5a))
  for (const ptr of [early, ...ptrs]) memory.free(ptr)
  t.is(memory.length, 0)
})

test("a module's own memory becomes a heap above its data", (t) => {
  const { exports: wasm } = new WebAssembly.Instance(ownMemoryModule())
  t.throws(() => LocalSharedMemory.from(wasm.memory), { code: 'ERR_NOT_A_HEAP' })
  t.is(Object.getPrototypeOf(wasm.memory), WebAssembly.Memory.prototype)
  const memory = LocalSharedMemory.from(wasm.memory, { heapBase: 2048 })
  t.is(memory, wasm.memory)
  const ptrs = Array.from({ length: 300 }, (_, index) => memory.malloc(2000 + index))
  for (const [index, ptr] of ptrs.entries()) {
    wasm.fill(ptr, index, 2000 + index)
    t.true(ptr - 8 >= 2048)
  }
  t.is(textAt(memory, 1024, 12), GREETING)
  t.is(wasm.size(), memory.buffer.byteLength / PAGE)
  for (const [index, ptr] of ptrs.entries()) {
    t.is(memory.getUint8(ptr + 1999 + index), index % 256)
    memory.free(ptr)
  }
  t.is(memory.length, 0)
})

test('a module whose data would lie in a heap without heapBase shows why there is one', (t) => {
  const memory = make(true)
  const ptr = memory.malloc(100)
  t.true(ptr > 0)
  // The data goes over the heap's records. Nothing may crash: every call answers, or says what is wrong.
  const overwriting = assemble(`(import "env" "memory" (memory 1 100 shared))
    (data (i32.const 16) "${'x'.repeat(4000)}")`)
  run(overwriting, memory)
  const corrupted = { code: 'ERR_HEAP_CORRUPTED' }
  t.throws(() => memory.allocs(), corrupted)
  t.throws(() => memory.stats(), corrupted)
  t.throws(() => memory.malloc(200_000), corrupted)
})
