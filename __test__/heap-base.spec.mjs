// A heap beside a module's own data: neither touches what is the other's, whoever grows the memory, and in whatever
// order threads and modules come.

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import test from 'ava'
import LocalSharedMemory from '../index.js'
import { compileC } from './fixtures/clang.mjs'
import { launch, reportsOf } from './fixtures/launch.mjs'
import { ownDataModule } from './fixtures/modules.mjs'
import { PAGE } from './fixtures/pages.mjs'
import { allBytes, intact, stamp } from './fixtures/pattern.mjs'
import { checkAllocs } from './fixtures/shadow.mjs'

const INITIAL = 2
const OUT_OF_MEMORY = { code: 'ERR_OUT_OF_MEMORY' }

const MODULES = { 'by hand': ownDataModule(), 'from C': compileC('own-data.c') }
const BY_HAND = MODULES['by hand']

const run = (module, memory) => new WebAssembly.Instance(module, { env: { memory } }).exports

/** Where a module's data and stack end, in bytes. */
const heapBaseOf = (module) => {
  const memory = new WebAssembly.Memory({ initial: INITIAL, maximum: 200, shared: true })
  const { __heap_base: heapBase } = run(module, memory)
  return heapBase.value
}

const make = (heapBase, options) =>
  new LocalSharedMemory({ initial: INITIAL, maximum: 200, shared: true, heapBase, ...options })

const PLACES = { 'above its data': heapBaseOf, 'in grown pages': () => INITIAL * PAGE }

test('a heapBase of 0 leaves to others what they grow, too', (t) => {
  const memory = make(0, { initial: 1 })
  t.true(memory.malloc(100) < PAGE)
  const theirs = memory.grow(1) * PAGE
  for (let time = 0; time < 3; time++) {
    const ptr = memory.malloc(50_000)
    t.true(ptr + 50_000 <= theirs || ptr >= theirs + PAGE)
  }
})

for (const [title, module] of Object.entries(MODULES)) {
  const declare = module === null ? test.skip : test.serial
  for (const [place, baseOf] of Object.entries(PLACES)) {
    declare(
      `modules with data, stacks and pages in four threads, ${title}, the heap ${place}`,
      async (t) => {
        const heapBase = baseOf(module)
        const memory = make(heapBase)
        const launched = [1, 2, 3].map((thread) =>
          launch('own-data-worker.mjs', { memory, module, thread, steps: 1000 }),
        )
        const state = { running: true }
        const done = reportsOf(60_000, launched).finally(() => (state.running = false))
        const own = run(module, memory)
        const pages = []
        while (state.running) {
          const ptrs = Array.from({ length: 20 }, (_, index) => memory.malloc(1 + index * 300))
          for (const ptr of ptrs) stamp(memory, ptr, memory.sizeof(ptr), ptr)
          if (pages.length < 10) pages.push(own.take(1, 0xa0))
          // oxlint-disable-next-line no-await-in-loop -- lets the workers' messages in
          await new Promise(setImmediate)
          for (const ptr of ptrs) {
            if (!intact(memory, ptr, memory.sizeof(ptr), ptr)) t.fail(`block ${ptr}`)
            memory.free(ptr)
          }
        }
        const reports = [{ byte: 0xa0, pages, blocks: [] }, ...(await done)]
        const taken = reports.flatMap((report) => report.pages)
        t.is(new Set(taken).size, taken.length)
        for (const { byte, pages: theirs } of reports) {
          for (const page of theirs) t.true(allBytes(memory, page * PAGE, PAGE, byte), `${page}`)
        }
        const left = new Map(reports.flatMap(({ blocks }) => blocks))
        const blocks = memory.allocs()
        checkAllocs(blocks, memory.buffer.byteLength)
        t.deepEqual(
          blocks.map(({ byteOffset, byteLength }) => [byteOffset, byteLength]),
          [...left].toSorted(([ptr], [other]) => ptr - other),
        )
        const foreign = new Set(taken)
        for (const { byteOffset, byteLength } of blocks) {
          t.true(byteOffset - 8 >= heapBase)
          const [first, last] = [byteOffset - 8, byteOffset + byteLength - 1]
          for (let page = Math.floor(first / PAGE); page <= Math.floor(last / PAGE); page++) {
            t.false(foreign.has(page), `block ${byteOffset} in page ${page}`)
          }
          t.true(intact(memory, byteOffset, byteLength, byteOffset))
          memory.free(byteOffset)
        }
        t.is(memory.length, 0)
        t.true(allBytes(memory, 0, 1024, 0))
      },
    )
  }
}

for (const where of ['inside', 'outside']) {
  test(`a module grows the memory before the heap has its first page, from the ${where}`, (t) => {
    const memory = make(INITIAL * PAGE)
    const own = run(BY_HAND, structuredClone(memory))
    const grow = () =>
      where === 'inside'
        ? own.take(3, 0)
        : WebAssembly.Memory.prototype.grow.call(structuredClone(memory), 3)
    const first = grow()
    const other = LocalSharedMemory.from(structuredClone(memory))
    t.deepEqual(other.allocs(), [])
    const ptr = other.malloc(5000)
    t.true(ptr >= (first + 3) * PAGE)
    other.memset(ptr, 1, 5000)
    const second = grow()
    for (const handle of [memory, LocalSharedMemory.from(structuredClone(memory)), other]) {
      t.is(handle.sizeof(ptr), 5000)
      for (let made = 0; made < 200; made++) handle.memset(handle.malloc(1000), 1, 1000)
    }
    for (const page of [first, second]) t.true(allBytes(memory, page * PAGE, 3 * PAGE, 0))
    t.true(allBytes(memory, 2048, INITIAL * PAGE - 2048, 0))
    t.is(memory.allocs().length, 601)
  })
}

const USES = {
  free: (memory, ptr) => memory.free(ptr) ?? 100,
  sizeof: (memory, ptr) => memory.sizeof(ptr),
  lengthof: (memory, ptr) => memory.lengthof(ptr) && 100,
  realloc: (memory, ptr) => memory.sizeof(memory.realloc(ptr, 90)) + 10,
  allocs: (memory) => memory.allocs()[0].byteLength,
  stats: (memory) => memory.stats().requestedBytes,
  length: (memory) => memory.length && 100,
  trim: (memory) => (memory.trim() >= 0 ? 100 : 0),
  arrayView: (memory, ptr) => memory.arrayView(Uint8Array, ptr).length,
  'free, from C': (memory, ptr) => memory.imports().free(ptr) ?? 100,
}

for (const [name, use] of Object.entries(USES)) {
  test(`the first block is another thread's, in a page that it grew: ${name}`, async (t) => {
    const memory = make(INITIAL * PAGE)
    const [ptr] = await reportsOf(30_000, [launch('first-block-worker.mjs', { memory })])
    t.is(use(memory, ptr), 100)
  })
}

test.serial(
  'a claim that was never used says nothing of the next memory at its address',
  async (t) => {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc')
    const pages = { initial: 4, maximum: 4, shared: true }
    for (let round = 0; round < 40; round++) {
      const claims = [1, 2, 3].map(() => new LocalSharedMemory({ ...pages, heapBase: 3 * PAGE }))
      t.is(claims.length, 3)
      claims.length = 0
      collect()
      // oxlint-disable-next-line no-await-in-loop -- finalizers run between turns
      await new Promise((resolve) => setTimeout(resolve, 2))
      const handles = [1, 2, 3].map(() => structuredClone(new LocalSharedMemory(pages)))
      for (const plain of handles) {
        const memory = LocalSharedMemory.from(plain)
        t.is(memory.sizeof(memory.malloc(2 * PAGE)), 2 * PAGE)
      }
    }
  },
)

test.serial('the maker of the memory is gone before the first block is made', async (t) => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc')
  const state = { collected: 0 }
  const registry = new FinalizationRegistry(() => state.collected++)
  const heapBase = heapBaseOf(BY_HAND)
  const makeAndDrop = (base) => {
    const memory = make(base)
    registry.register(memory)
    return { plain: structuredClone(memory), base }
  }
  const kept = [heapBase, INITIAL * PAGE].map(makeAndDrop)
  for (let turn = 0; turn < 100 && state.collected < kept.length; turn++) {
    collect()
    // oxlint-disable-next-line no-await-in-loop -- finalizers run between turns
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  t.is(state.collected, kept.length)
  for (const { plain, base } of kept) {
    const memory = LocalSharedMemory.from(plain, { heapBase: base })
    const ptrs = Array.from({ length: 300 }, () => memory.malloc(1000))
    t.true(ptrs.every((ptr) => ptr - 8 >= base))
    t.true(allBytes(memory, 2048, base - 2048, 0))
  }
})

test('a module takes all pages before the heap has one', (t) => {
  const memory = make(INITIAL * PAGE)
  const own = run(BY_HAND, memory)
  t.is(own.take(198, 0x33), INITIAL)
  t.throws(() => memory.malloc(1), OUT_OF_MEMORY)
  t.is(memory.imports().malloc(1), 0)
  t.throws(() => LocalSharedMemory.from(structuredClone(memory)).malloc(1), OUT_OF_MEMORY)
  t.true(allBytes(memory, INITIAL * PAGE, 198 * PAGE, 0x33))
  t.is(own.take(1, 0), -1)
})

test('the heap takes all pages, and the module is told so', (t) => {
  const heapBase = heapBaseOf(BY_HAND)
  const memory = make(heapBase)
  const own = run(BY_HAND, memory)
  const { __stack_pointer: stackPointer } = own
  stackPointer.value = own.stackTop(0)
  const theirs = own.take(2, 0x44)
  const ptrs = []
  t.throws(() => {
    for (;;) ptrs.push(memory.malloc(50_000))
  }, OUT_OF_MEMORY)
  for (const ptr of ptrs) memory.memset(ptr, 1, 50_000)
  t.is(own.take(1, 0x44), -1)
  t.true(allBytes(memory, theirs * PAGE, 2 * PAGE, 0x44))
  t.is(own.deep(8), 9 * 496 + 32 * 36)
  t.is(Buffer.from(memory.arrayBuffer(own.greeting(), 12)).toString(), 'hello, heap!')
})

test('heapBase at the initial size, in every kind of memory', (t) => {
  const kinds = [
    { shared: true, storage: 'native' },
    { shared: true, storage: 'engine' },
    { shared: false },
  ]
  for (const initial of [1, 5]) {
    for (const kind of kinds) {
      const descriptor = { initial, maximum: initial + 9, heapBase: initial * PAGE, ...kind }
      if (process.platform !== 'linux') delete descriptor.storage
      const memory = new LocalSharedMemory(descriptor)
      stamp(memory, 0, initial * PAGE, 1)
      const first = memory.malloc(3000)
      t.true(first > initial * PAGE)
      const foreign = memory.grow(1)
      stamp(memory, foreign * PAGE, PAGE, 2)
      const ptrs = [first, ...Array.from({ length: 100 }, () => memory.malloc(3000))]
      for (const ptr of ptrs) memory.memset(ptr, 9, 3000)
      for (const ptr of ptrs) memory.free(ptr)
      memory.trim()
      t.true(intact(memory, 0, initial * PAGE, 1))
      t.true(intact(memory, foreign * PAGE, PAGE, 2))
      t.is(memory.length, 0)
    }
  }
})

test('heapBase at the end of a memory as long as can be leaves no byte to the heap', (t) => {
  const pages = 65_536
  for (const heapBase of [pages * PAGE, pages * PAGE - 16]) {
    const memory = make(heapBase, { initial: pages, maximum: pages })
    t.throws(() => memory.malloc(1), OUT_OF_MEMORY)
    t.throws(() => LocalSharedMemory.from(structuredClone(memory)).malloc(1), OUT_OF_MEMORY)
    t.true(allBytes(memory, 0, PAGE, 0))
  }
})
