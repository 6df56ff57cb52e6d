// Memories with 64-bit addresses are refused, whether the engine knows them or not.

import test from 'ava'
import LocalSharedMemory from '../index.js'

const OUT_OF_RANGE = { instanceOf: RangeError, code: 'ERR_OUT_OF_RANGE' }
const INVALID_TYPE = { instanceOf: TypeError, code: 'ERR_INVALID_ARG_TYPE' }

const memory64 = (shared) => {
  try {
    return new WebAssembly.Memory({ initial: 1n, maximum: 2n, shared, address: 'i64' })
  } catch {
    return null
  }
}

const make = (address) => new LocalSharedMemory({ initial: 1, maximum: 2, shared: true, address })

test("address: 'i64' is refused before anything is made", (t) => {
  for (const shared of [true, false]) {
    for (const [initial, maximum] of [
      [1, 2],
      [1n, 2n],
    ]) {
      const descriptor = { initial, maximum, shared, address: 'i64' }
      t.throws(() => new LocalSharedMemory(descriptor), OUT_OF_RANGE)
    }
  }
  const read = []
  const watched = new Proxy({ address: 'i64' }, { get: (from, key) => read.push(key) && from[key] })
  t.throws(() => new LocalSharedMemory(watched), OUT_OF_RANGE)
  t.deepEqual(read, ['address'])
})

test("address: 'i32' is what there is anyway", (t) => {
  for (const address of ['i32', undefined]) t.true(make(address).malloc(10) > 0)
})

test('any other address is refused', (t) => {
  for (const address of ['', 'I64', 'i128']) t.throws(() => make(address), OUT_OF_RANGE)
  for (const address of [64, null, {}, Object('i64')]) t.throws(() => make(address), INVALID_TYPE)
})

const supported = memory64(true) === null ? test.skip : test

supported('from refuses a memory with 64-bit addresses and leaves it as it was', (t) => {
  for (const shared of [true, false]) {
    const memory = memory64(shared)
    const { buffer } = memory
    t.throws(() => LocalSharedMemory.from(memory), OUT_OF_RANGE)
    t.throws(() => LocalSharedMemory.from(memory, { heapBase: 65_536 }), OUT_OF_RANGE)
    t.is(Object.getPrototypeOf(memory), WebAssembly.Memory.prototype)
    t.is(memory.buffer, buffer)
    t.is(buffer.byteLength, 65_536)
  }
})
