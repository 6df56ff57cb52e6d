// Arrays that free their block when they are disposed of.

import test from 'ava'
import LocalSharedMemory from '../index.js'
import { TYPED_ARRAYS } from './fixtures/typed-arrays.mjs'

const INVALID_TYPE = { instanceOf: TypeError, code: 'ERR_INVALID_ARG_TYPE' }
const OUT_OF_RANGE = { instanceOf: RangeError, code: 'ERR_OUT_OF_RANGE' }
const INVALID_POINTER = { instanceOf: Error, code: 'ERR_INVALID_POINTER' }

const newMemory = (shared = true) => new LocalSharedMemory(1, 100, shared)

/** One that uses freed blocks again at once. */
const withoutQuarantine = () =>
  new LocalSharedMemory({ initial: 1, maximum: 100, shared: true, debug: false })
const dispose = (array) => array[Symbol.dispose]()

for (const TypedArray of TYPED_ARRAYS) {
  test(`a ${TypedArray.name} is a live view of its block until it is disposed of`, (t) => {
    for (const shared of [true, false]) {
      const memory = newMemory(shared)
      const values = TypedArray.from([1, 2, 3], (value) =>
        TypedArray.name.startsWith('Big') ? BigInt(value) : value,
      )
      const array = memory.alloc(TypedArray, values)
      t.is(Object.getPrototypeOf(array), TypedArray.prototype)
      t.is(array.buffer, memory.buffer)
      t.deepEqual(Array.from(array), Array.from(values))
      t.is(memory.sizeof(array.byteOffset), values.byteLength)
      array[1] = values[0]
      t.is(memory.arrayView(TypedArray, array.byteOffset)[1], values[0])
      t.is(dispose(array), undefined)
      t.deepEqual(memory.allocs(), [])
      const long = memory.alloc(TypedArray, 500)
      t.is(long.length, 500)
      dispose(long)
      t.is(memory.length, 0)
    }
  })
}

test('the method is there, and not among the elements', (t) => {
  const memory = newMemory()
  const array = memory.alloc(Uint8Array, [1, 2])
  t.deepEqual(Object.keys(array), ['0', '1'])
  t.is(typeof array[Symbol.dispose], 'function')
  for (const derived of [array.slice(), array.map((value) => value), structuredClone(array)]) {
    t.is(derived[Symbol.dispose], undefined)
  }
  t.is(memory.Uint8Array(2)[Symbol.dispose], undefined)
  t.is(memory.allocs().length, 2)
})

test('disposing again does nothing, also when the block is in use again', (t) => {
  const memory = withoutQuarantine()
  const array = memory.alloc(Float64Array, 10)
  const ptr = array.byteOffset
  dispose(array)
  const next = memory.alloc(Float64Array, 10)
  t.is(next.byteOffset, ptr)
  dispose(array)
  t.is(memory.sizeof(ptr), 80)
  dispose(next)
  dispose(next)
  t.deepEqual(memory.allocs(), [])
})

test('a block that was freed by its pointer is not freed again', (t) => {
  const memory = withoutQuarantine()
  const array = memory.alloc(Float64Array, 10)
  memory.free(array.byteOffset)
  t.throws(() => dispose(array), INVALID_POINTER)
  const reused = memory.malloc(80)
  t.is(reused, array.byteOffset)
  dispose(array)
  t.is(memory.sizeof(reused), 80)
})

test('a block of another length is not freed', (t) => {
  const memory = withoutQuarantine()
  const array = memory.alloc(Float64Array, 10)
  memory.free(array.byteOffset)
  const reused = memory.malloc(79)
  t.is(reused, array.byteOffset)
  t.throws(() => dispose(array), INVALID_POINTER)
  t.is(memory.sizeof(reused), 79)
})

test('a block that was resized by its pointer is not freed', (t) => {
  const memory = newMemory()
  for (const byteLength of [84, 50_000]) {
    const array = memory.alloc(Float64Array, 10)
    const ptr = memory.realloc(array.byteOffset, byteLength)
    t.throws(() => dispose(array), INVALID_POINTER)
    t.is(memory.sizeof(ptr), byteLength)
    memory.free(ptr)
  }
})

test('a block whose array was detached by growth is freed', (t) => {
  const memory = newMemory(false)
  const array = memory.alloc(Int32Array, [7])
  memory.grow(1)
  t.is(array.byteOffset, 0)
  dispose(array)
  t.deepEqual(memory.allocs(), [])
})

test('bad arguments are refused, and nothing is allocated', (t) => {
  const memory = newMemory()
  for (const TypedArray of [undefined, null, 'Uint8Array', DataView, Array, Map, {}]) {
    t.throws(() => memory.alloc(TypedArray, 4), INVALID_TYPE)
  }
  for (const source of [undefined, null, 'text', 1n, true]) {
    t.throws(() => memory.alloc(Uint8Array, source), INVALID_TYPE)
  }
  t.throws(() => memory.alloc(Int32Array, [1n]), INVALID_TYPE)
  for (const length of [0, -1, 1.5, NaN, 2 ** 32]) {
    t.throws(() => memory.alloc(Uint8Array, length), OUT_OF_RANGE)
  }
  t.throws(() => memory.alloc(Uint8Array, []), OUT_OF_RANGE)
  t.throws(() => memory.alloc(Uint8Array, 2 ** 30), { code: 'ERR_OUT_OF_MEMORY' })
  t.is(memory.length, 0)
})

let hasUsing = true
try {
  // oxlint-disable-next-line no-new-func -- a syntax error elsewhere
  Function('{ using nothing = null }')
} catch {
  hasUsing = false
}

const onlyWithUsing = hasUsing ? test : test.skip

onlyWithUsing(
  'using frees the block at the end of its scope, and when it is left by an error',
  (t) => {
    const memory = newMemory()
    // oxlint-disable-next-line no-new-func -- a syntax error elsewhere
    const use = Function(
      'memory',
      'act',
      '{ using block = memory.alloc(Float64Array, 1000); act(block) }',
    )
    use(memory, (block) => t.is(memory.sizeof(block.byteOffset), 8000))
    t.is(memory.length, 0)
    t.throws(() => use(memory, () => memory.free(-1)), OUT_OF_RANGE)
    t.is(memory.length, 0)
  },
)
