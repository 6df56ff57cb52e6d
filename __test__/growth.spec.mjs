// Growth: by malloc, by the user, by others; and who owns which bytes.

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import test from 'ava'
import LocalSharedMemory from '../index.js'
import { launch, reportsOf } from './fixtures/launch.mjs'
import { meetingOf } from './fixtures/meeting.mjs'
import { PAGE, pagesOf } from './fixtures/pages.mjs'
import { allBytes, intact, stamp } from './fixtures/pattern.mjs'
import { randomFrom } from './fixtures/random.mjs'
import { Shadow, checkAllocs, runRandomly } from './fixtures/shadow.mjs'

const OUT_OF_MEMORY = { instanceOf: RangeError, code: 'ERR_OUT_OF_MEMORY' }
const { grow } = WebAssembly.Memory.prototype

/** Allocates until the heap is full. */
const fill = (t, memory, byteLength) => {
  const ptrs = []
  t.throws(() => {
    for (;;) {
      const ptr = memory.malloc(byteLength)
      stamp(memory, ptr, byteLength, ptr)
      ptrs.push(ptr)
    }
  }, OUT_OF_MEMORY)
  return ptrs
}

/** The bytes that a block takes in theory. */
const leastFor = ({ byteLength }) => Math.ceil((byteLength + 8) / 16) * 16

const checkAll = (t, memory, ptrs, byteLength) => {
  t.true(ptrs.every((ptr) => intact(memory, ptr, byteLength, ptr)))
  checkAllocs(memory.allocs(), memory.buffer.byteLength)
}

test('one block each of many sizes does not need a second page', (t) => {
  const memory = new LocalSharedMemory(1, 100)
  const ptrs = Array.from({ length: 30 }, (_, index) => memory.malloc(8 + 16 * index))
  t.is(pagesOf(memory), 1)
  t.is(memory.allocs().length, ptrs.length)
})

for (const [pages, share] of [
  [5, 0.75],
  [10, 0.82],
  [30, 0.88],
]) {
  test(`blocks of random sizes fill most of ${pages} pages`, (t) => {
    const memory = new LocalSharedMemory(1, pages)
    const random = randomFrom(pages)
    const blocks = []
    t.throws(() => {
      for (;;) {
        const byteLength = Math.floor(16 * (41 * pages) ** (random(1e6) / 1e6))
        const ptr = memory.malloc(byteLength)
        stamp(memory, ptr, byteLength, ptr)
        blocks.push({ ptr, byteLength })
      }
    }, OUT_OF_MEMORY)
    t.true(blocks.every(({ ptr, byteLength }) => intact(memory, ptr, byteLength, ptr)))
    const bytes = blocks.reduce((sum, block) => sum + leastFor(block), 0)
    t.true(bytes > share * pages * PAGE, `${bytes / (pages * PAGE)}`)
    for (const { ptr } of blocks) memory.free(ptr)
    t.is(memory.length, 0)
    t.deepEqual(memory.check(), [])
  })
}

for (const shared of [true, false]) {
  test(`malloc grows the memory up to its maximum and not beyond, shared: ${shared}`, (t) => {
    const memory = new LocalSharedMemory({ initial: 1, maximum: 9, shared })
    const ptrs = fill(t, memory, 100)
    t.is(pagesOf(memory), 9)
    t.true(memory.length > 8 * PAGE)
    checkAll(t, memory, ptrs, 100)
    t.throws(() => memory.grow(1), { instanceOf: RangeError })
    t.throws(() => memory.malloc(5000), OUT_OF_MEMORY)
    for (const ptr of ptrs) memory.free(ptr)
    t.is(memory.length, 0)
    t.is(memory.sizeof(memory.malloc(PAGE)), PAGE)
    t.is(pagesOf(memory), 9)
  })

  test(`malloc does not grow a memory that has room, shared: ${shared}`, (t) => {
    const memory = new LocalSharedMemory({ initial: 10, maximum: 20, shared })
    for (let round = 0; round < 2000; round++) memory.free(memory.malloc(1 + round * 16))
    const ptrs = Array.from({ length: 100 }, () => memory.malloc(3000))
    t.is(pagesOf(memory), 10)
    t.is(new Set(ptrs).size, 100)
  })

  test(`one request larger than the memory, shared: ${shared}`, (t) => {
    const memory = new LocalSharedMemory({ initial: 1, maximum: 100, shared })
    const ptr = memory.malloc(50 * PAGE, PAGE)
    t.is(ptr % PAGE, 0)
    stamp(memory, ptr, 50 * PAGE, 1)
    const small = memory.malloc(10)
    memory.memset(small, 1, 10)
    t.true(intact(memory, ptr, 50 * PAGE, 1))
    t.true(pagesOf(memory) >= 51 && pagesOf(memory) <= 100)
  })

  test(`a fixed memory never grows, shared: ${shared}`, (t) => {
    const memory = new LocalSharedMemory({ initial: 2, maximum: 2, shared })
    checkAll(t, memory, fill(t, memory, 1000), 1000)
    t.is(pagesOf(memory), 2)
  })

  test(`pages that the user grows are the heap's, shared: ${shared}`, (t) => {
    const memory = new LocalSharedMemory({ initial: 1, maximum: 6, shared })
    const first = memory.malloc(100)
    stamp(memory, first, 100, 1)
    t.is(memory.grow(5), 1)
    const ptrs = fill(t, memory, 100)
    t.true(memory.length > 5 * PAGE)
    t.true(ptrs.some((ptr) => ptr > 5 * PAGE))
    checkAll(t, memory, ptrs, 100)
    t.true(intact(memory, first, 100, 1))
  })

  test(`pages grown before the first malloc are the heap's, shared: ${shared}`, (t) => {
    const memory = new LocalSharedMemory({ initial: 0, maximum: 6, shared })
    t.is(memory.grow(2), 0)
    t.is(memory.grow(4), 2)
    checkAll(t, memory, fill(t, memory, 100), 100)
    t.true(memory.length > 5 * PAGE)
  })

  test(`a memory without a page: {initial: 0, maximum: 2}, shared: ${shared}`, (t) => {
    const memory = new LocalSharedMemory({ initial: 0, maximum: 2, shared })
    t.deepEqual(memory.allocs(), [])
    t.is(memory.length, 0)
    t.is(memory.stats().byteLength, 0)
    t.throws(() => memory.malloc(3 * PAGE), OUT_OF_MEMORY)
    const ptr = memory.malloc(10)
    t.is(memory.sizeof(ptr), 10)
    t.true(pagesOf(memory) > 0)
    checkAll(t, memory, fill(t, memory, 1000), 1000)
    t.is(pagesOf(memory), 2)
  })

  test(`no page and none to be had, shared: ${shared}`, (t) => {
    const memory = new LocalSharedMemory({ initial: 0, maximum: 0, shared })
    for (let round = 0; round < 3; round++) t.throws(() => memory.malloc(1), OUT_OF_MEMORY)
    t.deepEqual(memory.allocs(), [])
    t.is(memory.stats().usedBytes, 0)
    t.is(memory.stats().largestFreeBlock, 0)
  })

  test(`alternating growth by the user and by malloc, shared: ${shared}`, (t) => {
    const shadow = new Shadow(new LocalSharedMemory({ initial: 1, maximum: 300, shared }))
    for (let round = 0; round < 12; round++) {
      shadow.memory.grow(1 + (round % 3))
      for (let made = 0; made < 20; made++)
        shadow.malloc(1 + ((round * 4001 + made * 977) % 30_000))
    }
    shadow.verify()
    shadow.end()
    t.pass()
  })
}

test('a view that the user made keeps its length', (t) => {
  const memory = new LocalSharedMemory({ initial: 1, maximum: 50, shared: true })
  const ptr = memory.malloc(400)
  const view = memory.arrayView(Int32Array, ptr)
  const all = memory.subarray(Uint8Array, 0)
  memory.malloc(20 * PAGE)
  t.is(view.length, 100)
  t.is(all.length, PAGE)
  view[99] = 7
  t.is(memory.getInt32(ptr + 396), 7)
  memory.setInt32(ptr, 8)
  t.is(view[0], 8)
  t.is(memory.subarray(Uint8Array, 0).length, memory.buffer.byteLength)
})

test('a memory that is not shared detaches views, as JavaScript says, and keeps its bytes', (t) => {
  const memory = new LocalSharedMemory({ initial: 1, maximum: 50, shared: false })
  const ptr = memory.malloc(400)
  stamp(memory, ptr, 400, 1)
  const view = memory.arrayView(Int32Array, ptr)
  memory.malloc(20 * PAGE)
  t.is(view.length, 0)
  t.true(intact(memory, ptr, 400, 1))
  memory.setInt32(ptr, 5)
  t.is(memory.arrayView(Int32Array, ptr)[0], 5)
  memory.free(ptr)
})

test('a memory that is not shared keeps its buffer when something is refused', (t) => {
  const memory = new LocalSharedMemory({ initial: 1, maximum: 2, shared: false })
  const ptr = memory.malloc(400)
  const view = memory.arrayView(Uint8Array, ptr)
  const refused = [
    () => memory.getUint8(PAGE),
    () => memory.load(Int32Array, PAGE / 4),
    () => memory.set(Uint8Array, [1, 2], PAGE - 1),
    () => memory.free(ptr + 16),
    () => memory.malloc(3 * PAGE),
    () => memory.arrayView(Uint8Array, ptr, PAGE),
  ]
  for (const call of refused) {
    t.throws(call, { any: true })
    t.is(view.length, 400, String(call))
  }
})

for (const shared of [true, false]) {
  test(`a block at the end of a full memory is extended where it is, shared: ${shared}`, (t) => {
    const memory = new LocalSharedMemory({ initial: 4, maximum: 5, shared })
    memory.malloc(40_000)
    const byteLength = memory.stats().largestFreeBlock
    const ptr = memory.malloc(byteLength)
    stamp(memory, ptr, byteLength, 1)
    t.is(pagesOf(memory), 4)
    t.is(memory.realloc(ptr, byteLength + 60_000), ptr)
    t.is(memory.sizeof(ptr), byteLength + 60_000)
    t.is(pagesOf(memory), 5)
    t.true(intact(memory, ptr, byteLength, 1))
    t.is(memory.stats().blockCount, 2)
  })

  test(`a block at the end of the memory is extended rather than moved, shared: ${shared}`, (t) => {
    const memory = new LocalSharedMemory({ initial: 8, maximum: 100, shared, debug: false })
    memory.malloc(40_000)
    const byteLength = memory.stats().largestFreeBlock
    const ptr = memory.malloc(byteLength)
    t.is(memory.realloc(ptr, byteLength + 60_000), ptr)
    t.is(pagesOf(memory), 9)
  })

  test(`the first page of a memory without any is the heap’s, shared: ${shared}`, (t) => {
    const memory = new LocalSharedMemory({ initial: 0, maximum: 1, shared, heapBase: 0 })
    t.is(memory.sizeof(memory.malloc(100)), 100)
    t.is(pagesOf(memory), 1)
  })
}

test('growth through one handle is noticed by every method of another', (t) => {
  const use = {
    accessor: (memory, ptr) => memory.setUint32(ptr, 9) ?? memory.getUint32(ptr),
    atomics: (memory, ptr) => memory.add(Int32Array, ptr / 4, 9) + 9,
    view: (memory, ptr) => memory.arrayView(Uint8Array, ptr).fill(9)[0],
    dataView: (memory, ptr) => memory.dataView(ptr).setUint8(0, 9) ?? memory.getUint8(ptr),
    memset: (memory, ptr) => memory.memset(ptr, 9, 4) && memory.getUint8(ptr),
    memcpy: (memory, ptr) => memory.memcpy(ptr + 4, ptr, 4) && memory.getUint8(ptr) + 9,
    sizeof: (memory, ptr) => memory.sizeof(ptr) - 91,
    lengthof: (memory, ptr) => (memory.lengthof(ptr) > 100 ? 9 : 0),
    realloc: (memory, ptr) => memory.sizeof(memory.realloc(ptr, 90)) - 81,
    free: (memory, ptr) => memory.free(ptr) ?? 9,
    allocs: (memory, ptr) => (memory.allocs().some((block) => block.byteOffset === ptr) ? 9 : 0),
    arrayBuffer: (memory, ptr) => memory.arrayBuffer(ptr).byteLength - 91,
    malloc: (memory) => (memory.malloc(100) > 0 ? 9 : 0),
  }
  for (const [name, call] of Object.entries(use)) {
    const memory = new LocalSharedMemory({ initial: 1, maximum: 50, shared: true })
    memory.free(memory.malloc(1))
    memory.setUint8(1000, 0)
    const other = LocalSharedMemory.from(structuredClone(memory))
    other.malloc(10 * PAGE)
    const far = Array.from({ length: 2000 }, () => other.calloc(100)).at(-1)
    const [ptr] = other
      .allocs()
      .filter(({ byteOffset, byteLength }) => byteOffset > PAGE && byteLength === 100)
      .map(({ byteOffset }) => byteOffset)
    t.true(far > 0 && ptr > PAGE)
    t.is(call(memory, ptr), 9, name)
  }
})

/** Bytes that belong to others, filled with a pattern, and the check that they are as they were. */
class Foreign {
  ranges = []

  constructor(memory) {
    this.memory = memory
  }

  add(start, byteLength) {
    this.ranges.push([start, byteLength])
    stamp(this.memory, start, byteLength, start)
  }

  check(t) {
    for (const [start, byteLength] of this.ranges) {
      t.true(intact(this.memory, start, byteLength, start), `bytes from ${start}`)
      const inside = this.memory
        .allocs()
        .filter((block) => block.byteOffset + block.byteLength > start)
        .filter((block) => block.byteOffset - 8 < start + byteLength)
      t.is(inside.length, 0, `blocks in foreign bytes from ${start}`)
    }
  }
}

for (const shared of [true, false]) {
  for (const heapBase of [0, 16, 1000, 100_001, 2 * PAGE, 4 * PAGE - 100, 4 * PAGE]) {
    test(`the heap touches its own bytes only, heapBase: ${heapBase}, shared: ${shared}`, (t) => {
      const memory = new LocalSharedMemory({ initial: 4, maximum: 60, shared, heapBase })
      const foreign = new Foreign(memory)
      if (heapBase > 0) foreign.add(0, heapBase)
      const growForeign = (pages) => foreign.add(grow.call(memory, pages) * PAGE, pages * PAGE)
      const ptrs = []
      growForeign(1)
      for (let round = 0; round < 10; round++) {
        for (let made = 0; made < 40; made++) {
          const ptr = memory.malloc(1 + ((round + made * 53) % 4000))
          memory.memset(ptr, 1, memory.sizeof(ptr))
          ptrs.push(ptr)
        }
        if (round % 2 === 0) growForeign(1 + (round % 3))
        // Freed space next to foreign pages must not reach into them.
        for (let freed = 0; freed < 15; freed++) memory.free(ptrs.splice((freed * 7) % 20, 1)[0])
      }
      foreign.check(t)
      ptrs.push(...fill(t, memory, 5000))
      t.is(pagesOf(memory), 60)
      foreign.check(t)
      const foreignBytes = foreign.ranges.reduce((sum, [, byteLength]) => sum + byteLength, 0)
      t.true(memory.length > (60 * PAGE - foreignBytes) * 0.7)
      for (const ptr of ptrs) memory.free(ptr)
      foreign.check(t)
      t.is(memory.length, 0)
      if (heapBase === 0) t.true(allBytes(memory, 0, 16, 0))
    })
  }
}

test('random sequences with heapBase', (t) => {
  for (const heapBase of [30_000, 2 * PAGE]) {
    const memory = new LocalSharedMemory({ initial: 2, maximum: 100, shared: true, heapBase })
    const shadow = new Shadow(memory)
    runRandomly(shadow, { seed: 5, steps: 3000, maxBytes: 50_000, maxLive: 200 })
    t.true([...shadow.blocks.keys()].every((ptr) => ptr - 8 >= heapBase))
    shadow.end()
    t.true(allBytes(memory, 0, heapBase, 0))
  }
})

test('heapBase at the end of a memory that cannot grow', (t) => {
  const memory = new LocalSharedMemory({ initial: 2, maximum: 2, shared: true, heapBase: 2 * PAGE })
  t.throws(() => memory.malloc(1), OUT_OF_MEMORY)
  t.deepEqual(memory.allocs(), [])
  t.true(allBytes(memory, 0, 2 * PAGE, 0))
})

test('pages that others grow are not the heap’s, even if it needs some', (t) => {
  const memory = new LocalSharedMemory({ initial: 1, maximum: 3, shared: true, heapBase: PAGE })
  t.is(memory.grow(2), 1)
  t.throws(() => memory.malloc(1), OUT_OF_MEMORY)
  t.true(allBytes(memory, 0, 3 * PAGE, 0))
})

test('the last pages are used, however few they are', (t) => {
  for (const heapBase of [undefined, 0]) {
    const memory = new LocalSharedMemory({ initial: 200, maximum: 204, shared: true, heapBase })
    memory.malloc(100)
    t.is(grow.call(memory, 1), 200)
    checkAll(t, memory, fill(t, memory, 1000), 1000)
    t.is(pagesOf(memory), 204)
  }
})

test('every handle knows the heapBase', (t) => {
  const memory = new LocalSharedMemory({
    initial: 4,
    maximum: 40,
    shared: true,
    heapBase: 3 * PAGE,
  })
  const foreign = new Foreign(memory)
  foreign.add(0, 3 * PAGE)
  const others = [1, 2].map(() => LocalSharedMemory.from(structuredClone(memory)))
  const plain = structuredClone(memory)
  t.false(plain instanceof LocalSharedMemory)
  for (let round = 0; round < 30; round++) {
    if (round % 5 === 0) foreign.add(plain.grow(1) * PAGE, PAGE)
    for (const handle of [...others, memory]) {
      const ptr = handle.malloc(12_000)
      handle.memset(ptr, 3, 12_000)
      t.is(memory.sizeof(ptr), 12_000)
    }
  }
  foreign.check(t)
  t.is(others[0].allocs().length, 90)
  for (const { byteOffset } of memory.allocs()) others[1].free(byteOffset)
  t.is(memory.length, 0)
})

test('from with a heapBase, on a memory that holds data', (t) => {
  const plain = new WebAssembly.Memory({ initial: 2, maximum: 20, shared: true })
  stamp(plain, 0, PAGE + 500, 1)
  const memory = LocalSharedMemory.from(plain, { heapBase: PAGE + 500 })
  const ptrs = fill(t, memory, 1000)
  t.true(ptrs.every((ptr) => ptr - 8 >= PAGE + 500))
  t.is(pagesOf(memory), 20)
  t.true(intact(memory, 0, PAGE + 500, 1))
})

test.serial('memories come and go, and a new one inherits nothing from an old one', async (t) => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc')
  const random = randomFrom(12)
  for (let made = 0; made < 240; made++) {
    const initial = random(4)
    const heapBase = random(2) === 0 ? undefined : random(initial * PAGE + 1)
    const descriptor = { initial, maximum: initial + 6, shared: random(3) > 0, heapBase }
    const memory = new LocalSharedMemory(descriptor)
    if (heapBase !== undefined) t.deepEqual(memory.allocs(), [])
    t.true(allBytes(memory, 0, heapBase ?? initial * PAGE, 0))
    const blocks = random(4) > 0 ? 60 : 0
    const handles = [memory]
    if (descriptor.shared && random(2))
      handles.push(LocalSharedMemory.from(structuredClone(memory)))
    for (let count = 0; count < blocks; count++) {
      const ptr = handles[count % handles.length].malloc(1 + random(3000))
      t.true(ptr - 8 >= (heapBase ?? 16))
      memory.memset(ptr, 0xff, memory.sizeof(ptr))
    }
    t.is(memory.stats().blockCount, blocks)
    // oxlint-disable-next-line no-await-in-loop -- finalizers run between turns
    if (made % 12 === 0) await new Promise(setImmediate)
    if (made % 12 === 0) collect()
  }
})

test.serial('pages that another thread grows meanwhile are never touched', async (t) => {
  // A heap in many pieces grows by half of what it has, twice here.
  const maximum = 1000
  const memory = new LocalSharedMemory({ initial: 1, maximum, shared: true, heapBase: PAGE })
  stamp(memory, 0, PAGE, 1)
  const gate = new SharedArrayBuffer(4)
  const growers = [1, 2].map((byte) =>
    launch('grow-worker.mjs', { memory, pages: 60, byte: 0xe0 + byte, pause: 1, gate, threads: 3 }),
  )
  const state = { growing: true }
  const done = reportsOf(60_000, growers).finally(() => (state.growing = false))
  const ptrs = []
  const allocate = () => {
    const ptr = memory.malloc(9000)
    stamp(memory, ptr, 9000, ptr)
    ptrs.push(ptr)
  }
  const arrived = new Int32Array(gate)
  const allocateWhile = async (others) => {
    while (others()) {
      // Not before the others have begun, and not so far that they find the memory full.
      if (pagesOf(memory) > 1 && pagesOf(memory) < 250) allocate()
      // oxlint-disable-next-line no-await-in-loop -- lets the growers' messages in
      await new Promise(setImmediate)
    }
  }
  await allocateWhile(() => state.growing && Atomics.load(arrived, 0) < 2)
  // While both stand still halfway, pages behind theirs.
  const behind = memory.buffer.byteLength
  do allocate()
  while (ptrs.at(-1) < behind)
  meetingOf(gate, 3)()
  await allocateWhile(() => state.growing)
  const reports = await done
  for (const [index, pages] of reports.entries()) {
    t.is(pages.length, 60)
    for (const page of pages) t.true(allBytes(memory, page * PAGE, PAGE, 0xe1 + index), `${page}`)
  }
  const [first, last] = [Math.min(...reports.flat()), Math.max(...reports.flat())]
  t.true(ptrs.some((ptr) => ptr > first * PAGE && ptr < last * PAGE))
  t.true(intact(memory, 0, PAGE, 1))
  checkAll(t, memory, ptrs, 9000)
  for (const ptr of ptrs) memory.free(ptr)
  t.is(memory.length, 0)
})

test.serial('one thread grows while others allocate', async (t) => {
  const memory = new LocalSharedMemory({ initial: 1, maximum: 1000, shared: true })
  const control = memory.calloc(4096)
  const shared = { memory, control, threads: 2, operations: 40_000, maxLive: 400 }
  const sizes = [100, 2000, 20_000]
  const allocating = [0, 1].map((index) =>
    launch('stress-worker.mjs', { ...shared, index, seed: index + 1, sizes }),
  )
  const growing = launch('grow-worker.mjs', { memory, pages: 300, pause: 1 })
  const [first, second, grown] = await reportsOf(90_000, [...allocating, growing])
  t.true(first.operations >= 40_000 && second.operations >= 40_000)
  t.is(grown.length, 300)
  const mailed = memory.allocs().filter(({ byteOffset }) => byteOffset !== control)
  for (const { byteOffset } of mailed) memory.free(byteOffset)
  memory.free(control)
  t.is(memory.length, 0)
  t.is(memory.sizeof(memory.malloc(200 * PAGE)), 200 * PAGE)
})

test.serial('a memory of 4 GiB is used up to its end', (t) => {
  const memory = new LocalSharedMemory(1, 65_536)
  const ptrs = []
  for (let byteLength = 2 ** 30; byteLength >= 4096;) {
    try {
      const ptr = memory.malloc(byteLength)
      ptrs.push(ptr)
      memory.setUint8(ptr, 1)
      memory.setUint8(ptr + byteLength - 1, 2)
    } catch (error) {
      t.is(error.code, 'ERR_OUT_OF_MEMORY')
      byteLength = Math.floor(byteLength / 2)
    }
  }
  t.is(pagesOf(memory), 65_536)
  const blocks = memory.allocs()
  checkAllocs(blocks, 2 ** 32)
  t.is(blocks.length, ptrs.length)
  t.true(blocks.every(({ byteOffset }) => ptrs.includes(byteOffset)))
  const last = blocks.at(-1)
  t.true(last.byteOffset + last.byteLength > 2 ** 32 - 4 * PAGE)
  t.true(memory.length > 0.97 * 2 ** 32)
  for (const { byteOffset, byteLength } of blocks) {
    t.is(memory.sizeof(byteOffset), byteLength)
    t.is(memory.getUint8(byteOffset), 1)
    t.is(memory.getUint8(byteOffset + byteLength - 1), 2)
  }
  for (const ptr of ptrs) memory.free(ptr)
  t.is(memory.length, 0)
  t.is(memory.sizeof(memory.malloc(2 ** 31)), 2 ** 31)
})

test.serial('everything works above 2 GiB', (t) => {
  const memory = new LocalSharedMemory(1, 65_536)
  const low = memory.malloc(2 ** 31)
  const random = randomFrom(31)
  const shadow = new Shadow(memory)
  const ptrs = Array.from({ length: 200 }, () =>
    shadow.malloc(1 + random(20_000), 2 ** random(17)),
  ).filter((ptr) => ptr > 2 ** 31)
  t.true(ptrs.length > 100)
  for (const ptr of ptrs.splice(0, 50)) ptrs.push(shadow.realloc(ptr, 1 + random(60_000)))
  for (const ptr of ptrs) shadow.check(ptr)
  shadow.freeAll()

  const ptr = memory.calloc(8, 8, 64)
  t.true(ptr > 2 ** 31)
  t.is(memory.sizeof(ptr), 64)
  memory.setFloat64(ptr, Math.PI)
  t.is(memory.getFloat64(ptr), Math.PI)
  memory.setBigInt64(ptr + 8, -5n)
  t.is(memory.getBigInt64(ptr + 8), -5n)
  t.is(memory.store(Int32Array, ptr / 4 + 4, 41), 41)
  t.is(memory.add(Int32Array, ptr / 4 + 4, 1), 41)
  t.is(memory.arrayView(Int32Array, ptr)[4], 42)
  t.is(memory.arrayView(Int32Array, ptr).byteOffset, ptr)
  t.is(new Float64Array(memory.arrayBuffer(ptr))[0], Math.PI)
  memory.memcpy(ptr + 32, ptr, 8)
  t.is(memory.getFloat64(ptr + 32), Math.PI)
  memory.memset(ptr, 0xff, 64)
  t.is(memory.getInt32(ptr + 60), -1)
  t.is(memory.Float32Array([1, 2, 3])[2], 3)
  t.true(memory.allocs().some(({ byteOffset }) => byteOffset === ptr))
  t.throws(() => memory.free(ptr + 16), { code: 'ERR_INVALID_POINTER' })
  memory.free(ptr)
  t.throws(() => memory.free(ptr), { code: 'ERR_INVALID_POINTER' })
  t.is(memory.realloc(low, 2 ** 31 - 2 ** 20) % 16, 0)
  for (const { byteOffset } of memory.allocs()) memory.free(byteOffset)
  t.is(memory.length, 0)
})
