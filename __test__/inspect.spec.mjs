// What console.log shows of a memory.

import { inspect } from 'node:util'
import test from 'ava'
import LocalSharedMemory from '../index.js'

const LINE = { breakLength: Infinity }
const newMemory = () =>
  new LocalSharedMemory({ initial: 1, maximum: 4, shared: true, storage: 'engine' })

test('a memory is summed up in a line', (t) => {
  const memory = newMemory()
  t.false(inspect(memory).includes('\n'))
  const empty =
    "LocalSharedMemory { storage: 'engine', byteLength: 65536, usedBytes: 0, freeBytes: 0"
  t.is(inspect(memory, LINE), `${empty}, cachedBytes: 0, blockCount: 0 }`)
  memory.malloc(100)
  const { usedBytes, freeBytes, cachedBytes } = memory.stats()
  t.is(
    inspect({ memory }, LINE),
    `{ memory: LocalSharedMemory { storage: 'engine', byteLength: 65536, usedBytes: ${usedBytes}, ` +
      `freeBytes: ${freeBytes}, cachedBytes: ${cachedBytes}, blockCount: 1 } }`,
  )
})

test('it changes nothing', (t) => {
  const memory = newMemory()
  inspect(memory)
  t.true(new Uint8Array(memory.buffer).every((byte) => byte === 0))
  memory.malloc(100)
  const bytes = memory.arrayBuffer(1, 65_535)
  const stats = memory.stats()
  inspect(memory, { depth: Infinity, showHidden: true })
  t.deepEqual(memory.arrayBuffer(1, 65_535), bytes)
  t.deepEqual(memory.stats(), stats)
})

test('depth and colors are respected', (t) => {
  const memory = newMemory()
  t.is(inspect(memory, { depth: -1 }), '[LocalSharedMemory]')
  t.is(inspect([[memory]], { depth: 1, ...LINE }), '[ [ [LocalSharedMemory] ] ]')
  t.is(inspect(memory, { depth: -1, colors: true }), '\u001b[36m[LocalSharedMemory]\u001b[39m')
  t.true(inspect(memory, { colors: true }).includes('\u001b[33m65536\u001b[39m'))
  t.regex(inspect(memory, { depth: 0 }), /byteLength: 65536/)
  t.regex(inspect(memory, { depth: null }), /byteLength: 65536/)
  t.false(inspect(memory, { customInspect: false }).includes('byteLength'))
})

test('it shows the name of a subclass', (t) => {
  class Mine extends LocalSharedMemory {}
  t.regex(inspect(new Mine(1)), /^Mine \{/)
})

test('a corrupted heap is shown as one', (t) => {
  for (const byte of [255, 0, 1]) {
    const memory = newMemory()
    memory.malloc(100)
    memory.fill(Uint8Array, byte, 16)
    t.is(
      inspect(memory, LINE),
      "LocalSharedMemory { storage: 'engine', byteLength: 65536, error: 'ERR_HEAP_CORRUPTED' }",
    )
  }
})

test('what is not a memory at all is shown too', (t) => {
  t.notThrows(() => inspect(LocalSharedMemory.prototype))
  t.notThrows(() => inspect(LocalSharedMemory))
  t.regex(inspect(Object.create(newMemory()), LINE), /^LocalSharedMemory \{ error: /)
  t.notThrows(() => inspect(newMemory(), { showProxy: true, getters: true }))
})

test('memories without pages and without a heap are shown', (t) => {
  t.regex(inspect(new LocalSharedMemory(0, 1)), /byteLength: 0/)
  t.regex(inspect(new LocalSharedMemory(1, 1, false)), /storage: 'engine'/)
  const plain = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true })
  t.regex(inspect(LocalSharedMemory.from(plain)), /blockCount: 0/)
})
