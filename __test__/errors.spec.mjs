// Bad input gets an error with a code and changes nothing. Full heaps say so and recover. Bytes written over the heap's
// records are noticed.

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import LocalSharedMemory from '../index.js'
import { bytesOf, PAGE } from './fixtures/pages.mjs'
import { allBytes, intact, stamp } from './fixtures/pattern.mjs'
import { randomFrom } from './fixtures/random.mjs'
import { TYPED_ARRAYS } from './fixtures/typed-arrays.mjs'

const INVALID_TYPE = { instanceOf: TypeError, code: 'ERR_INVALID_ARG_TYPE' }
const OUT_OF_RANGE = { instanceOf: RangeError, code: 'ERR_OUT_OF_RANGE' }
const OUT_OF_MEMORY = { instanceOf: RangeError, code: 'ERR_OUT_OF_MEMORY' }
const INVALID_POINTER = { instanceOf: Error, code: 'ERR_INVALID_POINTER' }
const CORRUPTED = { instanceOf: Error, code: 'ERR_HEAP_CORRUPTED' }
const NOT_A_HEAP = { instanceOf: Error, code: 'ERR_NOT_A_HEAP' }

const NOT_NUMBERS = [
  null,
  '1',
  '',
  1n,
  Symbol('1'),
  {},
  [],
  [16],
  true,
  false,
  () => 1,
  new Date(16),
]
const WRAPPED = [Object(16), { valueOf: () => 16 }]
const NOT_INTEGERS = [NaN, 0.5, 16.5, -0.5, Number.MIN_VALUE, Infinity, -Infinity]
const TOO_SMALL = [-1, -16, -(2 ** 31), -(2 ** 32) + 16]
const TOO_LARGE = [2 ** 32, 2 ** 32 + 16, 2 ** 53, 2 ** 53 + 16, Number.MAX_VALUE]
const BAD_NUMBERS = [...NOT_INTEGERS, ...TOO_SMALL, ...TOO_LARGE]
const BAD_SIZES = [0, -0, ...BAD_NUMBERS]
const BAD_ALIGNMENTS = [0, -0, 3, 24, 65_535, 65_537, 131_072, 2 ** 31, ...BAD_NUMBERS]
const BAD_TYPES = [...NOT_NUMBERS, ...WRAPPED]

const ARRAYS = TYPED_ARRAYS.map(({ name }) => name)
const COPIES = {
  arrayBuffer: (memory, ptr, length) => memory.arrayBuffer(ptr, length),
  sharedArrayBuffer: (memory, ptr, length) => memory.sharedArrayBuffer(ptr, length),
  dataView: (memory, ptr, length) => memory.dataView(ptr, length),
  arrayView: (memory, ptr, length) => memory.arrayView(Uint8Array, ptr, length),
}
const ON_POINTERS = {
  free: (memory, ptr) => memory.free(ptr),
  sizeof: (memory, ptr) => memory.sizeof(ptr),
  lengthof: (memory, ptr) => memory.lengthof(ptr),
  realloc: (memory, ptr) => memory.realloc(ptr, 40),
}
const SIZES = [1, 8, 24, 100, 1000, 5000, 30_000, 41_000, 50_000, 300_000]

const blocksOf = (memory) =>
  memory.allocs().map((block) => [block.byteOffset, block.byteLength, block.bufferSize])

const figuresOf = (memory) => JSON.stringify([blocksOf(memory), memory.stats()])

/** Calls something that must throw and must not change a byte of the memory. */
const refuses = (t, memory, call, expectation, message) => {
  const [figures, bytes] = [figuresOf(memory), bytesOf(memory)]
  t.throws(call, expectation, message)
  t.true(bytesOf(memory) === bytes, message)
  t.is(figuresOf(memory), figures, message)
}

const refusesEach = (t, memory, values, expectation, call) => {
  for (const value of values) {
    const shown = typeof value === 'object' ? JSON.stringify(value) : String(value)
    refuses(t, memory, () => call(value), expectation, `${call}: ${shown}`)
  }
}

/** One page with some blocks, one of them freed. */
const used = () => {
  const memory = new LocalSharedMemory(1)
  const [ptr, freed] = [24, 24, 100, 5000].map((byteLength) => memory.malloc(byteLength))
  stamp(memory, ptr, 24, 1)
  memory.free(freed)
  return { memory, ptr }
}

test('malloc refuses bad sizes and alignments', (t) => {
  const { memory } = used()
  refusesEach(t, memory, [undefined, ...BAD_TYPES], INVALID_TYPE, (bad) => memory.malloc(bad))
  refusesEach(t, memory, BAD_SIZES, OUT_OF_RANGE, (bad) => memory.malloc(bad))
  refusesEach(t, memory, BAD_TYPES, INVALID_TYPE, (bad) => memory.malloc(8, bad))
  refusesEach(t, memory, BAD_ALIGNMENTS, OUT_OF_RANGE, (bad) => memory.malloc(8, bad))
  t.is(memory.malloc(8, undefined) % 16, 0)
})

test('calloc refuses bad counts, sizes, alignments and products', (t) => {
  const { memory } = used()
  refusesEach(t, memory, [undefined, ...BAD_TYPES], INVALID_TYPE, (bad) => memory.calloc(bad))
  refusesEach(t, memory, BAD_SIZES, OUT_OF_RANGE, (bad) => memory.calloc(bad))
  refusesEach(t, memory, BAD_TYPES, INVALID_TYPE, (bad) => memory.calloc(2, bad))
  refusesEach(t, memory, BAD_SIZES, OUT_OF_RANGE, (bad) => memory.calloc(2, bad))
  refusesEach(t, memory, BAD_TYPES, INVALID_TYPE, (bad) => memory.calloc(2, 8, bad))
  refusesEach(t, memory, BAD_ALIGNMENTS, OUT_OF_RANGE, (bad) => memory.calloc(2, 8, bad))
  for (const [count, byteLength] of [
    [2 ** 16, 2 ** 16],
    [2, 2 ** 31],
    [2 ** 31 + 8, 2],
    [2 ** 32 - 1, 2 ** 32 - 1],
    [3, 1_431_655_766],
  ]) {
    refuses(t, memory, () => memory.calloc(count, byteLength), OUT_OF_RANGE)
  }
})

test('realloc refuses bad pointers and sizes', (t) => {
  const { memory, ptr } = used()
  refusesEach(t, memory, [undefined, ...BAD_TYPES], INVALID_TYPE, (bad) => memory.realloc(bad, 8))
  refusesEach(t, memory, BAD_NUMBERS, OUT_OF_RANGE, (bad) => memory.realloc(bad, 8))
  for (const at of [0, ptr]) {
    refusesEach(t, memory, [undefined, ...BAD_TYPES], INVALID_TYPE, (bad) =>
      memory.realloc(at, bad),
    )
    refusesEach(t, memory, BAD_SIZES, OUT_OF_RANGE, (bad) => memory.realloc(at, bad))
  }
  t.true(intact(memory, ptr, 24, 1))
})

for (const method of ['free', 'sizeof', 'lengthof']) {
  test(`${method} refuses what is no pointer`, (t) => {
    const { memory } = used()
    refusesEach(t, memory, [undefined, ...BAD_TYPES], INVALID_TYPE, (bad) => memory[method](bad))
    refusesEach(t, memory, BAD_NUMBERS, OUT_OF_RANGE, (bad) => memory[method](bad))
  })
}

for (const method of ['sizeof', 'lengthof']) {
  test(`${method} refuses null`, (t) => {
    const { memory } = used()
    refusesEach(t, memory, [0, -0], INVALID_POINTER, (nothing) => memory[method](nothing))
  })
}

for (const [method, copy] of Object.entries(COPIES)) {
  test(`${method} refuses bad offsets and lengths, and needs a block for a length`, (t) => {
    const { memory, ptr } = used()
    const call = (bad) => copy(memory, bad, 4)
    refusesEach(t, memory, [undefined, ...BAD_TYPES], INVALID_TYPE, call)
    refusesEach(t, memory, [0, -0, PAGE - 3, PAGE, ...BAD_NUMBERS], OUT_OF_RANGE, call)
    refusesEach(t, memory, BAD_TYPES, INVALID_TYPE, (bad) => copy(memory, ptr, bad))
    refusesEach(t, memory, [...BAD_NUMBERS, PAGE], OUT_OF_RANGE, (bad) => copy(memory, ptr, bad))
    refusesEach(t, memory, [ptr + 1, ptr + 16, PAGE - 16], INVALID_POINTER, (bad) =>
      copy(memory, bad),
    )
  })
}

test('typed arrays refuse bad lengths, and say when the heap is full', (t) => {
  const { memory } = used()
  for (const name of ARRAYS) {
    const bad = [undefined, null, '1', 1n, Symbol('1'), true]
    refusesEach(t, memory, bad, INVALID_TYPE, (value) => memory[name](value))
    refusesEach(t, memory, BAD_SIZES, OUT_OF_RANGE, (value) => memory[name](value))
    refusesEach(t, memory, [[], new Set()], OUT_OF_RANGE, (value) => memory[name](value))
    t.throws(() => memory[name](PAGE), OUT_OF_MEMORY)
  }
})

test('accessors refuse offsets outside the memory', (t) => {
  const { memory } = used()
  const types = { Int8: 1, Uint8: 1, Int16: 2, Uint16: 2, Int32: 4, Uint32: 4, Float32: 4 }
  const all = { ...types, Float64: 8, BigInt64: 8, BigUint64: 8 }
  for (const [type, bytes] of Object.entries(all)) {
    const outside = [0, -0, PAGE - bytes + 1, PAGE, 2 ** 32 - 1, ...BAD_NUMBERS]
    for (const method of [`get${type}`, `set${type}`]) {
      const call = (bad) => memory[method](bad)
      refusesEach(t, memory, [undefined, ...BAD_TYPES], INVALID_TYPE, call)
      refusesEach(t, memory, outside, OUT_OF_RANGE, call)
    }
  }
})

test('memcpy, memset and Atomics refuse what lies outside the memory', (t) => {
  const { memory, ptr } = used()
  const outside = [0, -0, PAGE - 7, PAGE, 2 ** 32 - 1, ...BAD_NUMBERS]
  for (const call of [
    (bad) => memory.memcpy(bad, ptr, 8),
    (bad) => memory.memcpy(ptr, bad, 8),
    (bad) => memory.memset(bad, 1, 8),
    (bad) => memory.memset(bad, new Uint8Array(8)),
  ]) {
    refusesEach(t, memory, [undefined, ...BAD_TYPES], INVALID_TYPE, call)
    refusesEach(t, memory, outside, OUT_OF_RANGE, call)
  }
  const operations = ['add', 'sub', 'and', 'or', 'xor', 'exchange', 'store', 'load']
  for (const name of operations) {
    const call = (bad) => memory[name](Int32Array, bad, 1)
    refusesEach(t, memory, [undefined, ...BAD_TYPES], INVALID_TYPE, call)
    refusesEach(t, memory, [PAGE / 4, ...BAD_NUMBERS], OUT_OF_RANGE, call)
  }
})

test('bad input leaves a memory untouched that nobody used yet', (t) => {
  for (const memory of [
    new LocalSharedMemory(1),
    new LocalSharedMemory({ initial: 0, maximum: 1, shared: true }),
    new LocalSharedMemory({ initial: 1, shared: false }),
  ]) {
    for (const call of Object.values(ON_POINTERS)) {
      for (const ptr of [1, 16, 64, 4096, PAGE, 2 ** 32 - 1]) {
        refuses(t, memory, () => call(memory, ptr), INVALID_POINTER)
      }
    }
    refuses(t, memory, () => memory.malloc(0), OUT_OF_RANGE)
    t.true(allBytes(memory, 0, memory.buffer.byteLength, 0))
    t.is(memory.sizeof(memory.malloc(40)), 40)
  }
})

for (const [method, call] of Object.entries(ON_POINTERS)) {
  test(`${method} refuses pointers inside blocks`, (t) => {
    for (const alignBytes of [16, 64, 4096, PAGE]) {
      for (const byteLength of SIZES) {
        const memory = new LocalSharedMemory(16)
        const ptr = memory.malloc(byteLength, alignBytes)
        const steps = [1, 2, 4, 8, 16, 24, 32, 48, 64, 256, 1024, 4096, 8192, 32_768, PAGE]
        const inside = [...steps, byteLength - 1].filter((step) => step > 0 && step < byteLength)
        for (const step of inside) {
          t.throws(() => call(memory, ptr + step), INVALID_POINTER, `${byteLength} + ${step}`)
        }
        t.throws(() => call(memory, ptr - 8), INVALID_POINTER)
        t.is(memory.sizeof(ptr), byteLength)
        memory.free(ptr)
      }
    }
  })

  test(`${method} is not taken in by bytes that look like a header`, (t) => {
    const random = randomFrom(11)
    for (const byteLength of [24, 100, 1000, 5000, 30_000, 60_000]) {
      const memory = new LocalSharedMemory(4)
      const others = [8, 24, 100, 1000, 5000].map((size) => memory.malloc(size))
      const headers = others.map((other) => [memory.sizeof(other), memory.lengthof(other)])
      const ptr = memory.malloc(byteLength)
      for (const [size, whole] of [...headers, [byteLength, memory.lengthof(ptr)]]) {
        for (const step of [8, 16, 16 * (1 + random(Math.ceil(byteLength / 32)))]) {
          if (step + 8 > byteLength) continue
          memory.setUint32(ptr + step - 8, size)
          memory.setUint32(ptr + step - 4, whole)
          t.throws(() => call(memory, ptr + step), INVALID_POINTER, `${byteLength} + ${step}`)
        }
      }
      t.is(memory.sizeof(ptr), byteLength)
      for (const block of [ptr, ...others]) memory.free(block)
      t.is(memory.length, 0)
    }
  })

  test(`${method} refuses what was freed before`, (t) => {
    for (const byteLength of SIZES) {
      const memory = new LocalSharedMemory(16)
      const [before, ptr, after] = Array.from({ length: 3 }, () => memory.malloc(byteLength))
      memory.free(ptr)
      refuses(t, memory, () => call(memory, ptr), INVALID_POINTER, `${byteLength}`)
      refuses(t, memory, () => call(memory, ptr), INVALID_POINTER, `${byteLength}`)
      memory.free(after)
      memory.free(before)
      for (const gone of [before, ptr, after]) {
        refuses(t, memory, () => call(memory, gone), INVALID_POINTER, `${byteLength}`)
      }
      t.is(memory.length, 0)
    }
  })

  test(`${method} refuses what was never allocated`, (t) => {
    const memory = new LocalSharedMemory(4)
    const mine = new Set([24, 100, 5000, 50_000].map((byteLength) => memory.malloc(byteLength)))
    const random = randomFrom(5)
    const anywhere = Array.from({ length: 300 }, () => random(4 * PAGE))
    const edges = [1, 8, 15, 16, 24, 4 * PAGE - 16, 4 * PAGE - 1]
    const outside = [4 * PAGE, 4 * PAGE + 16, 2 ** 31, 2 ** 31 + 16, 2 ** 32 - 16, 2 ** 32 - 1]
    for (const ptr of [...anywhere, ...edges, ...outside]) {
      if (ptr === 0 || mine.has(ptr)) continue
      refuses(t, memory, () => call(memory, ptr), INVALID_POINTER, `${ptr}`)
    }
  })

  test(`${method} refuses the old pointer of a block that realloc moved`, (t) => {
    for (const byteLength of [24, 1000, 50_000]) {
      const memory = new LocalSharedMemory(16)
      const ptr = memory.malloc(byteLength)
      const fence = memory.malloc(byteLength)
      const moved = memory.realloc(ptr, 200_000)
      t.not(moved, ptr)
      t.throws(() => call(memory, ptr), INVALID_POINTER)
      t.is(memory.sizeof(moved), 200_000)
      memory.free(moved)
      memory.free(fence)
    }
  })
}

test('what is written to a block after it was freed breaks nothing', (t) => {
  for (const byteLength of SIZES) {
    // In debug mode it is reported: debug.spec.mjs.
    const memory = new LocalSharedMemory({ initial: 32, maximum: 32, shared: true, debug: false })
    const ptrs = Array.from({ length: 6 }, () => memory.malloc(byteLength))
    for (const ptr of ptrs) {
      memory.free(ptr)
      memory.memset(ptr, 0xa5, byteLength)
    }
    t.deepEqual(memory.allocs(), [])
    const again = Array.from({ length: 6 }, () => memory.malloc(byteLength))
    t.is(new Set(again).size, 6)
    for (const ptr of again) memory.free(ptr)
    t.is(memory.length, 0)
  }
})

// Header values that no block of this memory can have.
const RUBBISH = [
  ['bufferSize zero', (memory, ptr) => memory.setUint32(ptr - 4, 0)],
  [
    'bufferSize one more',
    (memory, ptr) => memory.setUint32(ptr - 4, memory.getUint32(ptr - 4) + 1),
  ],
  ['bufferSize twice', (memory, ptr) => memory.setUint32(ptr - 4, memory.getUint32(ptr - 4) * 2)],
  ['bufferSize all ones', (memory, ptr) => memory.setUint32(ptr - 4, 2 ** 32 - 1)],
  ['both text', (memory, ptr) => memory.memset(ptr - 8, Buffer.from('overflow'))],
  ['both all ones', (memory, ptr) => memory.memset(ptr - 8, 0xff, 8)],
  ['both zero', (memory, ptr) => memory.memset(ptr - 8, 0, 8)],
  ['byteLength too large', (memory, ptr) => memory.setUint32(ptr - 8, memory.lengthof(ptr) - 7)],
  ['byteLength zero', (memory, ptr) => memory.setUint32(ptr - 8, 0)],
  ['byteLength all ones', (memory, ptr) => memory.setUint32(ptr - 8, 2 ** 32 - 1)],
]

for (const [title, spoil] of RUBBISH) {
  test(`a header that was written over is noticed: ${title}`, (t) => {
    for (const byteLength of SIZES) {
      const memory = new LocalSharedMemory(16)
      const ptrs = [1, 2, 3].map(() => memory.malloc(byteLength))
      for (const ptr of ptrs) {
        const header = memory.getBigUint64(ptr - 8)
        spoil(memory, ptr)
        t.throws(() => memory.free(ptr), CORRUPTED, `${byteLength}`)
        t.throws(() => memory.realloc(ptr, byteLength + 1), CORRUPTED, `${byteLength}`)
        t.throws(() => memory.realloc(ptr, 400_000), CORRUPTED, `${byteLength}`)
        memory.setBigUint64(ptr - 8, header)
        t.is(memory.sizeof(ptr), byteLength)
      }
      for (const ptr of ptrs) memory.free(ptr)
      t.is(memory.length, 0)
    }
  })
}

test('a large block never takes its neighbour along, whatever its records say', (t) => {
  const memory = new LocalSharedMemory({ initial: 8, maximum: 8, debug: false })
  const [first, second] = [1, 2].map(() => memory.malloc(50_000)).toSorted((a, b) => a - b)
  const apart = second - first
  const records = (Math.min(first, second) - 8) / 4
  const words = new Uint32Array(memory.buffer)
  words[first / 4 - 1] += apart
  let refused = 0
  for (let word = 4; word < records; word++) {
    if (words[word] === 0) continue
    const kept = words[word]
    // The length of both in any unit, in any bits of a word.
    for (let unit = 2 ** 16; unit > 2 ** -16; unit /= 2) {
      words[word] = kept + apart / unit
      for (const call of ['free', 'sizeof', 'lengthof']) t.throws(() => memory[call](first))
      t.throws(() => memory.realloc(first, 300_000))
      refused++
    }
    words[word] = kept
  }
  words[first / 4 - 1] -= apart
  t.true(refused > 100)
  for (const ptr of [first, second]) t.is(memory.sizeof(ptr), 50_000)
  for (const ptr of [first, second]) memory.free(ptr)
  t.is(memory.length, 0)
  t.deepEqual(memory.check(), [])
})

test("a header that became another block's is noticed", (t) => {
  const memory = new LocalSharedMemory(8)
  const ptrs = [8, 24, 100, 1000, 5000, 50_000, 90_000].map((size) => memory.malloc(size))
  for (const ptr of ptrs) {
    const header = memory.getBigUint64(ptr - 8)
    for (const other of ptrs) {
      if (other === ptr) continue
      memory.setBigUint64(ptr - 8, memory.getBigUint64(other - 8))
      t.throws(() => memory.free(ptr), CORRUPTED)
      t.throws(() => memory.realloc(ptr, 70_000), CORRUPTED)
      memory.setBigUint64(ptr - 8, header)
    }
  }
  for (const ptr of ptrs) memory.free(ptr)
  t.is(memory.length, 0)
})

test('a write past the end of a block is noticed when it is freed, and when the next one is', (t) => {
  for (const byteLength of [8, 24, 100, 1000, 5000, 50_000]) {
    const memory = new LocalSharedMemory(16)
    for (let made = 0; made < 8; made++) memory.malloc(byteLength)
    const blocks = memory.allocs()
    let neighbours = 0
    for (const [index, { byteOffset, bufferSize }] of blocks.slice(0, -1).entries()) {
      const next = blocks[index + 1].byteOffset
      // A large block's header lies a grain behind what is before it.
      if (next - byteOffset - bufferSize > 16) continue
      neighbours++
      const kept = Buffer.from(memory.arrayBuffer(byteOffset, next - byteOffset))
      memory.memset(byteOffset, 0x41, next - byteOffset)
      t.throws(() => memory.free(byteOffset), CORRUPTED, `${byteLength}`)
      t.throws(() => memory.realloc(byteOffset, 70_000), CORRUPTED, `${byteLength}`)
      t.throws(() => memory.free(next), CORRUPTED, `${byteLength}`)
      t.throws(() => memory.realloc(next, 70_000), CORRUPTED, `${byteLength}`)
      memory.memset(byteOffset, kept)
    }
    t.true(neighbours > 0, `${byteLength}`)
    for (const { byteOffset } of blocks) memory.free(byteOffset)
    t.is(memory.length, 0)
  }
})

test('records that were written over are noticed', (t) => {
  for (const byte of [0xff, 0x41, 1]) {
    const memory = new LocalSharedMemory(4)
    const ptrs = [24, 1000, 50_000].map((byteLength) => memory.malloc(byteLength))
    memory.fill(Uint8Array, byte)
    for (const ptr of ptrs) {
      t.throws(() => memory.free(ptr), CORRUPTED)
      t.throws(() => memory.realloc(ptr, 70_000), CORRUPTED)
    }
    t.throws(() => memory.allocs(), CORRUPTED)
    t.throws(() => memory.stats(), CORRUPTED)
    t.throws(() => memory.length, CORRUPTED)
    t.throws(() => memory.malloc(100_000), CORRUPTED)
  }
})

/** Runs a fixture in a process of its own, so that a crash or a hang there is a failure here. */
const runAlone = (fixture) => {
  const path = fileURLToPath(new URL(`fixtures/${fixture}`, import.meta.url))
  return spawnSync(process.execPath, [path], { encoding: 'utf8', timeout: 60_000 })
}

test('whatever is written over the heap, no call crashes or hangs', (t) => {
  const { status, signal, stderr, stdout } = runAlone('corruption.mjs')
  t.deepEqual({ status, signal, stderr }, { status: 0, signal: null, stderr: '' })
  const { calls, noticed } = JSON.parse(stdout)
  t.true(calls > 10_000)
  t.true(noticed > 100)
})

test('requests at the limits are refused without a panic', (t) => {
  const { status, signal, stderr } = runAlone('limits.mjs')
  t.deepEqual({ status, signal, stderr }, { status: 0, signal: null, stderr: '' })
})

const FULL = {
  'one page': () => new LocalSharedMemory(1),
  '16 pages': () => new LocalSharedMemory(16),
  'no page at first': () => new LocalSharedMemory({ initial: 0, maximum: 4, shared: true }),
  growing: () => new LocalSharedMemory(1, 20),
  'not shared': () => new LocalSharedMemory({ initial: 1, maximum: 4, shared: false }),
  heapBase: () => new LocalSharedMemory({ initial: 2, maximum: 6, shared: true, heapBase: 70_000 }),
}

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

for (const [title, make] of Object.entries(FULL)) {
  test(`a full heap says so, keeps its blocks and recovers: ${title}`, (t) => {
    const memory = make()
    const random = randomFrom(9)
    for (const byteLength of [1, 24, 100, 1000, 5000, 20_000]) {
      const ptrs = fill(t, memory, byteLength)
      const blocks = blocksOf(memory)
      t.is(blocks.length, ptrs.length)
      t.true(ptrs.length > 0)
      for (const call of [
        () => memory.malloc(byteLength),
        () => memory.calloc(1, byteLength),
        () => memory.realloc(0, byteLength),
        () => memory.Uint8Array(byteLength),
        () => memory.realloc(ptrs[0], 2 ** 31),
        () => memory.malloc(2 ** 32 - 1),
      ]) {
        t.throws(call, OUT_OF_MEMORY)
      }
      t.deepEqual(blocksOf(memory), blocks)
      t.true(ptrs.every((ptr) => intact(memory, ptr, byteLength, ptr)))
      // One block freed is one block that can be had again.
      memory.free(ptrs.pop())
      ptrs.push(memory.malloc(byteLength))
      while (ptrs.length > 0) memory.free(ptrs.splice(random(ptrs.length), 1)[0])
      t.is(memory.length, 0)
    }
    // After all that the heap serves as many blocks as at first.
    const fresh = fill(t, make(), 100).length
    t.true(fill(t, memory, 100).length >= fresh * 0.97)
  })
}

test('in a full heap the space of a freed block serves smaller requests', (t) => {
  for (const larger of [100, 1000, 5000, 50_000]) {
    const memory = new LocalSharedMemory(4)
    const ptrs = fill(t, memory, larger)
    const smaller = Math.floor(larger / 2)
    // Until no space is left but that of the larger blocks.
    for (const byteLength of [smaller, Math.floor(smaller / 4), 8]) fill(t, memory, byteLength)
    t.throws(() => memory.malloc(8), OUT_OF_MEMORY)
    memory.free(ptrs[1])
    const ptr = memory.malloc(smaller)
    stamp(memory, ptr, smaller, 5)
    const others = ptrs.filter((other) => other !== ptrs[1])
    t.true(others.every((other) => intact(memory, other, larger, other)))
    t.true(intact(memory, ptr, smaller, 5))
  }
})

test('most of a memory can be used', (t) => {
  for (const [pages, byteLength, share] of [
    [1, 8, 0.9],
    [1, 56, 0.9],
    [16, 56, 0.95],
    [16, 1000, 0.9],
    [200, 1000, 0.95],
    [200, 5000, 0.95],
  ]) {
    const memory = new LocalSharedMemory(pages)
    fill(t, memory, byteLength)
    t.true(memory.length / memory.buffer.byteLength >= share, `${pages} pages, ${byteLength} bytes`)
  }
})

test('a request that cannot be met does not grow the memory', (t) => {
  const memory = new LocalSharedMemory(1, 8)
  memory.malloc(100)
  const { byteLength } = memory.buffer
  for (const impossible of [8 * PAGE, 2 ** 31, 2 ** 32 - 1]) {
    t.throws(() => memory.malloc(impossible), OUT_OF_MEMORY)
  }
  t.is(memory.buffer.byteLength, byteLength)
  t.is(memory.sizeof(memory.malloc(4 * PAGE)), 4 * PAGE)
})

for (const shared of [true, false]) {
  test(`from refuses a memory that holds something else, shared: ${shared}`, (t) => {
    for (const offset of [0, 16, 64, 1000, PAGE - 1]) {
      const plain = new WebAssembly.Memory({ initial: 2, maximum: 4, shared })
      const bytes = new Uint8Array(plain.buffer)
      bytes[offset] = 1
      t.throws(() => LocalSharedMemory.from(plain), NOT_A_HEAP, `byte ${offset}`)
      t.is(Object.getPrototypeOf(plain), WebAssembly.Memory.prototype)
      t.false(plain instanceof LocalSharedMemory)
      t.is(bytes.indexOf(1), offset)
      t.is(bytes.lastIndexOf(1), offset)
      t.is(plain.grow(1), 2)
      // With a heapBase beyond the data it can still become one.
      const memory = LocalSharedMemory.from(plain, { heapBase: PAGE })
      t.is(memory, plain)
      t.true(memory.malloc(100) >= PAGE)
      t.is(new Uint8Array(memory.buffer)[offset], 1)
    }
  })
}

test('from refuses what is no memory', (t) => {
  for (const bad of [undefined, ...BAD_TYPES, 1, Object.create(LocalSharedMemory.prototype)]) {
    if (bad instanceof LocalSharedMemory) continue
    t.throws(() => LocalSharedMemory.from(bad), INVALID_TYPE)
  }
})

test('heapBase must be a byte offset in the memory', (t) => {
  const plain = new WebAssembly.Memory({ initial: 1, maximum: 2, shared: true })
  const ways = [
    (heapBase) => new LocalSharedMemory({ initial: 1, maximum: 2, shared: true, heapBase }),
    (heapBase) => new LocalSharedMemory({ initial: 1, shared: false, heapBase }),
    (heapBase) => LocalSharedMemory.from(plain, { heapBase }),
  ]
  for (const make of ways) {
    for (const bad of BAD_TYPES) t.throws(() => make(bad), INVALID_TYPE)
    for (const bad of [PAGE + 1, 2 * PAGE, ...BAD_NUMBERS]) t.throws(() => make(bad), OUT_OF_RANGE)
  }
  t.is(Object.getPrototypeOf(plain), WebAssembly.Memory.prototype)
  t.true(new Uint8Array(plain.buffer).every((byte) => byte === 0))
})
