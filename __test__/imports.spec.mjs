// C's allocation functions over the heap, called by modules.

import test from 'ava'
import LocalSharedMemory from '../index.js'
import { compileC } from './fixtures/clang.mjs'
import { DEBUG } from './fixtures/debug.mjs'
import { launch, reportsOf } from './fixtures/launch.mjs'
import { libcModule } from './fixtures/modules.mjs'
import { PAGE } from './fixtures/pages.mjs'
import { allBytes, intact, stamp } from './fixtures/pattern.mjs'

const EINVAL = 22
const ENOMEM = 12
const INVALID_POINTER = { code: 'ERR_INVALID_POINTER' }

const SHARED = libcModule('1 65536 shared')
const PLAIN = libcModule('1 65536')

const make = (maximum = 100, shared = true) => {
  const memory = new LocalSharedMemory({ initial: 1, maximum, shared })
  const module = shared ? SHARED : PLAIN
  const { exports: c } = new WebAssembly.Instance(module, { env: memory.imports() })
  return { memory, c }
}

test('what imports() holds', (t) => {
  const memory = new LocalSharedMemory(1, 2)
  const imports = memory.imports()
  t.deepEqual(Object.keys(imports), [
    'memory',
    'malloc',
    'free',
    'calloc',
    'realloc',
    'aligned_alloc',
    'posix_memalign',
    'malloc_usable_size',
  ])
  t.is(imports.memory, memory)
  t.is(LocalSharedMemory.from(structuredClone(memory)).imports().memory.buffer.byteLength, PAGE)
  t.true(allBytes(memory, 0, PAGE, 0))
})

for (const shared of [true, false]) {
  test(`one heap: C allocates, JavaScript frees, and the other way round, shared: ${shared}`, (t) => {
    const { memory, c } = make(100, shared)
    const made = c.malloc(100)
    t.is(memory.sizeof(made), 100)
    c.store8(made + 99, 7)
    t.is(memory.getUint8(made + 99), 7)
    memory.free(made)
    const mine = memory.malloc(50)
    t.is(c.malloc_usable_size(mine), memory.sizeof(mine))
    t.is(c.free(mine), undefined)
    t.throws(() => memory.free(mine), INVALID_POINTER)
    t.is(memory.length, 0)
  })

  test(`malloc grows the memory under the module, shared: ${shared}`, (t) => {
    const { memory, c } = make(100, shared)
    const ptr = c.malloc(20 * PAGE)
    t.true(c.size() > 20)
    c.store8(ptr + 20 * PAGE - 1, 9)
    t.is(memory.getUint8(ptr + 20 * PAGE - 1), 9)
    const moved = c.realloc(ptr, 30 * PAGE)
    t.is(c.load8(moved + 20 * PAGE - 1), 9)
    c.free(moved)
    t.is(memory.length, 0)
  })
}

test('no bytes: malloc(0) is a block of its own, free(NULL) and malloc_usable_size(NULL) do nothing', (t) => {
  const { memory, c } = make()
  const ptrs = [c.malloc(0), c.malloc(0), c.calloc(0, 8), c.calloc(8, 0), c.aligned_alloc(64, 0)]
  t.is(new Set(ptrs).size, 5)
  t.true(ptrs.every((ptr) => ptr > 0 && memory.sizeof(ptr) === 1))
  t.is(ptrs[4] % 64, 0)
  c.free(0)
  t.is(c.malloc_usable_size(0), 0)
  for (const ptr of ptrs) c.free(ptr)
  t.is(memory.length, 0)
})

test('calloc clears', (t) => {
  const { memory, c } = make()
  const dirty = c.malloc(4000)
  memory.memset(dirty, 0xff, 4000)
  c.free(dirty)
  const ptr = c.calloc(1000, 4)
  t.is(ptr === dirty, !DEBUG)
  t.true(allBytes(memory, ptr, 4000, 0))
})

test('calloc: a product above 2^32 - 1 is NULL', (t) => {
  const { memory, c } = make()
  for (const [count, size] of [
    [65_536, 65_536],
    [-1, -1],
    [-1, 2],
    [3, 0x5555_5556],
    [2 ** 31, 2],
  ]) {
    t.is(c.calloc(count, size), 0, `${count} * ${size}`)
  }
  t.is(memory.length, 0)
})

test('realloc: NULL allocates, no bytes frees, a block keeps its bytes', (t) => {
  const { memory, c } = make()
  const ptr = c.realloc(0, 100)
  t.is(memory.sizeof(ptr), 100)
  stamp(memory, ptr, 100, 1)
  const larger = c.realloc(ptr, 5000)
  t.true(intact(memory, larger, 100, 1))
  const smaller = c.realloc(larger, 10)
  t.true(intact(memory, smaller, 10, 1))
  t.is(c.realloc(smaller, 0), 0)
  t.throws(() => memory.sizeof(smaller), INVALID_POINTER)
  t.is(memory.sizeof(c.realloc(0, 0)), 1)
})

test('realloc keeps all bytes that malloc_usable_size tells', (t) => {
  const { memory, c } = make(2000)
  for (const byteLength of [1, 17, 100, 3000, 32_000, 33_000, 102_380, PAGE, 1_000_000]) {
    for (const align of [16, 64, 4096, PAGE]) {
      const ptr = c.aligned_alloc(align, byteLength)
      const usable = c.malloc_usable_size(ptr)
      t.true(usable >= byteLength && ptr + usable <= memory.buffer.byteLength)
      stamp(memory, ptr, usable, 1)
      const next = c.malloc(1)
      const moved = c.realloc(ptr, usable + 50_000)
      t.true(intact(memory, moved, usable, 1))
      c.free(next)
      c.free(moved)
    }
  }
  t.is(memory.length, 0)
})

test('a full heap is NULL, and every block is as it was', (t) => {
  const { memory, c } = make(3)
  const ptr = c.malloc(1000)
  stamp(memory, ptr, 1000, 1)
  const slot = c.malloc(4)
  memory.setUint32(slot, 77)
  for (const size of [4 * PAGE, 2 ** 31, -8, -1]) {
    t.is(c.malloc(size), 0)
    t.is(c.calloc(size, 1), 0)
    t.is(c.realloc(0, size), 0)
    t.is(c.realloc(ptr, size), 0)
    t.is(c.aligned_alloc(64, size), 0)
    t.is(c.posix_memalign(slot, 64, size), ENOMEM)
  }
  t.is(memory.getUint32(slot), 77)
  t.true(intact(memory, ptr, 1000, 1))
  t.is(memory.allocs().length, 2)
  const ptrs = []
  for (let made = c.malloc(64); made !== 0; made = c.malloc(64)) ptrs.push(made)
  t.true(ptrs.length > 1500)
  for (const made of ptrs) c.free(made)
  t.true(c.malloc(64) > 0)
})

test('aligned_alloc: powers of two up to 65,536, else NULL', (t) => {
  const { memory, c } = make(1000)
  for (let align = 1; align <= PAGE; align *= 2) {
    const ptr = c.aligned_alloc(align, 40)
    t.is(ptr % Math.max(align, 16), 0)
    t.is(memory.sizeof(ptr), 40)
  }
  const before = memory.allocs().length
  for (const align of [0, 3, 24, 100, -1, -16, 2 * PAGE, 2 ** 31])
    t.is(c.aligned_alloc(align, 8), 0)
  t.is(memory.allocs().length, before)
})

test('posix_memalign: stores the pointer, EINVAL, ENOMEM', (t) => {
  const { memory, c } = make(1000)
  const slot = c.calloc(2, 4)
  for (let align = 4; align <= PAGE; align *= 2) {
    t.is(c.posix_memalign(slot, align, 100), 0)
    const ptr = memory.getUint32(slot)
    t.is(ptr % align, 0)
    t.is(memory.sizeof(ptr), 100)
    c.free(ptr)
  }
  t.is(memory.getUint32(slot + 4), 0)
  memory.setUint32(slot, 77)
  for (const align of [0, 1, 2, 3, 12, 100, -1, -4]) t.is(c.posix_memalign(slot, align, 8), EINVAL)
  for (const align of [2 * PAGE, 2 ** 31]) t.is(c.posix_memalign(slot, align, 8), ENOMEM)
  t.is(memory.getUint32(slot), 77)
  for (const outside of [0, -1, -4, 2 ** 30]) {
    t.throws(() => c.posix_memalign(outside, 16, 8), { code: 'ERR_OUT_OF_RANGE' })
  }
  t.is(memory.allocs().length, 1)
})

test('a bad pointer is thrown through the module, and the module and the heap go on', (t) => {
  const { memory, c } = make()
  const ptr = c.malloc(100)
  for (const bad of [ptr + 16, 8, -16, 50 * PAGE]) {
    t.throws(() => c.free(bad), INVALID_POINTER, `${bad}`)
    t.throws(() => c.realloc(bad, 10), INVALID_POINTER, `${bad}`)
    t.throws(() => c.realloc(bad, 0), INVALID_POINTER, `${bad}`)
    t.throws(() => c.malloc_usable_size(bad), INVALID_POINTER, `${bad}`)
  }
  c.free(ptr)
  t.throws(() => c.free(ptr), INVALID_POINTER)
  t.is(c.churn(1, 100), 0)
  t.is(memory.length, 0)
})

test('a broken heap is thrown through the module', (t) => {
  const { memory, c } = make()
  const ptr = c.malloc(100)
  memory.fill(Uint8Array, 0xff, 16, 8000)
  const corrupted = { code: 'ERR_HEAP_CORRUPTED' }
  t.throws(() => c.malloc(200_000), corrupted)
  t.throws(() => c.calloc(1, 200_000), corrupted)
  t.throws(() => c.aligned_alloc(PAGE, 200_000), corrupted)
  t.throws(() => c.realloc(ptr, 200_000), { instanceOf: Error })
})

/** Allocates until WebAssembly gets a pointer above 2 GiB, which JavaScript sees as a negative number. */
const above2GiB = (allocate) => {
  let ptr
  do ptr = allocate()
  while (ptr > 0)
  return ptr
}

test.serial('pointers above 2 GiB', (t) => {
  const { memory, c } = make(65_536)
  t.true(c.malloc(2 ** 31 - 1) > 0)
  const ptr = above2GiB(() => c.malloc(100))
  t.is(memory.sizeof(ptr >>> 0), 100)
  c.store8(ptr + 99, 5)
  t.is(memory.getUint8((ptr >>> 0) + 99), 5)
  t.is(c.malloc_usable_size(ptr), 100)
  const larger = c.realloc(ptr, 200_000)
  t.true(larger < 0)
  t.is(c.load8(larger + 99), 5)
  const slot = above2GiB(() => c.calloc(1, 4))
  const high = above2GiB(() => {
    t.is(c.posix_memalign(slot, 4096, 10), 0)
    return memory.getInt32(slot >>> 0)
  })
  t.is(high & 4095, 0)
  t.is(above2GiB(() => c.aligned_alloc(4096, 10)) & 4095, 0)
  t.true(memory.imports().malloc(300_000) > 2 ** 31)
  c.free(high)
  t.throws(() => c.free(high), {
    code: 'ERR_INVALID_POINTER',
    message: new RegExp(`${high >>> 0}`),
  })
  c.free(larger)
  t.is(c.churn(3, 1000), 0)
})

const PROGRAMS = { 'by hand': libcModule('2 200 shared'), 'from C': compileC('churn.c') }

for (const [title, module] of Object.entries(PROGRAMS)) {
  const run = module === null ? test.skip : test.serial
  run(`programs in several workers, JavaScript beside them, ${title}`, async (t) => {
    const memory = new LocalSharedMemory({
      initial: 2,
      maximum: 200,
      shared: true,
      heapBase: 2 * PAGE,
    })
    const parts = [1, 2, 3].map((seed) => ({
      seed: seed * 1000,
      ptrs: Array.from({ length: 100 }, (_, index) => memory.malloc(1 + index * 20)),
    }))
    const workers = parts.map((part) => launch('libc-worker.mjs', { memory, module, ...part }))
    const state = { running: true }
    const done = reportsOf(60_000, workers).finally(() => (state.running = false))
    while (state.running) {
      const ptrs = Array.from({ length: 50 }, (_, index) => memory.malloc(1 + index * 30))
      for (const ptr of ptrs) stamp(memory, ptr, memory.sizeof(ptr), ptr)
      // oxlint-disable-next-line no-await-in-loop -- lets the workers' messages in
      await new Promise(setImmediate)
      for (const ptr of ptrs) {
        if (!intact(memory, ptr, memory.sizeof(ptr), ptr)) t.fail(`block ${ptr}`)
        memory.free(ptr)
      }
    }
    const failures = (await done).flat()
    t.is(failures.length, 300)
    t.true(failures.every((failure) => failure === 0))
    t.is(memory.length, 0)
  })
}

test('posix_memalign without a word to write to allocates nothing, and does not grow the memory for it', (t) => {
  const memory = new LocalSharedMemory(1, 100)
  const { posix_memalign } = memory.imports()
  for (const nowhere of [0, 100 * PAGE - 4]) {
    t.throws(() => posix_memalign(nowhere, 16, 20 * PAGE), { code: 'ERR_OUT_OF_RANGE' })
    t.is(memory.buffer.byteLength, PAGE)
    t.is(memory.length, 0)
  }
})
