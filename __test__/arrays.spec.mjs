// Copies, views, allocated arrays, memcpy and memset, and the typed array's own methods over the whole memory.

import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import test from 'ava'
import LocalSharedMemory from '../index.js'
import { bytesOf, PAGE } from './fixtures/pages.mjs'
import { TYPED_ARRAYS } from './fixtures/typed-arrays.mjs'

const INVALID_TYPE = { instanceOf: TypeError, code: 'ERR_INVALID_ARG_TYPE' }
const OUT_OF_RANGE = { instanceOf: RangeError, code: 'ERR_OUT_OF_RANGE' }
const NOT_OFFSETS = [undefined, null, '64', 64n, {}, Symbol('64')]
const OUTSIDE = [0, -0, -1, 1.5, NaN, Infinity, 2 ** 32, 2 ** 32 + 64]

const isBig = (TypedArray) => TypedArray.name.startsWith('Big')
const valueFor = (TypedArray, value) => (isBig(TypedArray) ? BigInt(value) : value)
const small = (shared = true) => new LocalSharedMemory({ initial: 2, maximum: 16, shared })

/** A memory whose bytes count up from the 64th on, and a copy of all its bytes. */
const counting = (shared = true) => {
  const memory = small(shared)
  const bytes = new Uint8Array(memory.buffer)
  for (let i = 64; i < bytes.length; i++) bytes[i] = i * 7
  return { memory, model: new Uint8Array(bytes) }
}

for (const shared of [true, false]) {
  const title = shared ? 'shared' : 'not shared'
  const Own = shared ? SharedArrayBuffer : ArrayBuffer

  test(`${title}: arrayBuffer and sharedArrayBuffer copy bytes out`, (t) => {
    const { memory, model } = counting(shared)
    for (const [method, Kind] of [
      ['arrayBuffer', ArrayBuffer],
      ['sharedArrayBuffer', SharedArrayBuffer],
    ]) {
      const copy = memory[method](101, 33)
      t.true(copy instanceof Kind)
      t.is(copy.byteLength, 33)
      t.deepEqual([...new Uint8Array(copy)], [...model.subarray(101, 134)])
      new Uint8Array(copy).fill(0)
      t.is(memory.getUint8(101), model[101])
      memory.setUint8(102, 9)
      t.is(new Uint8Array(copy)[1], 0)
      memory.setUint8(102, model[102])
      t.is(memory[method](101, 0).byteLength, 0)
      t.is(memory[method](1, 2 * PAGE - 1).byteLength, 2 * PAGE - 1)
    }
  })

  test(`${title}: dataView and arrayView are live`, (t) => {
    const memory = small(shared)
    const data = memory.dataView(101, 9)
    t.true(data.buffer instanceof Own)
    t.deepEqual([data.byteOffset, data.byteLength], [101, 9])
    data.setInt32(1, 77, true)
    t.is(memory.getInt32(102), 77)
    for (const TypedArray of TYPED_ARRAYS) {
      const array = memory.arrayView(TypedArray, 128, 4)
      t.is(Object.getPrototypeOf(array), TypedArray.prototype)
      t.is(array.buffer, memory.buffer)
      t.deepEqual([array.byteOffset, array.length], [128, 4])
      array[3] = valueFor(TypedArray, 5)
      t.is(memory.at(TypedArray, 128 / TypedArray.BYTES_PER_ELEMENT + 3), valueFor(TypedArray, 5))
      t.is(memory.arrayView(TypedArray, 128, 0).length, 0)
    }
  })

  test(`${title}: the length defaults to that of the block`, (t) => {
    const memory = small(shared)
    const ptr = memory.malloc(27)
    t.is(memory.arrayBuffer(ptr).byteLength, 27)
    t.is(memory.sharedArrayBuffer(ptr).byteLength, 27)
    t.is(memory.dataView(ptr).byteLength, 27)
    for (const TypedArray of TYPED_ARRAYS) {
      const length = Math.floor(27 / TypedArray.BYTES_PER_ELEMENT)
      t.is(memory.arrayView(TypedArray, ptr).length, length)
    }
    for (const method of ['arrayBuffer', 'sharedArrayBuffer', 'dataView']) {
      t.throws(() => memory[method](ptr + 1), { code: 'ERR_INVALID_POINTER' })
    }
    t.throws(() => memory.arrayView(Int8Array, ptr + 1), { code: 'ERR_INVALID_POINTER' })
  })

  test(`${title}: bad ranges are refused`, (t) => {
    const memory = small(shared)
    const calls = [
      (...range) => memory.arrayBuffer(...range),
      (...range) => memory.sharedArrayBuffer(...range),
      (...range) => memory.dataView(...range),
      (...range) => memory.arrayView(Uint8Array, ...range),
    ]
    for (const call of calls) {
      for (const offset of NOT_OFFSETS) {
        t.throws(() => call(offset, 4), INVALID_TYPE)
        t.throws(() => call(offset), INVALID_TYPE)
      }
      for (const offset of [...OUTSIDE, 2 * PAGE - 3, 2 * PAGE]) {
        t.throws(() => call(offset, 4), OUT_OF_RANGE, String(offset))
      }
      for (const offset of OUTSIDE) t.throws(() => call(offset), OUT_OF_RANGE, String(offset))
      for (const length of [null, '4', 4n, {}]) t.throws(() => call(64, length), INVALID_TYPE)
      for (const length of [-1, 1.5, NaN, Infinity, 2 * PAGE - 63, 2 ** 32]) {
        t.throws(() => call(64, length), OUT_OF_RANGE, String(length))
      }
    }
  })

  test(`${title}: arrayView wants alignment and a typed array constructor`, (t) => {
    const memory = small(shared)
    for (const TypedArray of TYPED_ARRAYS) {
      const { BYTES_PER_ELEMENT } = TypedArray
      if (BYTES_PER_ELEMENT === 1) t.is(memory.arrayView(TypedArray, 65, 1).byteOffset, 65)
      else t.throws(() => memory.arrayView(TypedArray, 64 + BYTES_PER_ELEMENT / 2, 1), OUT_OF_RANGE)
      t.throws(() => memory.arrayView(TypedArray, 64, PAGE * 2), OUT_OF_RANGE)
    }
    const others = [undefined, null, 'Uint8Array', {}, DataView, Array, new Uint8Array(4), () => 1]
    for (const other of [...others, Object.getPrototypeOf(Uint8Array)]) {
      t.throws(() => memory.arrayView(other, 64, 1), INVALID_TYPE)
    }
  })

  for (const TypedArray of TYPED_ARRAYS) {
    const { name, BYTES_PER_ELEMENT } = TypedArray
    const values = [1, 2, 100].map((value) => valueFor(TypedArray, value))

    test(`${title}: ${name} allocates`, (t) => {
      const memory = small(shared)
      const array = memory[name](5)
      t.is(Object.getPrototypeOf(array), TypedArray.prototype)
      t.is(array.length, 5)
      t.is(memory.sizeof(array.byteOffset), 5 * BYTES_PER_ELEMENT)
      const sources = [values, new Set(values), TypedArray.from(values), { ...values, length: 3 }]
      for (const source of [...sources, values.values()]) {
        const copy = memory[name](source)
        t.deepEqual([...copy], values)
        t.is(copy.buffer, memory.buffer)
        t.is(memory.sizeof(copy.byteOffset), 3 * BYTES_PER_ELEMENT)
        memory.free(copy.byteOffset)
      }
      t.deepEqual([...memory[name](memory[name](values))], values)
    })

    test(`${title}: ${name} refuses what it cannot hold, and leaves no block`, (t) => {
      const memory = small(shared)
      const live = memory.length
      const failing = {
        *[Symbol.iterator]() {
          yield values[0]
          throw new Error('mine')
        },
      }
      const wrong = isBig(TypedArray) ? [1] : [1n]
      const mixed = isBig(TypedArray) ? new Int8Array(2) : new BigInt64Array(2)
      for (const source of [undefined, null, '3', 3n, true, Symbol('3'), wrong, mixed, failing]) {
        t.throws(() => memory[name](source), INVALID_TYPE)
      }
      const lengths = [0, -1, 1.5, NaN, Infinity, 2 ** 32 / BYTES_PER_ELEMENT, 2 ** 53]
      for (const source of [...lengths, [], new Set(), new TypedArray(0), { length: -1 }]) {
        t.throws(() => memory[name](source), OUT_OF_RANGE)
      }
      // Nothing is read of a source that is too long, and no room for a copy is asked for.
      const tooLong = {
        length: 2 ** 32 / BYTES_PER_ELEMENT,
        get 0() {
          throw new Error('mine')
        },
      }
      t.throws(() => memory[name](tooLong), OUT_OF_RANGE)
      t.throws(() => memory[name](20 * PAGE), { code: 'ERR_OUT_OF_MEMORY' })
      t.is(memory.length, live)
    })
  }

  test(`${title}: memcpy copies, overlapping ranges too`, (t) => {
    const { memory, model } = counting(shared)
    for (const [dst, src, byteLength] of [
      [1000, 2000, 100],
      [1001, 1000, 99],
      [1000, 1001, 99],
      [1500, 1500, 10],
      [1, 70, 5],
      [2 * PAGE - 1, 64, 1],
      [64, 128, 0],
    ]) {
      t.is(memory.memcpy(dst, src, byteLength), dst)
      model.copyWithin(dst, src, src + byteLength)
      t.is(bytesOf(memory), Buffer.from(model).toString('latin1'))
    }
  })

  test(`${title}: memset fills with a byte`, (t) => {
    const { memory, model } = counting(shared)
    for (const [dst, byte, byteLength] of [
      [1000, 0, 100],
      [1001, 255, 1],
      [1002, 0x1ab, 7],
      [1, -1, 2],
      [2 * PAGE - 4, 9, 4],
      [64, 1, 0],
      // What is long is filled by words.
      [1003, 0x1ab, 1000],
      [2048, -2, 256],
      [1029, 0, 259],
      [1, -(2 ** 31) + 200, 2 * PAGE - 1],
    ]) {
      t.is(memory.memset(dst, byte, byteLength), dst)
      model.fill(byte & 255, dst, dst + byteLength)
      t.is(bytesOf(memory), Buffer.from(model).toString('latin1'))
    }
  })

  test(`${title}: memset copies a buffer in`, (t) => {
    const { memory, model } = counting(shared)
    const foreign = Uint8Array.from({ length: 64 }, (_, i) => 200 - i)
    const sharedForeign = new Uint8Array(new SharedArrayBuffer(64))
    sharedForeign.set(foreign)
    const sources = [
      [foreign.buffer, 0],
      [sharedForeign.buffer, 0],
      [foreign.subarray(8, 40), 8],
      [new Uint16Array(foreign.buffer, 8, 8), 8],
      [new BigInt64Array(foreign.buffer, 8, 2), 8],
      [new DataView(foreign.buffer, 3, 20), 3],
      [Buffer.from(foreign.buffer, 5, 21), 5],
    ]
    for (const [source, start] of sources) {
      for (const [dst, ...range] of [
        [1000],
        [1001, 3],
        [1, 2, 5],
        [2 * PAGE - 1, 4, 1],
        [64, 4, 0],
      ]) {
        t.is(memory.memset(dst, source, ...range), dst)
        const [srcOffset = 0, byteLength = source.byteLength - srcOffset] = range
        model.set(foreign.subarray(start + srcOffset, start + srcOffset + byteLength), dst)
        t.is(bytesOf(memory), Buffer.from(model).toString('latin1'))
      }
      t.throws(() => memory.memset(64, source, source.byteLength + 1), OUT_OF_RANGE)
      t.throws(() => memory.memset(64, source, 1, source.byteLength), OUT_OF_RANGE)
    }
    memory.memset(1004, memory.buffer, 1000, 64)
    model.copyWithin(1004, 1000, 1064)
    t.is(bytesOf(memory), Buffer.from(model).toString('latin1'))
  })

  test(`${title}: memcpy and memset refuse bad arguments and change nothing`, (t) => {
    const { memory } = counting(shared)
    const before = bytesOf(memory)
    const source = new Uint8Array(8).fill(255)
    for (const bad of NOT_OFFSETS) {
      t.throws(() => memory.memcpy(bad, 64, 8), INVALID_TYPE)
      t.throws(() => memory.memcpy(64, bad, 8), INVALID_TYPE)
      t.throws(() => memory.memcpy(64, 128, bad), INVALID_TYPE)
      t.throws(() => memory.memset(bad, 1, 8), INVALID_TYPE)
      t.throws(() => memory.memset(64, bad, 8), INVALID_TYPE)
      t.throws(() => memory.memset(64, 1, bad), INVALID_TYPE)
      t.throws(() => memory.memset(bad, source), INVALID_TYPE)
      if (bad !== undefined) {
        t.throws(() => memory.memset(64, source, bad), INVALID_TYPE)
        t.throws(() => memory.memset(64, source, 0, bad), INVALID_TYPE)
      }
    }
    for (const bad of [...OUTSIDE, 2 * PAGE - 7]) {
      t.throws(() => memory.memcpy(bad, 64, 8), OUT_OF_RANGE)
      t.throws(() => memory.memcpy(64, bad, 8), OUT_OF_RANGE)
      t.throws(() => memory.memset(bad, 1, 8), OUT_OF_RANGE)
      t.throws(() => memory.memset(bad, source), OUT_OF_RANGE)
    }
    for (const bad of [-1, 1.5, NaN, Infinity, 2 * PAGE, 2 ** 32]) {
      t.throws(() => memory.memcpy(64, 128, bad), OUT_OF_RANGE)
      t.throws(() => memory.memset(64, 1, bad), OUT_OF_RANGE)
      t.throws(() => memory.memset(64, source, bad), OUT_OF_RANGE)
      t.throws(() => memory.memset(64, source, 0, bad), OUT_OF_RANGE)
    }
    for (const byte of [1.5, NaN, Infinity, 2 ** 32]) {
      t.throws(() => memory.memset(64, byte, 8), OUT_OF_RANGE)
    }
    const detached = new ArrayBuffer(8)
    const view = new Uint8Array(detached)
    const data = new DataView(detached)
    structuredClone(detached, { transfer: [detached] })
    for (const bad of [detached, view, data]) t.throws(() => memory.memset(64, bad, 0, 8))
    t.is(bytesOf(memory), before)
  })

  for (const TypedArray of TYPED_ARRAYS) {
    const { name, BYTES_PER_ELEMENT } = TypedArray

    test(`${title}: ${name}: at, fill, copyWithin, subarray and set are the array's own`, (t) => {
      const { memory, model } = counting(shared)
      const array = new TypedArray(model.buffer)
      const same = () => t.is(bytesOf(memory), Buffer.from(model).toString('latin1'))
      const [one, two] = [valueFor(TypedArray, 1), valueFor(TypedArray, 2)]
      for (const index of [
        0,
        1,
        99,
        -1,
        -99,
        array.length,
        -array.length - 1,
        2.7,
        '99',
        undefined,
      ]) {
        t.is(memory.at(TypedArray, index), array.at(index), String(index))
      }
      // Many elements are filled by words.
      const many = [1, 2, 3, 5, 8].map((start) => [start, start + 2050])
      const few = [[90, 99], [-5], [-9, -7], [99, 90], ['3', 5.9], [undefined, 2]]
      for (const range of [...many, [0, 1e9], [-5, 5000], [1.5, 5000], ...few]) {
        t.is(memory.fill(TypedArray, two, ...range), memory)
        array.fill(two, ...range)
        same()
      }
      for (const range of [
        [90, 99, 200],
        [91, 90, 99],
        [-5, 0, 3],
        [7, -6],
        [1, 0],
      ]) {
        t.is(memory.copyWithin(TypedArray, ...range), memory)
        array.copyWithin(...range)
        same()
      }
      for (const range of [[90, 99], [-5], [-9, -7], [99, 90], [array.length - 2], [0, 3]]) {
        const [actual, expected] = [memory.subarray(TypedArray, ...range), array.subarray(...range)]
        t.is(Object.getPrototypeOf(actual), TypedArray.prototype)
        t.is(actual.buffer, memory.buffer)
        t.deepEqual([...actual], [...expected])
        t.is(actual.byteOffset, expected.byteOffset)
      }
      for (const range of [
        [[one, two], 90],
        [[two]],
        [TypedArray.of(one, two), array.length - 2],
        [{ length: '2', 0: one, 1: two }, 90],
        ['12', 90],
        [{ length: -1 }, 90],
        [isBig(TypedArray) ? 5n : 5, 90],
        [[], array.length],
      ]) {
        t.is(memory.set(TypedArray, ...range), undefined)
        array.set(...range)
        same()
      }
      t.is(memory.fill(TypedArray, one), memory)
      array.fill(one)
      same()
    })

    test(`${title}: ${name}: whole-memory methods reach new pages`, (t) => {
      const memory = small(shared)
      const count = (2 * PAGE) / BYTES_PER_ELEMENT
      const one = valueFor(TypedArray, 1)
      t.is(memory.at(TypedArray, count), undefined)
      memory.grow(1)
      t.is(memory.at(TypedArray, count), valueFor(TypedArray, 0))
      memory.fill(TypedArray, one, -1)
      t.is(memory.at(TypedArray, (3 * PAGE) / BYTES_PER_ELEMENT - 1), one)
      memory.grow(1)
      memory.set(TypedArray, [one], (4 * PAGE) / BYTES_PER_ELEMENT - 1)
      t.is(memory.at(TypedArray, -1), one)
      memory.grow(1)
      memory.copyWithin(TypedArray, -1, (4 * PAGE) / BYTES_PER_ELEMENT - 1)
      memory.grow(1)
      t.is(memory.at(TypedArray, (5 * PAGE) / BYTES_PER_ELEMENT - 1), one)
      memory.grow(1)
      t.is(memory.subarray(TypedArray, -2).byteOffset, 7 * PAGE - 2 * BYTES_PER_ELEMENT)
    })

    test(`${title}: ${name}: whole-memory methods see a growth by what they are given`, (t) => {
      const memory = small(shared)
      const growing = () => ({ valueOf: () => (memory.grow(1), valueFor(TypedArray, 7)) })
      const first = { valueOf: () => (memory.grow(1), 99) }
      const calls = [
        () => memory.fill(TypedArray, growing(), 99, 100),
        () => memory.set(TypedArray, TypedArray.of(valueFor(TypedArray, 7)), first),
        () => memory.at(TypedArray, first),
      ]
      for (const call of calls) {
        if (shared) t.notThrows(call)
        else t.throws(call, INVALID_TYPE)
        t.is(memory.at(TypedArray, 99), valueFor(TypedArray, shared ? 7 : 0))
      }
      memory.set(TypedArray, [growing(), growing()], memory.buffer.byteLength / BYTES_PER_ELEMENT)
      t.is(memory.at(TypedArray, (-2 * PAGE) / BYTES_PER_ELEMENT), valueFor(TypedArray, 7))
    })

    test(`${title}: ${name}: whole-memory methods refuse bad arguments`, (t) => {
      const { memory } = counting(shared)
      const before = bytesOf(memory)
      const wrong = isBig(TypedArray) ? 1 : 1n
      t.throws(() => memory.fill(TypedArray, wrong, 90, 99), INVALID_TYPE)
      t.throws(() => memory.fill(TypedArray, Symbol('1'), 90, 99), INVALID_TYPE)
      t.throws(() => memory.set(TypedArray, [wrong], 90), INVALID_TYPE)
      t.throws(() => memory.set(TypedArray, [valueFor(TypedArray, 1), wrong], 90), INVALID_TYPE)
      const fickle = [0, 1].map((value) => valueFor(TypedArray, value))
      let reads = 0
      const get = () => (reads++ === 0 ? valueFor(TypedArray, 1) : Symbol('1'))
      Object.defineProperty(fickle, 1, { get })
      t.notThrows(() => memory.set(TypedArray, fickle, 0))
      memory.fill(TypedArray, fickle[0], 0, 2)
      t.throws(() => memory.set(TypedArray, undefined, 90), INVALID_TYPE)
      t.throws(() => memory.at(TypedArray, 1n), INVALID_TYPE)
      t.throws(() => memory.at(TypedArray, Symbol('1')), INVALID_TYPE)
      t.throws(() => memory.subarray(TypedArray, Symbol('1')), INVALID_TYPE)
      t.throws(() => memory.copyWithin(TypedArray, 1n), INVALID_TYPE)
      const one = valueFor(TypedArray, 1)
      t.throws(() => memory.set(TypedArray, [one], -1), OUT_OF_RANGE)
      t.throws(
        () => memory.set(TypedArray, [one, one], (2 * PAGE) / BYTES_PER_ELEMENT - 1),
        OUT_OF_RANGE,
      )
      t.is(bytesOf(memory), before)
    })
  }

  test(`${title}: arrays are copied in as they are, whatever else is copied in meanwhile`, (t) => {
    const memory = small(shared)
    const setOthers = () => memory.set(Float64Array, [7, 8, 9], 500)
    const get = () => (setOthers(), 2)
    memory.set(Float64Array, Object.defineProperty([1, 0, 3], 1, { get }), 100)
    memory.set(Float64Array, [4, 5, 6], { valueOf: () => (setOthers(), 103) })
    t.deepEqual([...memory.subarray(Float64Array, 100, 106)], [1, 2, 3, 4, 5, 6])
    for (const length of [1023, 1024, 1025]) {
      const values = Array.from({ length }, (_, at) => -at - 0.5)
      memory.set(Int32Array, values, 300)
      t.deepEqual(memory.subarray(Int32Array, 300, 300 + length), Int32Array.from(values))
    }
  })

  test(`${title}: what an array's proxy says of its length is taken as the engine takes it`, (t) => {
    const memory = small(shared)
    memory.set(Float64Array, [7, 8, 9], 500)
    const before = bytesOf(memory)
    const lengths = []
    const get = (array, name) =>
      name === 'length' && lengths.length > 0 ? lengths.shift() : array[name]
    for (const length of [-1, NaN, 0.5]) {
      lengths.push(...Array(9).fill(length))
      memory.set(Float64Array, new Proxy([1, 2, 3], { get }), 100)
      t.is(bytesOf(memory), before)
      lengths.length = 0
    }
    for (let reads = 1; reads < 9; reads++) {
      const left = memory.malloc(24)
      memory.memset(left, 7, 24)
      memory.free(left)
      lengths.push(...Array(reads).fill(3), ...Array(9).fill(1))
      const array = memory.Float64Array(new Proxy([1, 2, 3], { get }))
      t.true(array.every((value, at) => value === at + 1))
      memory.free(array.byteOffset)
      lengths.length = 0
    }
  })

  test(`${title}: what a getter of an element throws is the cause of an error`, (t) => {
    const memory = small(shared)
    const before = bytesOf(memory)
    const cause = new Error('of the program')
    const get = () => {
      throw cause
    }
    const source = Object.defineProperty([1, 0, 3], 1, { get })
    const calls = [() => memory.Float64Array(source), () => memory.set(Float64Array, source, 100)]
    for (const call of calls) t.is(t.throws(call, INVALID_TYPE).cause, cause)
    t.is(bytesOf(memory), before)
  })

  test(`${title}: a new array has its values although reading them grows the memory`, (t) => {
    const memory = small(shared)
    const get = () => (memory.grow(1), 2)
    const array = memory.Float64Array(Object.defineProperty([1, 0, 3], 1, { get }))
    t.deepEqual([...array], [1, 2, 3])
    t.is(memory.sizeof(array.byteOffset), array.byteLength)
  })

  test(`${title}: whole-memory methods want a typed array constructor`, (t) => {
    const memory = small(shared)
    for (const other of [undefined, null, 'Int8Array', {}, DataView, Array, new Int8Array(4)]) {
      t.throws(() => memory.at(other, 1), INVALID_TYPE)
      t.throws(() => memory.fill(other, 1), INVALID_TYPE)
      t.throws(() => memory.copyWithin(other, 1, 0), INVALID_TYPE)
      t.throws(() => memory.subarray(other, 1), INVALID_TYPE)
      t.throws(() => memory.set(other, [1], 1), INVALID_TYPE)
    }
  })

  test(`${title}: views are of the present buffer after growth`, (t) => {
    const memory = small(shared)
    const old = memory.arrayView(Uint8Array, 64, 4)
    memory.grow(1)
    const array = memory.arrayView(Uint8Array, 64, 4)
    t.is(array.buffer, memory.buffer)
    t.is(memory.dataView(3 * PAGE - 4, 4).buffer, memory.buffer)
    t.is(old.length, shared ? 4 : 0)
    array[0] = 5
    t.is(old[0], shared ? 5 : undefined)
    t.is(memory.arrayBuffer(2 * PAGE, PAGE).byteLength, PAGE)
    memory.memset(3 * PAGE - 4, 1, 4)
    memory.grow(1)
    memory.memcpy(4 * PAGE - 4, 3 * PAGE - 4, 4)
    t.is(memory.getUint32(4 * PAGE - 4), 0x01010101)
  })
}

test('Float16Array is there exactly where the engine has it', (t) => {
  t.is('Float16Array' in LocalSharedMemory.prototype, 'Float16Array' in globalThis)
})

test('a source in the memory itself is copied before its allocation detaches it', (t) => {
  const memory = small(false)
  const source = memory.Uint8Array(PAGE).fill(7)
  const before = memory.buffer.byteLength
  const copy = memory.Uint8Array(source)
  t.true(memory.buffer.byteLength > before)
  t.is(source.length, 0)
  t.true(copy.every((byte) => byte === 7))
})

test('ranges above 2 ** 31', (t) => {
  const memory = new LocalSharedMemory({ initial: 65_536, maximum: 65_536, shared: true })
  const high = 3 * 2 ** 30
  t.is(memory.memset(high, 7, 8), high)
  t.is(memory.memcpy(2 ** 32 - 8, high, 8), 2 ** 32 - 8)
  t.deepEqual([...memory.arrayView(Uint8Array, 2 ** 32 - 8, 8)], Array(8).fill(7))
  t.deepEqual([...memory.subarray(Uint16Array, -4)], Array(4).fill(0x0707))
  t.is(memory.at(Uint8Array, 2 ** 32 - 1), 7)
  t.is(memory.dataView(high, 8).byteOffset, high)
  t.is(memory.arrayBuffer(high, 4).byteLength, 4)
  t.throws(() => memory.arrayView(Uint8Array, 2 ** 32 - 8, 9), OUT_OF_RANGE)
})

test('pages that another thread grew are in every view', async (t) => {
  const memory = small()
  memory.arrayView(Uint8Array, 64, 4)
  const code = 'require("node:worker_threads").workerData.grow(3)'
  await once(new Worker(code, { eval: true, workerData: memory }), 'exit')
  t.is(memory.memset(5 * PAGE - 8, 3, 8), 5 * PAGE - 8)
  t.is(memory.at(Uint8Array, -1), 3)
  t.is(memory.arrayView(Uint8Array, 5 * PAGE - 8, 8).buffer, memory.buffer)
  t.is(memory.subarray(Uint8Array, 0).length, 5 * PAGE)
})
