// LocalSharedMemory is a WebAssembly.Memory: what the engine's own class does, it does.

import { once } from 'node:events'
import { createContext, runInContext } from 'node:vm'
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads'
import test from 'ava'
import LocalSharedMemory, { LocalSharedMemory as Named } from '../index.js'
import { PAGE } from './fixtures/pages.mjs'

/** A name as a WebAssembly module holds it: its length, its bytes. */
const name = (text) => [text.length, ...Buffer.from(text)]

const outcome = (Class, args) => {
  try {
    const { buffer } = new Class(...args)
    return { byteLength: buffer.byteLength, type: Object.prototype.toString.call(buffer) }
  } catch (error) {
    return { error: error.constructor }
  }
}

const throwing = {
  get initial() {
    throw new SyntaxError('mine')
  },
}

const DESCRIPTORS = {
  'initial only': { initial: 2 },
  'no page': { initial: 0 },
  'no page, shared': { initial: 0, maximum: 0, shared: true },
  'with a maximum': { initial: 1, maximum: 3 },
  shared: { initial: 1, maximum: 3, shared: true },
  'shared by a truthy value': { initial: 1, maximum: 3, shared: 'yes' },
  'not shared by a falsy value': { initial: 1, maximum: 3, shared: 0 },
  'shared without a maximum': { initial: 1, shared: true },
  empty: {},
  'initial missing': { maximum: 3 },
  'initial undefined': { initial: undefined, maximum: 3 },
  'initial null': { initial: null },
  'initial negative': { initial: -1 },
  'initial -0': { initial: -0 },
  'initial fractional': { initial: 1.7 },
  'initial NaN': { initial: NaN },
  'initial Infinity': { initial: Infinity },
  'initial 2 ** 32': { initial: 2 ** 32 },
  'initial 2 ** 32 + 1': { initial: 2 ** 32 + 1, maximum: 2 ** 32 + 1, shared: true },
  'initial above 65536': { initial: 65_537 },
  'maximum above 65536': { initial: 1, maximum: 65_537 },
  'maximum above 65536, shared': { initial: 1, maximum: 65_537, shared: true },
  'maximum 65536, shared': { initial: 1, maximum: 65_536, shared: true },
  'maximum below initial': { initial: 3, maximum: 2 },
  'maximum below initial, shared': { initial: 3, maximum: 2, shared: true },
  'maximum negative': { initial: 1, maximum: -1 },
  'maximum fractional': { initial: 1, maximum: 2.9, shared: true },
  'maximum NaN': { initial: 1, maximum: NaN, shared: true },
  'maximum null': { initial: 0, maximum: null },
  'maximum undefined': { initial: 1, maximum: undefined },
  'maximum undefined, shared': { initial: 1, maximum: undefined, shared: true },
  strings: { initial: '1', maximum: '0x2', shared: true },
  'a string that is no number': { initial: 'one' },
  'an empty string': { initial: '' },
  booleans: { initial: true, maximum: true },
  bigint: { initial: 1n },
  symbol: { initial: Symbol('1') },
  'valueOf and toString': { initial: { valueOf: () => 1 }, maximum: { toString: () => '2' } },
  'an array of one': { initial: [1] },
  'an object that is no number': { initial: {} },
  inherited: Object.create({ initial: 1, maximum: 2, shared: true }),
  'without a prototype': Object.assign(Object.create(null), { initial: 1 }),
  null: null,
  'an array': [1],
  'a function': Object.assign(() => 1, { initial: 1 }),
  'a getter that throws': throwing,
  'a memory': new WebAssembly.Memory({ initial: 1 }),
}

for (const [title, descriptor] of Object.entries(DESCRIPTORS)) {
  test(`a descriptor is WebAssembly.Memory's: ${title}`, (t) => {
    const expected = outcome(WebAssembly.Memory, [descriptor])
    t.deepEqual(outcome(LocalSharedMemory, [descriptor]), expected)
  })
}

test('a first argument that is no object is an initial size', (t) => {
  for (const initial of ['1', true, 1n, Symbol('1'), 'one', '']) {
    const descriptor = { initial, maximum: initial, shared: true }
    const expected = outcome(WebAssembly.Memory, [descriptor])
    t.deepEqual(outcome(LocalSharedMemory, [initial]), expected)
  }
})

test('numbers mean pages, and are judged as in a descriptor', (t) => {
  const table = [
    [[2], { initial: 2, maximum: 2, shared: true }],
    [[2, 4], { initial: 2, maximum: 4, shared: true }],
    [[2, undefined, false], { initial: 2, maximum: 2, shared: false }],
    [[2, 4, false], { initial: 2, maximum: 4, shared: false }],
    [[undefined, 1001], { initial: 1000, maximum: 1001, shared: true }],
    [[4, 2], { initial: 4, maximum: 2, shared: true }],
    [[-1], { initial: -1, maximum: -1, shared: true }],
    [[NaN], { initial: NaN, maximum: NaN, shared: true }],
    [[65_537], { initial: 65_537, maximum: 65_537, shared: true }],
    [[0], { initial: 0, maximum: 0, shared: true }],
  ]
  for (const [args, descriptor] of table) {
    t.deepEqual(outcome(LocalSharedMemory, args), outcome(WebAssembly.Memory, [descriptor]))
  }
})

test('the maximum is that of the arguments', (t) => {
  const fixed = new LocalSharedMemory(2)
  t.throws(() => fixed.grow(1), { instanceOf: RangeError })
  const growing = new LocalSharedMemory(2, 4)
  t.is(growing.grow(2), 2)
  t.throws(() => growing.grow(1), { instanceOf: RangeError })
})

test.serial('without arguments: devicePageSize pages, shared, read at construction', (t) => {
  t.is(LocalSharedMemory.devicePageSize, 1000)
  const memory = new LocalSharedMemory()
  t.is(memory.buffer.byteLength, 1000 * PAGE)
  t.true(memory.buffer instanceof SharedArrayBuffer)
  t.throws(() => memory.grow(1), { instanceOf: RangeError })
  LocalSharedMemory.devicePageSize = 3
  try {
    t.is(new LocalSharedMemory().buffer.byteLength, 3 * PAGE)
  } finally {
    LocalSharedMemory.devicePageSize = 1000
  }
})

test('it is an instance of its class, of its subclasses and of WebAssembly.Memory', (t) => {
  class Mine extends LocalSharedMemory {}
  t.is(Named, LocalSharedMemory)
  const memory = new Mine(1)
  t.true(memory instanceof Mine)
  t.true(memory instanceof LocalSharedMemory)
  t.true(memory instanceof WebAssembly.Memory)
  t.is(Object.prototype.toString.call(memory), '[object WebAssembly.Memory]')
  t.throws(() => LocalSharedMemory(1), { instanceOf: TypeError })
})

test('grow returns the pages there were, and refuses what WebAssembly.Memory refuses', (t) => {
  for (const shared of [true, false]) {
    const descriptor = { initial: 1, maximum: 4, shared }
    const memory = new LocalSharedMemory(descriptor)
    const plain = new WebAssembly.Memory(descriptor)
    for (const delta of [0, 1, 2, 1, 4, -1, 2 ** 32, NaN, '0', undefined, 1n]) {
      const grow = (target) => {
        try {
          return target.grow(delta)
        } catch (error) {
          return error.constructor
        }
      }
      t.is(grow(memory), grow(plain), String(delta))
      t.is(memory.buffer.byteLength, plain.buffer.byteLength)
    }
    t.is(memory.buffer.byteLength, 4 * PAGE)
  }
})

test('a fresh memory is all zero, grown pages too', (t) => {
  for (const shared of [true, false]) {
    const memory = new LocalSharedMemory({ initial: 2, maximum: 4, shared })
    memory.grow(2)
    t.true(new Uint8Array(memory.buffer).every((byte) => byte === 0))
  }
})

test('bytes 0 to 15 stay zero when the heap is used', (t) => {
  const memory = new LocalSharedMemory({ initial: 1, maximum: 8, shared: true })
  const ptrs = Array.from({ length: 100 }, (_, i) => memory.malloc(i + 1))
  for (const ptr of ptrs) memory.memset(ptr, 255, memory.sizeof(ptr))
  for (const ptr of ptrs) memory.free(ptr)
  t.deepEqual(new Uint8Array(memory.buffer).slice(0, 16), new Uint8Array(16))
})

test('its buffer is the same object until it grows', (t) => {
  const memory = new LocalSharedMemory({ initial: 1, maximum: 2, shared: true })
  const { buffer } = memory
  t.is(memory.buffer, buffer)
  memory.grow(1)
  t.not(memory.buffer, buffer)
  t.is(buffer.byteLength, PAGE)
})

test('a module imports it', async (t) => {
  // (module (import "env" "memory" (memory 1 4 shared))
  //   (func (export "load") (param i32) (result i32) local.get 0 i32.load)
  //   (func (export "grow") (result i32) i32.const 1 memory.grow))
  const header = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]
  const types = [1, 10, 2, 0x60, 1, 0x7f, 1, 0x7f, 0x60, 0, 1, 0x7f]
  const imports = [2, 16, 1, ...name('env'), ...name('memory'), 2, 3, 1, 4]
  const functions = [3, 3, 2, 0, 1]
  const exports = [7, 15, 2, ...name('load'), 0, 0, ...name('grow'), 0, 1]
  const code = [10, 16, 2, 7, 0, 0x20, 0, 0x28, 2, 0, 0x0b, 6, 0, 0x41, 1, 0x40, 0, 0x0b]
  const module = [header, types, imports, functions, exports, code].flat()
  const memory = new LocalSharedMemory({ initial: 1, maximum: 4, shared: true })
  const { instance } = await WebAssembly.instantiate(Uint8Array.from(module), { env: { memory } })
  memory.setInt32(1024, -7)
  t.is(instance.exports.load(1024), -7)
  t.is(instance.exports.grow(), 1)
  t.is(memory.buffer.byteLength, 2 * PAGE)
  memory.setInt32(2 * PAGE - 4, 11)
  t.is(instance.exports.load(2 * PAGE - 4), 11)
})

test('from gives a received memory the class and keeps its bytes', async (t) => {
  const { port1, port2 } = new MessageChannel()
  const memory = new LocalSharedMemory({ initial: 1, maximum: 4, shared: true })
  const ptr = memory.malloc(64)
  memory.setInt32(ptr, 1)
  port1.postMessage(memory)
  const { message } = receiveMessageOnPort(port2)
  port1.close()
  await once(port1, 'close')
  t.false(message instanceof LocalSharedMemory)
  const received = LocalSharedMemory.from(message)
  t.true(received instanceof LocalSharedMemory)
  t.true(received instanceof WebAssembly.Memory)
  t.is(received.getInt32(ptr), 1)
  received.setInt32(ptr, 2)
  t.is(memory.getInt32(ptr), 2)
  received.grow(1)
  memory.setInt32(2 * PAGE - 4, 3)
  t.is(received.getInt32(2 * PAGE - 4), 3)
})

test('from adopts a plain memory itself, and returns what has the class already', (t) => {
  for (const shared of [true, false]) {
    const plain = new WebAssembly.Memory({ initial: 1, maximum: 2, shared })
    const { buffer } = plain
    const memory = LocalSharedMemory.from(plain)
    t.is(memory, plain)
    t.true(memory instanceof LocalSharedMemory)
    t.is(memory.buffer, buffer)
    memory.setInt32(memory.malloc(64), 7)
    t.is(memory.allocs().length, 1)
    t.is(LocalSharedMemory.from(memory), memory)
  }
})

/** What a call throws; ava takes no DOMException for an error. */
const refusal = (act) => {
  try {
    return act()
  } catch (error) {
    return error
  }
}

test('what the engine says of a memory that cannot be posted tells what to do', (t) => {
  const own = new LocalSharedMemory({ initial: 1, maximum: 2 })
  const adopted = LocalSharedMemory.from(new WebAssembly.Memory({ initial: 1 }))
  for (const memory of [own, adopted]) {
    const { name: title, message } = refusal(() => structuredClone(memory))
    t.is(title, 'DataCloneError')
    t.true(message.includes('shared: true'))
    t.deepEqual(Object.keys(memory), [])
    t.is(memory.constructor, LocalSharedMemory)
  }
  const shared = new LocalSharedMemory(1, 2)
  t.deepEqual(Object.getOwnPropertySymbols(shared), [])
  t.is(Object.prototype.toString.call(shared), '[object WebAssembly.Memory]')
})

test('from takes a memory of another context, whose classes are others', (t) => {
  for (const shared of [true, false]) {
    const context = createContext({ shared })
    const plain = runInContext(
      'new WebAssembly.Memory({ initial: 1, maximum: 3, shared })',
      context,
    )
    t.false(plain instanceof WebAssembly.Memory)
    const memory = LocalSharedMemory.from(plain)
    t.is(memory, plain)
    const small = memory.malloc(64)
    memory.setInt32(small, 7)
    memory.free(memory.malloc(PAGE))
    t.is(memory.buffer.byteLength > PAGE, true)
    t.is(memory.getInt32(small), 7)
    memory.free(small)
    t.is(memory.length, 0)
  }
})

test('from refuses options that are none, and leaves the memory as it is', (t) => {
  for (const options of [null, 1, 'options']) {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 2, shared: true })
    t.throws(() => LocalSharedMemory.from(memory, options), {
      instanceOf: TypeError,
      code: 'ERR_INVALID_ARG_TYPE',
    })
    t.is(Object.getPrototypeOf(memory), WebAssembly.Memory.prototype)
  }
})

test('from refuses what is no memory', (t) => {
  const fake = Object.create(WebAssembly.Memory.prototype)
  for (const value of [
    undefined,
    null,
    1,
    'memory',
    {},
    { initial: 1 },
    new ArrayBuffer(8),
    fake,
  ]) {
    t.throws(() => LocalSharedMemory.from(value), {
      instanceOf: TypeError,
      code: 'ERR_INVALID_ARG_TYPE',
    })
  }
})
