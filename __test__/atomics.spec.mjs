// Each Atomics method against the global Atomics.

import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import test from 'ava'
import LocalSharedMemory from '../index.js'
import { bytesOf, PAGE } from './fixtures/pages.mjs'
import { ATOMIC_ARRAYS } from './fixtures/typed-arrays.mjs'

const NOT_ATOMIC = [Uint8ClampedArray, Float32Array, Float64Array]
const isBig = (TypedArray) => TypedArray.name.startsWith('Big')
const valueFor = (TypedArray, value) => (isBig(TypedArray) ? BigInt(value) : value)

const small = (shared = true) => new LocalSharedMemory({ initial: 1, maximum: 8, shared })

/** Runs code in a worker that has `memory`, the plain memory, and Atomics. */
const work = (memory, code) =>
  new Worker(`const { parentPort, workerData: memory } = require('node:worker_threads');${code}`, {
    eval: true,
    workerData: memory,
  })

const CALLS = [
  ['add', [3]],
  ['add', [-1]],
  ['sub', [100]],
  ['and', [0x0f]],
  ['or', [0xf0]],
  ['xor', [-1]],
  ['exchange', [77]],
  ['compareExchange', [77, 5]],
  ['compareExchange', [1, 2]],
  ['load', []],
  ['store', [300]],
  ['load', []],
]

for (const shared of [true, false]) {
  for (const TypedArray of ATOMIC_ARRAYS) {
    const name = `${TypedArray.name}, ${shared ? 'shared' : 'not shared'}`

    test(`${name}: a constructor counts from the start of the memory`, (t) => {
      const memory = small(shared)
      const model = new TypedArray(8)
      for (const [method, values] of CALLS) {
        const args = values.map((value) => valueFor(TypedArray, value))
        t.is(memory[method](TypedArray, 35, ...args), Atomics[method](model, 5, ...args), method)
        t.is(new TypedArray(memory.buffer)[35], model[5], method)
      }
      t.is(new TypedArray(memory.buffer)[34], valueFor(TypedArray, 0))
      t.is(new TypedArray(memory.buffer)[36], valueFor(TypedArray, 0))
    })

    test(`${name}: an array counts from its own start`, (t) => {
      const memory = small(shared)
      const array = memory.arrayView(TypedArray, 64, 8)
      const model = new TypedArray(8)
      for (const [method, values] of CALLS) {
        const args = values.map((value) => valueFor(TypedArray, value))
        t.is(memory[method](array, 7, ...args), Atomics[method](model, 7, ...args), method)
        t.is(array[7], model[7], method)
      }
      t.throws(() => memory.load(array, 8), { instanceOf: RangeError, code: 'ERR_OUT_OF_RANGE' })
    })

    test(`${name}: the first and the last element, and new ones after growth`, (t) => {
      const memory = small(shared)
      const [one, two] = [valueFor(TypedArray, 1), valueFor(TypedArray, 2)]
      const count = PAGE / TypedArray.BYTES_PER_ELEMENT
      t.is(memory.load(TypedArray, 0), valueFor(TypedArray, 0))
      t.is(memory.store(TypedArray, count - 1, one), one)
      memory.grow(1)
      t.is(memory.load(TypedArray, count - 1), one)
      t.is(memory.add(TypedArray, 2 * count - 1, two), valueFor(TypedArray, 0))
      t.is(new TypedArray(memory.buffer)[2 * count - 1], two)
      t.throws(() => memory.load(TypedArray, 2 * count), { code: 'ERR_OUT_OF_RANGE' })
    })

    test(`${name}: bad indices are refused and nothing changes`, (t) => {
      const memory = small(shared)
      new Uint8Array(memory.buffer).fill(0xa5)
      const before = bytesOf(memory)
      const one = valueFor(TypedArray, 1)
      const array = memory.arrayView(TypedArray, 64, 8)
      for (const target of [TypedArray, array]) {
        for (const index of [-1, 1.5, NaN, Infinity, PAGE, 2 ** 32, 2 ** 53]) {
          const expected = { instanceOf: RangeError, code: 'ERR_OUT_OF_RANGE' }
          for (const [method, { length }] of CALLS) {
            const args = Array.from({ length }, () => one)
            t.throws(() => memory[method](target, index, ...args), expected, `${method} ${index}`)
          }
        }
        for (const index of [undefined, null, '1', 1n, true, {}, Symbol('1')]) {
          const expected = { instanceOf: TypeError, code: 'ERR_INVALID_ARG_TYPE' }
          t.throws(() => memory.load(target, index), expected)
          t.throws(() => memory.store(target, index, one), expected)
        }
      }
      t.is(bytesOf(memory), before)
    })

    test(`${name}: values of the other kind are refused and nothing changes`, (t) => {
      const memory = small(shared)
      new Uint8Array(memory.buffer).fill(0xa5)
      const before = bytesOf(memory)
      const expected = { instanceOf: TypeError, code: 'ERR_INVALID_ARG_TYPE' }
      for (const value of [isBig(TypedArray) ? 1 : 1n, Symbol('1')]) {
        for (const method of ['add', 'sub', 'and', 'or', 'xor', 'exchange', 'store']) {
          t.throws(() => memory[method](TypedArray, 35, value), expected, method)
        }
        t.throws(() => memory.compareExchange(TypedArray, 35, value, value), expected)
      }
      t.is(bytesOf(memory), before)
    })
  }

  test(`${shared ? 'shared' : 'not shared'}: other arrays are refused and nothing changes`, (t) => {
    const memory = small(shared)
    new Uint8Array(memory.buffer).fill(0xa5)
    const before = bytesOf(memory)
    const expected = { instanceOf: TypeError, code: 'ERR_INVALID_ARG_TYPE' }
    const arrays = NOT_ATOMIC.map((TypedArray) => memory.arrayView(TypedArray, 64, 8))
    const others = [undefined, null, 1, 'Int32Array', {}, [1, 2], { length: 9 }, Array, DataView]
    const view = memory.dataView(64, 8)
    for (const target of [...NOT_ATOMIC, ...arrays, ...others, view, memory.buffer, () => 1]) {
      for (const method of ['add', 'sub', 'and', 'or', 'xor', 'exchange', 'store', 'load']) {
        t.throws(() => memory[method](target, 1, 1), expected, method)
      }
      t.throws(() => memory.compareExchange(target, 1, 1, 1), expected)
      t.throws(() => memory.notify(target, 1), expected)
      t.throws(() => memory.wait(target, 1, 1, 0), expected)
      t.throws(() => memory.waitAsync(target, 1, 1, 0), expected)
    }
    t.is(bytesOf(memory), before)
  })
}

test('isLockFree is that of Atomics', (t) => {
  const memory = small()
  for (const size of [1, 2, 3, 4, 8, 16]) t.is(memory.isLockFree(size), Atomics.isLockFree(size))
  for (const size of [undefined, '4', 4n, Symbol('4')]) {
    t.throws(() => memory.isLockFree(size), { code: 'ERR_INVALID_ARG_TYPE' })
  }
})

test('elements beyond 2 ** 31 bytes', (t) => {
  const memory = new LocalSharedMemory({ initial: 65_536, maximum: 65_536, shared: true })
  for (const TypedArray of ATOMIC_ARRAYS) {
    const index = 2 ** 32 / TypedArray.BYTES_PER_ELEMENT - 1
    const one = valueFor(TypedArray, 1)
    memory.store(TypedArray, index, one)
    t.is(memory.add(TypedArray, index, one), one)
    t.is(memory.load(TypedArray, index), valueFor(TypedArray, 2))
    t.throws(() => memory.load(TypedArray, index + 1), { code: 'ERR_OUT_OF_RANGE' })
    memory.store(TypedArray, index, valueFor(TypedArray, 0))
  }
})

test('only 32-bit and 64-bit signed integers of a shared memory can be waited on', (t) => {
  const expected = { instanceOf: TypeError, code: 'ERR_INVALID_ARG_TYPE' }
  for (const TypedArray of ATOMIC_ARRAYS) {
    const value = valueFor(TypedArray, 0)
    t.throws(() => small(false).wait(TypedArray, 16, value, 0), expected)
    t.throws(() => small(false).waitAsync(TypedArray, 16, value, 0), expected)
    if (TypedArray === Int32Array || TypedArray === BigInt64Array) {
      t.is(small(false).notify(TypedArray, 16), 0)
      t.is(small().wait(TypedArray, 16, value, 0), 'timed-out')
      t.throws(() => small().wait(TypedArray, 16, isBig(TypedArray) ? 0 : 0n, 0), expected)
    } else {
      t.throws(() => small().wait(TypedArray, 16, value, 0), expected)
      t.throws(() => small().waitAsync(TypedArray, 16, value, 0), expected)
      t.throws(() => small().notify(TypedArray, 16), expected)
    }
  }
})

test('wait returns at once when the value differs, and after the timeout', (t) => {
  const memory = small()
  t.is(memory.wait(Int32Array, 16, 1), 'not-equal')
  t.is(memory.wait(BigInt64Array, 16, 1n), 'not-equal')
  t.is(memory.wait(Int32Array, 16, 0, 30), 'timed-out')
  t.throws(() => memory.wait(Int32Array, PAGE, 0), { code: 'ERR_OUT_OF_RANGE' })
  t.is(memory.notify(Int32Array, 16), 0)
})

for (const TypedArray of [Int32Array, BigInt64Array]) {
  const big = isBig(TypedArray) ? 'n' : ''

  test(`${TypedArray.name}: notify wakes a worker that waits, also after growth`, async (t) => {
    const memory = small()
    const worker = work(
      memory,
      `const array = new ${TypedArray.name}(memory.buffer);
       parentPort.postMessage(Atomics.wait(array, 16, 0${big}))
       parentPort.postMessage(Atomics.wait(array, 17, 0${big}))`,
    )
    const exit = once(worker, 'exit')
    const wake = async (index) => {
      const message = once(worker, 'message')
      const timer = setInterval(() => memory.notify(TypedArray, index, 1), 1)
      const [result] = await message
      clearInterval(timer)
      return result
    }
    t.is(await wake(16), 'ok')
    memory.grow(1)
    memory.setInt32(2 * PAGE - 4, 1)
    t.is(await wake(17), 'ok')
    await exit
  })

  test(`${TypedArray.name}: wait is ended by a worker`, async (t) => {
    const memory = small()
    const worker = work(
      memory,
      `const array = new ${TypedArray.name}(memory.buffer);
       while (Atomics.notify(array, 16) === 0) Atomics.wait(array, 20, 0${big}, 1)`,
    )
    const exit = once(worker, 'exit')
    t.is(memory.wait(TypedArray, 16, valueFor(TypedArray, 0)), 'ok')
    await exit
  })

  test(`${TypedArray.name}: waitAsync settles on notify, at once, and by timeout`, async (t) => {
    const memory = small()
    const zero = valueFor(TypedArray, 0)
    t.deepEqual(memory.waitAsync(TypedArray, 16, valueFor(TypedArray, 1)), {
      async: false,
      value: 'not-equal',
    })
    t.deepEqual(memory.waitAsync(TypedArray, 16, zero, 0), { async: false, value: 'timed-out' })
    const timed = memory.waitAsync(TypedArray, 16, zero, 10)
    t.true(timed.async)
    t.is((await Promise.all([timed.value, sleep(50)]))[0], 'timed-out')
    const first = memory.waitAsync(TypedArray, 16, zero)
    const second = memory.waitAsync(memory.arrayView(TypedArray, 64, 32), 16, zero, 60_000)
    t.true(first.async && second.async)
    t.is(memory.notify(TypedArray, 16, 5), 1)
    t.is(await first.value, 'ok')
    t.is(memory.notify(TypedArray, 64 / TypedArray.BYTES_PER_ELEMENT + 16), 1)
    t.is(await second.value, 'ok')
  })
}

test('a pending waitAsync is woken through the buffer that growth made', async (t) => {
  const memory = small()
  const waiting = memory.waitAsync(Int32Array, 16, 0)
  memory.grow(1)
  t.is(memory.load(Int32Array, 32_767), 0)
  t.is(memory.notify(Int32Array, 16), 1)
  t.is(await waiting.value, 'ok')
})

test('two threads add to one counter', async (t) => {
  const memory = small()
  const worker = work(
    memory,
    `const array = new Int32Array(memory.buffer);
     for (let i = 0; i < 100000; i++) Atomics.add(array, 16, 1)`,
  )
  const exit = once(worker, 'exit')
  await once(worker, 'online')
  for (let i = 0; i < 100_000; i++) memory.add(Int32Array, 16, 1)
  await exit
  t.is(memory.load(Int32Array, 16), 200_000)
})

test('elements that another thread grew are reached at once', async (t) => {
  const memory = small()
  t.is(memory.load(Int32Array, 32), 0)
  const worker = work(
    memory,
    `const array = new Int32Array(memory.buffer);
     Atomics.wait(array, 32, 0)
     memory.grow(1)
     new Int32Array(memory.buffer)[32767] = 42
     Atomics.store(array, 33, 1)
     Atomics.notify(array, 33)`,
  )
  const exit = once(worker, 'exit')
  await once(worker, 'online')
  memory.store(Int32Array, 32, 1)
  memory.notify(Int32Array, 32)
  memory.wait(Int32Array, 33, 0)
  t.is(memory.add(Int32Array, 32_767, 1), 42)
  t.is(memory.load(BigInt64Array, 16_383), 43n << 32n)
  await exit
})

test('growth is seen in the very moment that another thread tells of it', async (t) => {
  const growths = 1000
  const writes = [
    (offset, value) => memory.setInt32(offset, value),
    (offset, value) => memory.store(Int32Array, offset / 4, value),
    (offset, value) => memory.set(Int32Array, [value], offset / 4),
    (offset, value) => memory.memset(offset, Int32Array.of(value)),
  ]
  const memory = new LocalSharedMemory({ initial: 1, maximum: growths + 1, shared: true })
  const worker = work(
    memory,
    `const array = new Int32Array(memory.buffer);
     for (let i = 0; i < ${growths}; i++) {
       Atomics.wait(array, 32, i)
       memory.grow(1)
       Atomics.store(array, 33, i + 1)
     }`,
  )
  const exit = once(worker, 'exit')
  await once(worker, 'online')
  const first = memory.arrayView(Int32Array, 64, 32)
  for (let i = 0; i < growths; i++) {
    Atomics.store(first, 16, i + 1)
    Atomics.notify(first, 16)
    while (Atomics.load(first, 17) === i);
    const last = PAGE * (i + 2) - 4
    writes[i % 4](last, i)
  }
  for (let i = 0; i < growths; i++) t.is(memory.at(Int32Array, (PAGE * (i + 2)) / 4 - 1), i)
  await exit
})
