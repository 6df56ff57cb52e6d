// get<Type> and set<Type> against a DataView over the same bytes.

import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import test from 'ava'
import LocalSharedMemory from '../index.js'
import { limitOf } from '../lib/pages/pages.js'
import { runChild } from './fixtures/child.mjs'
import { bytesOf, PAGE } from './fixtures/pages.mjs'

const integers = (bits) => [
  0,
  1,
  -1,
  2 ** (bits - 1) - 1,
  -(2 ** (bits - 1)),
  2 ** bits - 1,
  2 ** bits,
]
const bigints = [0n, 1n, -1n, 2n ** 63n - 1n, -(2n ** 63n), 2n ** 64n - 1n, 2n ** 64n]
const floats = [0, -0, 1.1, -Math.PI, NaN, Infinity, -Infinity, 5e-324, Number.MAX_VALUE, 2 ** -149]

const TYPES = [
  { type: 'Int8', bytes: 1, values: integers(8) },
  { type: 'Uint8', bytes: 1, values: integers(8) },
  { type: 'Int16', bytes: 2, values: integers(16) },
  { type: 'Uint16', bytes: 2, values: integers(16) },
  { type: 'Int32', bytes: 4, values: integers(32) },
  { type: 'Uint32', bytes: 4, values: integers(32) },
  { type: 'BigInt64', bytes: 8, values: bigints },
  { type: 'BigUint64', bytes: 8, values: bigints },
  { type: 'Float32', bytes: 4, values: floats },
  { type: 'Float64', bytes: 8, values: floats },
  { type: 'Float16', bytes: 2, values: floats },
].filter(({ type }) => `get${type}` in DataView.prototype)

const small = (shared = true) => new LocalSharedMemory({ initial: 1, maximum: 8, shared })

test('Float16 is there exactly where DataView has it', (t) => {
  for (const name of ['getFloat16', 'setFloat16']) {
    t.is(name in LocalSharedMemory.prototype, name in DataView.prototype)
  }
})

for (const shared of [true, false]) {
  for (const { type, bytes, values } of TYPES) {
    const [get, set] = [`get${type}`, `set${type}`]
    const name = `${type}, ${shared ? 'shared' : 'not shared'}`

    test(`${name}: reads and writes what a DataView does, at any alignment`, (t) => {
      const memory = small(shared)
      const data = new DataView(memory.buffer)
      const model = new DataView(new ArrayBuffer(bytes))
      for (let offset = 64; offset < 72; offset++) {
        for (const value of values) {
          model[set](0, value, true)
          t.is(memory[set](offset, value), undefined)
          t.deepEqual(data[get](offset, true), model[get](0, true))
          data[set](offset, value, true)
          t.deepEqual(memory[get](offset), model[get](0, true))
        }
      }
    })

    test(`${name}: the first and the last offset of the memory`, (t) => {
      const memory = small(shared)
      const one = typeof values[0] === 'bigint' ? 1n : 1
      for (const offset of [1, PAGE - bytes]) {
        memory[set](offset, one)
        t.is(memory[get](offset), one)
        t.is(new DataView(memory.buffer)[get](offset, true), one)
      }
    })

    test(`${name}: the value defaults to zero`, (t) => {
      const memory = small(shared)
      new Uint8Array(memory.buffer).fill(255, 64, 72)
      memory[set](64)
      t.is(memory[get](64), typeof values[0] === 'bigint' ? 0n : 0)
      t.is(new Uint8Array(memory.buffer)[64 + bytes], bytes === 8 ? 0 : 255)
    })

    test(`${name}: a bad offset is refused and nothing changes`, (t) => {
      const memory = small(shared)
      new Uint8Array(memory.buffer).fill(0xa5)
      const before = bytesOf(memory)
      const one = typeof values[0] === 'bigint' ? 1n : 1
      const outside = [0, -0, -1, 1.5, NaN, Infinity, -Infinity, PAGE - bytes + 1, PAGE, 2 ** 31]
      for (const offset of [...outside, 2 ** 32, 2 ** 32 + 64, -(2 ** 32) + 64, 2 ** 53]) {
        const expected = { instanceOf: RangeError, code: 'ERR_OUT_OF_RANGE' }
        t.throws(() => memory[get](offset), expected, String(offset))
        t.throws(() => memory[set](offset, one), expected, String(offset))
      }
      for (const offset of [undefined, null, '64', 64n, true, {}, [64], Symbol('64'), () => 64]) {
        const expected = { instanceOf: TypeError, code: 'ERR_INVALID_ARG_TYPE' }
        t.throws(() => memory[get](offset), expected)
        t.throws(() => memory[set](offset, one), expected)
      }
      t.is(bytesOf(memory), before)
    })

    test(`${name}: a value of the wrong type is refused and nothing changes`, (t) => {
      const memory = small(shared)
      new Uint8Array(memory.buffer).fill(0xa5)
      const before = bytesOf(memory)
      const wrong = typeof values[0] === 'bigint' ? [1, null, 'one', NaN] : [1n]
      for (const value of [...wrong, Symbol('1'), Object.create(null)]) {
        const expected = { instanceOf: TypeError, code: 'ERR_INVALID_ARG_TYPE' }
        t.throws(() => memory[set](64, value), expected)
      }
      t.is(bytesOf(memory), before)
    })

    test(`${name}: values are converted as a DataView converts them`, (t) => {
      const memory = small(shared)
      const data = new DataView(new ArrayBuffer(8))
      const convertible = ['1', true, { valueOf: () => (typeof values[0] === 'bigint' ? 3n : 3) }]
      for (const value of convertible) {
        data[set](0, value, true)
        memory[set](64, value)
        t.is(memory[get](64), data[get](0, true))
      }
    })

    test(`${name}: new pages are reached after growth`, (t) => {
      const memory = small(shared)
      const one = typeof values[0] === 'bigint' ? 1n : 1
      memory[set](64, one)
      memory.grow(1)
      t.is(memory[get](64), one)
      t.is(memory[get](2 * PAGE - bytes), typeof values[0] === 'bigint' ? 0n : 0)
      memory.grow(1)
      memory[set](3 * PAGE - bytes, one)
      t.is(memory[get](3 * PAGE - bytes), one)
      t.is(new DataView(memory.buffer)[get](3 * PAGE - bytes, true), one)
      memory.grow(1)
      memory[set](64)
      t.is(new DataView(memory.buffer).getUint8(64), 0)
      const expected = { code: 'ERR_OUT_OF_RANGE' }
      t.throws(() => memory[get](4 * PAGE - bytes + 1), expected)
    })
  }
}

test('a conversion that grows a memory which is not shared loses nothing', (t) => {
  const memory = small(false)
  const value = {
    valueOf() {
      memory.grow(1)
      return 7
    },
  }
  memory.setInt32(64, value)
  t.is(memory.getInt32(64), 7)
  t.is(new Int32Array(memory.buffer)[16], 7)
})

test("what the value's own conversion throws is the cause, an error or not", (t) => {
  for (const mine of [new Error('mine'), null, undefined, 'text']) {
    const value = {
      valueOf() {
        throw mine
      },
    }
    for (const method of ['setInt32', 'setUint8', 'setFloat32', 'setFloat64', 'setBigInt64']) {
      const error = t.throws(() => small()[method](64, value), { code: 'ERR_INVALID_ARG_TYPE' })
      t.is(error.cause, mine)
    }
  }
})

test('offsets go up to 2 ** 32 - 1', (t) => {
  const memory = new LocalSharedMemory({ initial: 65_536, maximum: 65_536, shared: true })
  for (const offset of [2 ** 31 - 4, 2 ** 31, 2 ** 31 + 1, 3 * 2 ** 30 + 1, 2 ** 32 - 4]) {
    memory.setUint32(offset, offset)
    t.is(memory.getUint32(offset), offset)
    t.is(new DataView(memory.buffer).getUint32(offset, true), offset)
  }
  memory.setUint8(2 ** 32 - 1, 200)
  t.is(memory.getUint8(2 ** 32 - 1), 200)
  t.is(memory.getFloat64(2 ** 31 + 16), 0)
  t.throws(() => memory.getUint32(2 ** 32 - 3), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => memory.getUint8(2 ** 32), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => memory.setUint8(2 ** 32 + 64, 1), { code: 'ERR_OUT_OF_RANGE' })
  t.is(memory.getUint8(64), 0)
})

test('pages that another thread grew are reached at once', async (t) => {
  const memory = small()
  memory.setInt32(64, 1)
  const code = `
    const { parentPort, workerData: memory } = require('node:worker_threads')
    const word = new Int32Array(memory.buffer)
    Atomics.wait(word, 32, 0)
    memory.grow(2)
    new Int32Array(memory.buffer)[(3 * 65536 - 4) / 4] = 42
    Atomics.store(word, 33, 1)
    Atomics.notify(word, 33)
  `
  const worker = new Worker(code, { eval: true, workerData: memory })
  const exit = once(worker, 'exit')
  await once(worker, 'online')
  Atomics.store(new Int32Array(memory.buffer), 32, 1)
  Atomics.notify(new Int32Array(memory.buffer), 32)
  Atomics.wait(new Int32Array(memory.buffer), 33, 0)
  t.is(memory.getInt32(3 * PAGE - 4), 42)
  t.is(memory.getInt32(64), 1)
  memory.setInt32(2 * PAGE, 7)
  t.is(new Int32Array(memory.buffer)[(2 * PAGE) / 4], 7)
  t.throws(() => memory.getInt32(3 * PAGE - 3), { code: 'ERR_OUT_OF_RANGE' })
  await exit
})

test('growth in this thread is seen through a memory adopted by another', async (t) => {
  const memory = small()
  const url = new URL('../index.js', import.meta.url).href
  const code = `
    const { parentPort, workerData } = require('node:worker_threads')
    import(${JSON.stringify(url)}).then(({ default: LocalSharedMemory }) => {
      const memory = LocalSharedMemory.from(workerData)
      memory.getInt32(64)
      parentPort.postMessage('ready')
      memory.wait(Int32Array, 16, 0)
      parentPort.postMessage([memory.getInt32(2 * 65536 - 4), memory.load(Int32Array, 32767)])
    })
  `
  const worker = new Worker(code, { eval: true, workerData: memory })
  const exit = once(worker, 'exit')
  await once(worker, 'message')
  memory.grow(1)
  memory.setInt32(2 * PAGE - 4, 99)
  memory.store(Int32Array, 16, 1)
  memory.notify(Int32Array, 16)
  const [values] = await once(worker, 'message')
  t.deepEqual(values, [99, 99])
  await exit
})

const resizable = 'toResizableBuffer' in WebAssembly.Memory.prototype

;(resizable ? test : test.skip)('a buffer that grows in place is followed', (t) => {
  for (const shared of [true, false]) {
    const memory = small(shared)
    memory.setInt32(64, 5)
    const buffer = memory.toResizableBuffer()
    t.is(memory.getInt32(64), 5)
    memory.grow(1)
    t.is(memory.buffer, buffer)
    memory.setInt32(2 * PAGE - 4, 6)
    t.is(memory.getInt32(2 * PAGE - 4), 6)
    t.is(memory.load(Int32Array, (2 * PAGE - 4) / 4), 6)
    t.is(memory.at(Int32Array, -1), 6)
  }
})

test('accessors use the views unasked up to the last eight bytes, unless these may be detached', (t) => {
  for (const shared of [true, false]) {
    const memory = new LocalSharedMemory({ initial: 2, maximum: 3, shared })
    memory.setUint8(16, 1)
    t.is(limitOf(memory), shared ? 2 * PAGE - 8 : 0)
  }
})

test('what the first memories of a process are accessed at is checked as later', async (t) => {
  const { stdout } = await runChild('first-memory.mjs', [])
  const range = 'ERR_OUT_OF_RANGE'
  t.deepEqual(JSON.parse(stdout), [range, range, 0, range, range, range, range])
})
