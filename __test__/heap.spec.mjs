// The heap as C's programmers know it: malloc, calloc, realloc, free, and what allocs() and stats() say of it.

import { Console } from 'node:console'
import { PassThrough } from 'node:stream'
import test from 'ava'
import LocalSharedMemory from '../index.js'
import { heapOf } from '../lib/memory/blocks.js'
import { Fault } from '../lib/native/faults.js'
import { PAGE } from './fixtures/pages.mjs'
import { allBytes, intact, stamp } from './fixtures/pattern.mjs'
import { randomFrom } from './fixtures/random.mjs'
import { Shadow, runRandomly } from './fixtures/shadow.mjs'

const OUT_OF_MEMORY = { instanceOf: RangeError, code: 'ERR_OUT_OF_MEMORY' }
const ALIGNMENTS = Array.from({ length: 17 }, (_, shift) => 2 ** shift)

const blocksOf = (memory) =>
  memory.allocs().map((block) => [block.byteOffset, block.byteLength, block.bufferSize])

/** Memories of every kind, and how hard to use them. */
const SHAPES = {
  'one page': {
    make: () => new LocalSharedMemory(1),
    steps: 12_000,
    maxBytes: 12_000,
    maxLive: 200,
  },
  'no page at first': {
    make: () => new LocalSharedMemory({ initial: 0, maximum: 2, shared: true }),
    steps: 7500,
    maxBytes: 30_000,
    maxLive: 200,
  },
  '16 pages': {
    make: () => new LocalSharedMemory(16),
    steps: 12_000,
    maxBytes: 200_000,
    maxLive: 600,
  },
  'growing from 1 to 2000 pages': {
    make: () => new LocalSharedMemory(1, 2000),
    steps: 12_000,
    maxBytes: 300_000,
    maxLive: 900,
  },
  'not shared': {
    make: () => new LocalSharedMemory({ initial: 1, maximum: 64, shared: false }),
    steps: 8000,
    maxBytes: 60_000,
    maxLive: 600,
  },
  'not shared, without a maximum': {
    make: () => new LocalSharedMemory({ initial: 0, shared: false }),
    steps: 4000,
    maxBytes: 60_000,
    maxLive: 300,
  },
}

test('the Quick Start', (t) => {
  const stdout = new PassThrough()
  const console = new Console({ stdout })

  // 1. Create a new shared memory instance.
  const memory = new LocalSharedMemory()

  // 2. Allocate memory.
  // Allocate 24 bytes, aligned to the default 16 bytes.
  const ptr1 = memory.malloc(24)

  // Allocate 5 bytes, aligned to 2 bytes.
  const ptr2 = memory.malloc(5, 2)

  // 3. Write and read data.
  // Set a 32-bit integer at the beginning of the first allocation.
  memory.setInt32(ptr1, 12345)

  // Get the value back.
  const myValue = memory.getInt32(ptr1) // Returns 12345

  // 4. Create a TypedArray view on the second allocation.
  const myData = new Uint8Array([10, 20, 30, 40, 50])
  const uint8View = memory.arrayView(Uint8Array, ptr2)
  uint8View.set(myData)

  // 5. Inspect all allocations.
  console.table(memory.allocs())

  t.is(myValue, 12345)
  t.is(uint8View.length, 5)
  t.is(ptr1 % 16, 0)
  t.is(ptr2 % 2, 0)
  t.deepEqual([...new Uint8Array(memory.buffer, ptr2, 5)], [10, 20, 30, 40, 50])
  const listed = memory.allocs().map(({ byteOffset, byteLength }) => [byteOffset, byteLength])
  const expected = [
    [ptr1, 24],
    [ptr2, 5],
  ].toSorted((a, b) => a[0] - b[0])
  t.deepEqual(listed, expected)
  const shown = String(stdout.read())
  for (const word of ['byteOffset', 'byteLength', 'bufferSize', ptr1, ptr2]) {
    t.true(shown.includes(word))
  }
})

test("the reference's examples", (t) => {
  const memory = new LocalSharedMemory()
  const byteOffset = memory.malloc(100)
  t.is(memory.sizeof(byteOffset), 100)
  memory.setFloat64(byteOffset, Math.PI)
  t.is(memory.getFloat64(byteOffset), Math.PI)
})

for (const shared of [true, false]) {
  test(`a fresh memory is all zero until the first malloc, shared: ${shared}`, (t) => {
    const memory = new LocalSharedMemory({ initial: 3, maximum: 4, shared })
    t.deepEqual(memory.allocs(), [])
    t.is(memory.length, 0)
    t.is(memory.stats().blockCount, 0)
    t.is(memory.stats().byteLength, 3 * PAGE)
    memory.free(0)
    t.true(allBytes(memory, 0, 3 * PAGE, 0))
    memory.grow(1)
    t.true(allBytes(memory, 0, 4 * PAGE, 0))
  })
}

for (const [title, { make, ...load }] of Object.entries(SHAPES)) {
  test(`random sequences keep to the contract: ${title}`, (t) => {
    for (const seed of [1, 2]) {
      const shadow = new Shadow(make())
      runRandomly(shadow, { seed, ...load })
      t.true(shadow.blocks.size > 0)
      t.true(shadow.moved > 0)
      t.true(shadow.stayed > 0)
      shadow.end()
      // What served once serves again.
      runRandomly(shadow, { seed: seed + 100, ...load, steps: load.steps / 4 })
      shadow.end()
    }
    t.pass()
  })
}

test('every alignment in any mix with every size', (t) => {
  const random = randomFrom(7)
  const shadow = new Shadow(new LocalSharedMemory(1, 4000))
  const live = []
  for (let round = 0; round < 200; round++) {
    for (const alignBytes of ALIGNMENTS) {
      const byteLength = 1 + random([64, 2000, 40_000, 300_000][random(4)])
      live.push(shadow.malloc(byteLength, alignBytes))
      while (live.length > 150) shadow.free(live.splice(random(live.length), 1)[0])
    }
  }
  shadow.verify()
  shadow.end()
  t.pass()
})

test('each alignment by itself, for sizes around each power of two', (t) => {
  for (const alignBytes of ALIGNMENTS) {
    const shadow = new Shadow(new LocalSharedMemory(1, 400))
    for (let power = 1; power <= PAGE; power *= 2) {
      for (const byteLength of [power - 1, power, power + 1]) {
        if (byteLength > 0) shadow.malloc(byteLength, alignBytes)
      }
    }
    shadow.verify()
    shadow.end()
  }
  t.pass()
})

test('all of the bytes that were asked for can be used: sizes around every edge', (t) => {
  const sizes = new Set(Array.from({ length: 1200 }, (_, size) => size + 1))
  for (let power = 16; power <= 2 ** 20; power *= 2) {
    for (let eighth = 0; eighth < 8; eighth++) {
      const edge = power + (power / 8) * eighth
      for (let size = edge - 9; size <= edge + 9; size++) sizes.add(size)
      for (const off of [16, 24]) sizes.add(edge - off).add(edge + off)
    }
  }
  const shadow = new Shadow(new LocalSharedMemory(1, 3000))
  const live = []
  for (const size of sizes) {
    if (size > 0) live.push(shadow.malloc(size))
    // The one before is checked after the new one was filled to its last byte.
    if (live.length > 32) shadow.free(live.shift())
  }
  t.true(shadow.memory.stats().blockCount > 0)
  shadow.end()
})

test('calloc clears what was used before', (t) => {
  for (const [count, byteLength] of [
    [1, 1],
    [3, 5],
    [100, 1],
    [10, 100],
    [1, 5000],
    [3, 20_000],
    [1, 200_000],
  ]) {
    const memory = new LocalSharedMemory(8)
    const dirty = []
    try {
      for (;;) dirty.push(memory.malloc(count * byteLength))
    } catch (error) {
      t.is(error.code, 'ERR_OUT_OF_MEMORY')
    }
    for (const ptr of dirty) memory.memset(ptr, 0xff, count * byteLength)
    for (const ptr of dirty) memory.free(ptr)
    for (let again = 0; again < dirty.length; again++) {
      const ptr = memory.calloc(count, byteLength)
      t.true(allBytes(memory, ptr, count * byteLength, 0), `${count} x ${byteLength}`)
      t.is(memory.sizeof(ptr), count * byteLength)
    }
  }
})

test('calloc counts single bytes by default, and aligns', (t) => {
  const memory = new LocalSharedMemory(4)
  t.is(memory.sizeof(memory.calloc(33)), 33)
  for (const alignBytes of ALIGNMENTS.slice(0, 13)) {
    const ptr = memory.calloc(3, 4, alignBytes)
    t.is(ptr % alignBytes, 0)
    t.is(memory.sizeof(ptr), 12)
  }
})

test('realloc leaves a block where it is if another one would be no shorter', (t) => {
  const memory = new LocalSharedMemory(1)
  for (const [before, after] of [
    [8, 3],
    [8, 1],
    [24, 9],
    [20, 11],
    [40, 25],
  ]) {
    const ptr = memory.malloc(before)
    const length = memory.lengthof(ptr)
    t.is(memory.realloc(ptr, after), ptr)
    t.deepEqual([memory.sizeof(ptr), memory.lengthof(ptr)], [after, length])
  }
  const ptr = memory.malloc(40)
  t.true(memory.lengthof(memory.realloc(ptr, 8)) < 48)
})

test('realloc keeps the bytes, up and down, in place and moved', (t) => {
  const shadow = new Shadow(new LocalSharedMemory(1, 4000))
  for (const first of [1, 16, 100, 1000, 5000, 40_000, 100_000]) {
    let ptr = shadow.malloc(first)
    const up = Array.from({ length: 12 }, (_, i) => Math.ceil(first * 1.5 ** i))
    for (const byteLength of [...up, ...up.toReversed(), first * 8, 1, first]) {
      ptr = shadow.realloc(ptr, byteLength)
      // A neighbour, so that the next step up cannot always stay.
      shadow.malloc(byteLength)
    }
    shadow.verify()
    shadow.freeAll()
  }
  t.true(shadow.stayed > 0)
  t.true(shadow.moved > 0)
  shadow.end()
})

test('realloc to the same size changes nothing', (t) => {
  const memory = new LocalSharedMemory(8)
  for (const byteLength of [1, 24, 1000, 40_000, 100_000]) {
    const ptr = memory.malloc(byteLength)
    stamp(memory, ptr, byteLength, 3)
    const again = memory.realloc(ptr, byteLength)
    t.is(memory.sizeof(again), byteLength)
    t.true(intact(memory, again, byteLength, 3))
    t.is(memory.stats().blockCount, 1)
    memory.free(again)
  }
})

test('realloc frees the block that it moves from', (t) => {
  const memory = new LocalSharedMemory(16)
  let ptr = memory.malloc(10)
  for (let round = 0; round < 2000; round++) ptr = memory.realloc(ptr, 1 + ((round * 977) % 90_000))
  t.is(memory.stats().blockCount, 1)
  memory.free(ptr)
  t.is(memory.length, 0)
})

test('realloc of null is malloc', (t) => {
  const memory = new LocalSharedMemory(2)
  const ptr = memory.realloc(0, 77)
  t.is(memory.sizeof(ptr), 77)
  t.is(ptr % 16, 0)
  t.is(memory.stats().blockCount, 1)
})

test('a realloc that fails leaves the block and its bytes', (t) => {
  const memory = new LocalSharedMemory(2)
  for (const byteLength of [8, 500, 9000, 50_000]) {
    const ptr = memory.malloc(byteLength)
    stamp(memory, ptr, byteLength, byteLength)
    const before = blocksOf(memory)
    for (const impossible of [2 * PAGE, 10 * PAGE, 2 ** 31, 2 ** 32 - 1]) {
      t.throws(() => memory.realloc(ptr, impossible), OUT_OF_MEMORY)
    }
    t.is(memory.sizeof(ptr), byteLength)
    t.true(intact(memory, ptr, byteLength, byteLength))
    t.deepEqual(blocksOf(memory), before)
    memory.free(ptr)
  }
  t.is(memory.length, 0)
})

test('realloc can shrink in a full heap', (t) => {
  const memory = new LocalSharedMemory(1)
  const ptrs = []
  t.throws(() => {
    for (;;) ptrs.push(memory.malloc(1000))
  }, OUT_OF_MEMORY)
  for (const [index, ptr] of ptrs.entries()) {
    stamp(memory, ptr, 1000, index)
    const smaller = memory.realloc(ptr, 20)
    t.true(intact(memory, smaller, 20, index))
    memory.free(smaller)
  }
  t.is(memory.length, 0)
})

test('free of null does nothing', (t) => {
  const memory = new LocalSharedMemory(1)
  t.is(memory.free(0), undefined)
  t.is(memory.free(-0), undefined)
  const ptr = memory.malloc(5)
  const before = memory.stats()
  memory.free(0)
  t.deepEqual(memory.stats(), before)
  t.is(memory.free(ptr), undefined)
})

test('allocs lists the live blocks, ascending', (t) => {
  const random = randomFrom(3)
  const memory = new LocalSharedMemory(16)
  const live = Array.from({ length: 300 }, () => memory.malloc(1 + random(3000)))
  for (let freed = 0; freed < 150; freed++) {
    memory.free(live.splice(random(live.length), 1)[0])
  }
  const listed = memory.allocs().map(({ byteOffset }) => byteOffset)
  t.deepEqual(
    listed,
    live.toSorted((a, b) => a - b),
  )
  for (const { byteOffset, byteLength, bufferSize } of memory.allocs()) {
    t.is(byteLength, memory.sizeof(byteOffset))
    t.is(bufferSize, memory.lengthof(byteOffset))
  }
})

for (const shared of [true, false]) {
  test(`allocs' buffer is a copy made when it is read, shared: ${shared}`, (t) => {
    const memory = new LocalSharedMemory({ initial: 1, maximum: 2, shared })
    const ptr = memory.malloc(5)
    memory.memset(ptr, 1, 5)
    const [block] = memory.allocs()
    memory.memset(ptr, 2, 5)
    const { buffer } = block
    t.true(buffer instanceof SharedArrayBuffer)
    t.deepEqual(Object.keys(block), ['byteOffset', 'byteLength', 'bufferSize', 'buffer'])
    t.deepEqual([...new Uint8Array(buffer)], [2, 2, 2, 2, 2])
    memory.memset(ptr, 3, 5)
    t.deepEqual([...new Uint8Array(buffer)], [2, 2, 2, 2, 2])
    new Uint8Array(buffer).fill(4)
    t.is(memory.getUint8(ptr), 3)
  })
}

test('stats counts blocks and bytes, and length is the bytes in use', (t) => {
  const memory = new LocalSharedMemory(4)
  const ptrs = [1, 100, 5000, 70_000].map((byteLength) => memory.malloc(byteLength))
  const used = ptrs.reduce((total, ptr) => total + memory.lengthof(ptr), 0)
  const stats = memory.stats()
  t.is(stats.byteLength, 4 * PAGE)
  t.is(stats.blockCount, 4)
  t.is(stats.requestedBytes, 75_101)
  t.is(stats.usedBytes, used)
  t.is(memory.length, used)
  for (const key of ['freeBytes', 'cachedBytes', 'largestFreeBlock']) {
    t.true(Number.isInteger(stats[key]) && stats[key] >= 0 && stats[key] <= 4 * PAGE)
  }
  memory.free(ptrs[3])
  t.true(memory.stats().freeBytes > stats.freeBytes)
  t.is(memory.stats().requestedBytes, 5101)
})

test('two heaps at once have nothing to do with each other', (t) => {
  const shadows = [1, 2, 3].map((pages) => new Shadow(new LocalSharedMemory(pages, 40)))
  for (let round = 0; round < 400; round++) {
    for (const shadow of shadows) shadow.malloc(1 + ((round * 131) % 4000))
  }
  for (const shadow of shadows) {
    shadow.verify()
    shadow.end()
  }
  t.pass()
})

test('a block that the cache was given and does not give out is made without it, and the memory stays as long as it is', (t) => {
  const memory = new LocalSharedMemory({ initial: 1, maximum: 8, shared: true, debug: false })
  memory.malloc(40)
  heapOf(memory).cache.pop = () => 0
  const ptr = memory.malloc(40)
  t.is(memory.sizeof(ptr), 40)
  t.is(memory.buffer.byteLength, PAGE)
})

test('free frees its block, and reports damage that it finds in others', (t) => {
  const memory = new LocalSharedMemory(1)
  const ptr = memory.malloc(40)
  heapOf(memory).makeRoomFor = () => Fault.Corrupted
  heapOf(memory).cache.push = () => false
  t.throws(() => memory.free(ptr), { code: 'ERR_HEAP_CORRUPTED' })
  t.is(memory.length, 0)
})
