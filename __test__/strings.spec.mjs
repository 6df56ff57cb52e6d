// Text in the memory: what goes in as a string comes out as the same string, and never a byte outside the block changes.

import { Worker } from 'node:worker_threads'
import test from 'ava'
import LocalSharedMemory from '../index.js'
import { randomFrom } from './fixtures/random.mjs'

const INVALID_TYPE = { instanceOf: TypeError, code: 'ERR_INVALID_ARG_TYPE' }
const OUT_OF_RANGE = { instanceOf: RangeError, code: 'ERR_OUT_OF_RANGE' }
const INVALID_POINTER = { instanceOf: Error, code: 'ERR_INVALID_POINTER' }

const newMemory = (shared = true) => new LocalSharedMemory(1, 1000, shared)
const utf8 = (text) => [...Buffer.from(text)]
const bytesAt = (memory, ptr, length) => [...new Uint8Array(memory.arrayBuffer(ptr, length))]

const TEXTS = {
  empty: '',
  'one letter': 'a',
  'two bytes a letter': 'äöüß',
  'three bytes a letter': '漢字かな',
  'four bytes a letter': '👩‍👩‍👧𝄞',
  'a byte order mark': '\u{feff}text',
  'controls other than NUL': '\u0001\t\r\n\u007f',
  '63 bytes': 'x'.repeat(63),
  '64 bytes': 'x'.repeat(64),
  '65 bytes': 'x'.repeat(65),
  'as many as one encoding holds': 'é'.repeat(341),
  'one more': 'é'.repeat(342),
  '1023 bytes': 'x'.repeat(1023),
  '1024 bytes': 'x'.repeat(1024),
  '1025 bytes': 'x'.repeat(1025),
  'long, and one byte a letter but for the last': `${'x'.repeat(2000)}é`,
  'long, and one byte a letter but for the first': `é${'x'.repeat(2000)}`,
  'a megabyte': '0123456789abcdé'.repeat(65_536),
}

for (const [title, text] of Object.entries(TEXTS)) {
  test(`a text comes back as it was: ${title}`, (t) => {
    for (const shared of [true, false]) {
      const memory = newMemory(shared)
      const length = Buffer.byteLength(text)
      const ptr = memory.mallocString(text)
      t.is(memory.sizeof(ptr), length + 1)
      t.is(memory.getString(ptr), text)
      t.is(memory.getString(ptr, length), text)
      t.is(memory.getUint8(ptr + length), 0)
      const other = memory.malloc(length + 10)
      memory.memset(other, 255, length + 10)
      t.is(memory.setString(other, text), length)
      t.is(memory.getString(other), text)
      t.deepEqual(bytesAt(memory, other + length, 10), [0, ...Array(9).fill(255)])
    }
  })
}

test('texts with NULs come back by their length, and end at the first one without', (t) => {
  const memory = newMemory()
  for (const text of ['\0', 'a\0b', '\0\0a', `${'x'.repeat(2000)}\0y`]) {
    const length = Buffer.byteLength(text)
    const ptr = memory.mallocString(text)
    t.is(memory.getString(ptr, length), text)
    t.is(memory.getString(ptr, length + 1), `${text}\0`)
    t.is(memory.getString(ptr), text.slice(0, text.indexOf('\0')))
  }
})

test('a block of 2 GiB and more takes texts, too', (t) => {
  const memory = new LocalSharedMemory(1, 65_536)
  for (const length of [2 ** 31 - 1, 2 ** 31, 3 * 2 ** 30]) {
    const ptr = memory.malloc(length)
    for (const text of ['a', 'é'.repeat(3000), '']) {
      t.is(memory.setString(ptr, text), Buffer.byteLength(text))
      t.is(memory.getString(ptr), text)
    }
    memory.free(ptr)
  }
})

test('a text ends where its block does, or at the first NUL before that', (t) => {
  for (const shared of [true, false]) {
    const memory = newMemory(shared)
    for (const length of [1, 31, 32, 33, 34, 63, 64, 65, 1000, 100_000]) {
      const ptr = memory.malloc(length)
      const text = 'é'.repeat(length / 2).padEnd(length - (length >>> 1), 'x')
      t.is(memory.setString(ptr, text), length)
      t.is(memory.getString(ptr), text)
      memory.setUint8(ptr + length - 1, 0)
      t.is(memory.getString(ptr).length, length % 2 === 0 ? length / 2 : length >>> 1)
      const before = bytesAt(memory, ptr, length)
      t.throws(() => memory.setString(ptr, `${text}x`), OUT_OF_RANGE)
      t.deepEqual(bytesAt(memory, ptr, length), before)
    }
  }
})

test('a surrogate without its other half becomes U+FFFD, as does what is not UTF-8', (t) => {
  const memory = newMemory()
  for (const [text, expected] of [
    ['\ud800', '\ufffd'],
    ['a\udc00b', 'a\ufffdb'],
    ['\ud83d\ud83d\ude00', '\ufffd😀'],
    [`${'x'.repeat(1000)}\ud800`, `${'x'.repeat(1000)}\ufffd`],
  ]) {
    const ptr = memory.mallocString(text)
    t.is(memory.sizeof(ptr), Buffer.byteLength(expected) + 1)
    t.is(memory.getString(ptr), expected)
  }
  const ptr = memory.malloc(4)
  for (const bytes of [
    [0xff, 0x61, 0, 0],
    [0xc3, 0, 0, 0],
    [0xe2, 0x82, 0, 0],
    [0x80, 0x80, 0x80, 0x80],
  ]) {
    memory.memset(ptr, Uint8Array.from(bytes))
    const end = bytes.includes(0) ? bytes.indexOf(0) : 4
    t.is(memory.getString(ptr), new TextDecoder().decode(Uint8Array.from(bytes.slice(0, end))))
  }
})

test('a text that is as long as the block fills it, without a NUL', (t) => {
  const memory = newMemory()
  const ptr = memory.malloc(16)
  const next = memory.malloc(16)
  memory.memset(next, 7, 16)
  const headers = bytesAt(memory, next - 8, 24)
  t.is(memory.setString(ptr, '0123456789abcdef'), 16)
  t.is(memory.getString(ptr), '0123456789abcdef')
  t.deepEqual(bytesAt(memory, next - 8, 24), headers)
})

test('a text that is longer than the block is refused, and nothing is written', (t) => {
  const memory = newMemory()
  for (const [size, text] of [
    [1, 'ab'],
    [1, 'é'],
    [5, '漢字'],
    [16, 'x'.repeat(17)],
    [1000, 'x'.repeat(1001)],
    [1000, '漢'.repeat(334)],
    [3000, 'x'.repeat(3001)],
  ]) {
    const ptr = memory.malloc(size)
    memory.memset(ptr, 9, size)
    const before = Buffer.from(memory.buffer).toString('latin1')
    t.throws(() => memory.setString(ptr, text), OUT_OF_RANGE)
    t.is(Buffer.from(memory.buffer).toString('latin1'), before)
  }
})

test('a length reads any bytes of the memory, and no others', (t) => {
  const memory = newMemory()
  const ptr = memory.mallocString('one two')
  t.is(memory.getString(ptr + 4, 3), 'two')
  t.is(memory.getString(ptr, 0), '')
  const end = memory.buffer.byteLength
  t.is(memory.getString(end - 1, 1), '\0')
  for (const [at, length] of [
    [end - 1, 2],
    [end, 1],
    [1, end],
    [ptr, 2 ** 32],
    [ptr, -1],
    [ptr, 1.5],
    [ptr, NaN],
    [0, 1],
    [-8, 8],
    [2 ** 32 + 16, 1],
  ]) {
    t.throws(() => memory.getString(at, length), OUT_OF_RANGE)
  }
})

test('without a length there has to be a live block', (t) => {
  const memory = newMemory()
  const ptr = memory.mallocString('text')
  t.throws(() => memory.getString(ptr + 1), INVALID_POINTER)
  t.throws(() => memory.setString(ptr + 16, ''), INVALID_POINTER)
  memory.free(ptr)
  t.throws(() => memory.getString(ptr), INVALID_POINTER)
  t.throws(() => memory.setString(ptr, 'text'), INVALID_POINTER)
  t.throws(() => newMemory().getString(16), INVALID_POINTER)
})

test('what is no string, pointer or length is refused', (t) => {
  const memory = newMemory()
  const ptr = memory.malloc(100)
  for (const value of [undefined, null, 1, 1n, Symbol('text'), {}, ['text'], Object('text')]) {
    t.throws(() => memory.setString(ptr, value), INVALID_TYPE)
    t.throws(() => memory.mallocString(value), INVALID_TYPE)
  }
  for (const value of [null, '16', 16n, {}, Object(16)]) {
    t.throws(() => memory.getString(value), INVALID_TYPE)
    t.throws(() => memory.setString(value, 'text'), INVALID_TYPE)
    t.throws(() => memory.getString(ptr, value), INVALID_TYPE)
    t.throws(() => memory.getString(value, 1), INVALID_TYPE)
  }
  t.is(memory.allocs().length, 1)
})

test('no block is lost when the heap cannot hold a text', (t) => {
  const memory = new LocalSharedMemory(1)
  const text = 'x'.repeat(100_000)
  t.throws(() => memory.mallocString(text), { instanceOf: RangeError, code: 'ERR_OUT_OF_MEMORY' })
  t.is(memory.length, 0)
})

test('a text survives the growth that its own block makes', (t) => {
  for (const shared of [true, false]) {
    const memory = newMemory(shared)
    const text = 'grow '.repeat(100_000)
    t.is(memory.getString(memory.mallocString(text)), text)
    t.true(memory.buffer.byteLength > 65_536)
  }
})

test('random texts come back', (t) => {
  const memory = newMemory()
  const random = randomFrom(11)
  for (let round = 0; round < 2000; round++) {
    const points = Array.from({ length: random(40) }, () => 1 + random(0xd7ff))
    const text = String.fromCodePoint(...points)
    const ptr = memory.mallocString(text)
    t.deepEqual(bytesAt(memory, ptr, memory.sizeof(ptr)), [...utf8(text), 0])
    if (memory.getString(ptr) !== text) t.fail(JSON.stringify(text))
    memory.free(ptr)
  }
})

test('reading while another thread writes gives a string, of at most the length that was asked for', async (t) => {
  const memory = newMemory()
  const size = 3000
  const ptr = memory.calloc(size)
  const stop = memory.calloc(4)
  const writer = new Worker(
    `const { workerData: { memory, ptr, size, stop } } = require('node:worker_threads')
    const bytes = new Uint8Array(memory.buffer, ptr, size)
    const flag = new Int32Array(memory.buffer, stop, 1)
    const patterns = [0x61, 0xc3, 0xe6, 0xf0, 0x80, 0xff].map((byte) => new Uint8Array(size).fill(byte))
    for (let i = 0; Atomics.load(flag, 0) === 0; i++) {
      bytes.set(patterns[i % patterns.length])
    }`,
    { eval: true, workerData: { memory, ptr, size, stop } },
  )
  const ended = new Promise((resolve, reject) => {
    writer.on('exit', resolve)
    writer.on('error', reject)
  })
  while (memory.getUint8(ptr) === 0) {
    // oxlint-disable-next-line no-await-in-loop -- until the writer is there
    await new Promise(setImmediate)
  }
  for (let round = 0; round < 3000; round++) {
    const length = round % size
    if (memory.getString(ptr, length).length > length) t.fail('too long')
    if (memory.getString(ptr).length > size) t.fail('too long')
  }
  memory.store(Int32Array, stop / 4, 1)
  t.is(await ended, 0)
  t.is(memory.allocs().length, 2)
})
