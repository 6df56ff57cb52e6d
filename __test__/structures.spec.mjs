// What all structures have in common: the ways in, atomic over all threads; the way out; what is refused.

import test from 'ava'
import LocalSharedMemory from '../index.js'
import { prepared } from '../structures/codec.js'
import { isAlive, SELF } from '../structures/liveness.js'
import { HEADER_WORDS, magicOf, Structure, wordsOf } from '../structures/structure.js'
import * as structures from '../structures/index.js'
import { freeFrom, mallocInto, place } from '../lib/memory/placing.js'
import { runChild } from './fixtures/child.mjs'
import { launch, reportsOf, within } from './fixtures/launch.mjs'
import { Sample } from './fixtures/sample-structure.mjs'
import {
  CLOSED,
  INVALID_POINTER,
  INVALID_TYPE,
  MISMATCH,
  NOT_A_STRUCTURE,
  OUT_OF_MEMORY,
  OUT_OF_RANGE,
  TIMED_OUT,
} from './fixtures/refusals.mjs'

const { Channel, SharedMap } = structures
const LATEST = 60_000

const newMemory = (options) =>
  new LocalSharedMemory({ initial: 1, maximum: 100, shared: true, ...options })

/** One of another kind, one of another layout, as other versions of the package would have them. */
class Other extends Structure {
  static kind = { name: 'Other', magic: magicOf('OTHR'), version: 1 }
  static plan = () => ({ settings: {}, words: [] })
}
class Later extends Sample {
  static kind = { ...Sample.kind, version: 2 }
}

test('a structure is made, found by its pointer and by its name, and destroyed without a trace', (t) => {
  for (const debug of [false, true]) {
    const memory = newMemory({ debug })
    const made = Sample.create(memory, { start: 7 })
    t.is(made.memory, memory)
    t.is(Sample.at(memory, made.ptr).value, 7)
    const named = Sample.open(memory, 'sample', { start: 8 })
    t.not(named.ptr, made.ptr)
    t.is(memory.getRoot('sample'), named.ptr)
    t.is(Sample.open(memory, 'sample', { start: 8 }).ptr, named.ptr)
    t.is(memory.stats().blockCount, 2)
    memory.setRoot('second name', named.ptr)
    named.destroy()
    t.is(memory.getRoot('sample'), undefined)
    t.is(memory.getRoot('second name'), undefined)
    t.is(Sample.open(memory, 'sample', { start: 9 }).value, 9)
    Sample.open(memory, 'sample', { start: 9 }).destroy()
    made.destroy()
    t.is(memory.length, 0)
    t.deepEqual(memory.check(), [])
  }
})

test('a block begins with what was planned, and is zero behind it', (t) => {
  const memory = newMemory()
  const dirty = memory.malloc(2000)
  memory.memset(dirty, 0xff, 2000)
  memory.free(dirty)
  const made = Sample.create(memory, { start: 5, byteLength: 1000, alignBytes: 4096 })
  t.is(made.ptr % 4096, 0)
  t.is(memory.sizeof(made.ptr), 1000)
  const words = [...wordsOf(made)].slice(HEADER_WORDS)
  t.is(words.shift(), 5)
  t.true(words.every((word) => word === 0))
  t.is(words.length, 1000 / 4 - HEADER_WORDS - 1)
})

test('what was destroyed is refused, through each handle and once more', (t) => {
  // Debug mode holds the block back.
  const memory = newMemory({ debug: false })
  const made = Sample.create(memory)
  const again = Sample.at(memory, made.ptr)
  made.destroy()
  t.throws(() => made.value, NOT_A_STRUCTURE)
  t.throws(() => again.value, NOT_A_STRUCTURE)
  t.throws(() => made.destroy(), NOT_A_STRUCTURE)
  const replaced = Sample.create(memory)
  t.is(replaced.ptr, made.ptr)
  t.throws(() => again.value, NOT_A_STRUCTURE)
  t.throws(() => again.destroy(), NOT_A_STRUCTURE)
  t.is(replaced.value, 0)
})

test('another kind of block, another version and other options are refused', (t) => {
  const memory = newMemory()
  const block = memory.calloc(64)
  const small = memory.malloc(8)
  const other = Other.create(memory)
  const later = Later.create(memory)
  for (const ptr of [block, small, other.ptr])
    t.throws(() => Sample.at(memory, ptr), NOT_A_STRUCTURE)
  t.throws(() => Sample.at(memory, later.ptr), MISMATCH)
  memory.setRoot('block', block)
  t.throws(() => Sample.open(memory, 'block'), NOT_A_STRUCTURE)
  memory.setRoot('later', later.ptr)
  t.throws(() => Sample.open(memory, 'later'), MISMATCH)
  const sample = Sample.open(memory, 'sample', { start: 1 })
  t.throws(() => Sample.open(memory, 'sample', { start: 2 }), MISMATCH)
  t.throws(() => Sample.open(memory, 'sample'), MISMATCH)
  t.is(Sample.at(memory, sample.ptr).value, 1)
  memory.free(sample.ptr)
  t.throws(() => Sample.open(memory, 'sample', { start: 1 }), INVALID_POINTER)
  t.throws(() => Sample.at(memory, block + 16), INVALID_POINTER)
})

test('a block with the words of a destroyed structure is none', (t) => {
  const memory = newMemory()
  const { ptr } = Sample.create(memory)
  const size = memory.sizeof(ptr)
  const used = memory.calloc(size)
  memory.memcpy(used + 4, ptr + 4, size - 4)
  t.throws(() => Sample.at(memory, used), NOT_A_STRUCTURE)
  memory.setUint32(used, 1)
  t.is(Sample.at(memory, used).value, 0)
})

test('a block that is too short for a structure is none, whatever its first words say', (t) => {
  const memory = new LocalSharedMemory(2)
  for (const Kind of [structures.Mutex, structures.Channel]) {
    const short = memory.realloc(Kind.create(memory).ptr, 16)
    t.throws(() => Kind.at(memory, short), NOT_A_STRUCTURE)
  }
})

test('bad arguments are refused', (t) => {
  const memory = newMemory()
  const plain = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true })
  const alike = [Object.create(memory), new Proxy(memory, {})]
  for (const bad of [undefined, null, {}, plain, ...alike, new LocalSharedMemory(1, 2, false)]) {
    t.throws(() => Sample.create(bad), INVALID_TYPE)
    t.throws(() => Sample.at(bad, 16), INVALID_TYPE)
    t.throws(() => Sample.open(bad, 'name'), INVALID_TYPE)
  }
  for (const bad of [undefined, '16', 16n]) t.throws(() => Sample.at(memory, bad), INVALID_TYPE)
  for (const bad of [0, -16, 1.5, NaN, 2 ** 32])
    t.throws(() => Sample.at(memory, bad), OUT_OF_RANGE)
  for (const bad of [undefined, 1]) t.throws(() => Sample.open(memory, bad), INVALID_TYPE)
  for (const bad of ['', 'x'.repeat(257)]) t.throws(() => Sample.open(memory, bad), OUT_OF_RANGE)
  t.is(memory.length, 0)
})

test('a structure for which there is no room leaves nothing behind, and one that needs room grows the memory', (t) => {
  const full = new LocalSharedMemory(1, 1)
  t.throws(() => Sample.open(full, 'sample', { byteLength: 100_000 }), OUT_OF_MEMORY)
  t.is(full.getRoot('sample'), undefined)
  t.is(full.length, 0)
  const growing = newMemory()
  const made = Sample.open(growing, 'sample', { byteLength: 1_000_000 })
  t.is(growing.sizeof(made.ptr), 1_000_000)
  const empty = newMemory({ initial: 0 })
  t.is(Sample.create(empty, { start: 3 }).value, 3)
})

test('a handle stays good while the memory grows', (t) => {
  const memory = newMemory()
  const made = Sample.create(memory, { start: 3 })
  memory.malloc(3_000_000)
  t.is(made.value, 3)
  made.destroy()
})

test('threads that open one name at the same moment get one structure', async (t) => {
  const [threads, rounds] = [3, 300]
  const memory = newMemory()
  const gate = new SharedArrayBuffer(4)
  const launched = Array.from({ length: threads }, () =>
    launch('opening-structure-worker.mjs', { memory, gate, threads, rounds }),
  )
  const reports = await reportsOf(LATEST, launched)
  t.is(reports[0].length, rounds)
  for (const report of reports) t.deepEqual(report, reports[0])
  t.is(memory.stats().blockCount, rounds)
})

test('threads that open a name which others destroy get a structure that is whole', async (t) => {
  const threads = 3
  const memory = newMemory()
  const gate = new SharedArrayBuffer(4)
  const launched = Array.from({ length: threads }, () =>
    launch('opening-structure-worker.mjs', { memory, gate, threads, rounds: 0, destroys: 2000 }),
  )
  t.deepEqual(await reportsOf(LATEST, launched), ['whole', 'whole', 'whole'])
  if (memory.getRoot('contended')) Sample.open(memory, 'contended').destroy()
  t.is(memory.length, 0)
})

test('a pointer that is in a word comes and goes with its block', (t) => {
  for (const debug of [false, true]) {
    const memory = newMemory({ debug })
    const slot = memory.calloc(16) + 4
    const ptr = mallocInto(memory, slot, 1001, 'Sample')
    t.is(memory.getUint32(slot), ptr)
    t.is(memory.sizeof(ptr), 1001)
    freeFrom(memory, slot)
    t.is(memory.getUint32(slot), 0)
    t.is(memory.stats().blockCount, 1)
    freeFrom(memory, slot)
    t.throws(() => mallocInto(memory, slot, 100 * 65_536, 'Sample'), OUT_OF_MEMORY)
    for (const byteLength of [2 ** 32, 2 ** 32 + 8, 0]) {
      t.throws(() => mallocInto(memory, slot, byteLength, 'Sample'), OUT_OF_RANGE)
    }
    t.is(memory.getUint32(slot), 0)
    memory.setUint32(slot, 24)
    t.throws(() => freeFrom(memory, slot), INVALID_POINTER)
    t.is(memory.getUint32(slot), 24)
    t.throws(() => mallocInto(memory, 2 ** 31, 8, 'Sample'), OUT_OF_RANGE)
    t.deepEqual(memory.check(), [])
  }
})

test('the word with the pointer can be the last one of the memory', (t) => {
  const memory = newMemory({ maximum: 1, heapBase: 1024 })
  const last = 65_536 - 4
  const block = memory.malloc(65_536 - 8 * 1024 - memory.stats().usedBytes)
  const ptr = mallocInto(memory, 256, 40, 'Sample')
  t.is(memory.getUint32(256), ptr)
  memory.free(block)
  memory.setUint32(last, 0)
  t.notThrows(() => freeFrom(memory, last))
  t.throws(() => freeFrom(memory, last + 4), OUT_OF_RANGE)
})

test('a block that is placed has whole words', (t) => {
  const memory = newMemory()
  for (const byteLength of [1, 4, 5, 6, 8, 1001]) {
    const ptr = place(memory, Uint32Array.of(7), byteLength, 16, '', 'Sample')
    t.is(memory.sizeof(ptr), Math.ceil(byteLength / 4) * 4)
    t.is(memory.getUint32(ptr), 7)
  }
})

test('debug mode names the structure that a block belongs to', (t) => {
  const memory = newMemory({ debug: true })
  const { ptr } = Sample.create(memory)
  const slot = memory.calloc(8)
  const hanging = mallocInto(memory, slot, 100, 'Other')
  const leaks = new Map(memory.leaks().map((leak) => [leak.blocks[0], leak]))
  t.is(leaks.get(ptr).structure, 'Sample')
  t.is(leaks.get(hanging).structure, 'Other')
  t.is(leaks.get(slot).structure, undefined)
  for (const { stack, threadId: thread } of leaks.values()) {
    t.regex(stack.split('\n')[0], /structures\.spec/)
    t.is(thread, 0)
  }
  memory.setUint8(ptr + memory.sizeof(ptr), 1)
  const [{ made }] = memory.check()
  t.is(made.structure, 'Sample')
})

test('a thread is alive until it ends, in whichever way', async (t) => {
  t.true(Number.isInteger(SELF) && SELF > 0 && SELF < 2 ** 31)
  t.true(isAlive(SELF))
  for (const nobody of [0, SELF + 1_000_000, 2 ** 31 - 1]) t.false(isAlive(nobody))
  const seen = new Set([SELF])
  for (const how of [
    'return',
    'throw',
    'exit',
    'terminate',
    'terminate in a loop',
    'terminate asleep',
  ]) {
    const { worker, end } = launch('token-worker.mjs', { how })
    // oxlint-disable-next-line no-await-in-loop -- one by one
    const token = await within(
      LATEST,
      how,
      new Promise((resolve) => worker.once('message', resolve)),
    )
    t.false(seen.has(token))
    seen.add(token)
    if (how.startsWith('terminate')) {
      t.true(isAlive(token))
      worker.terminate()
    }
    // oxlint-disable-next-line no-await-in-loop
    await within(LATEST, how, end)
    t.false(isAlive(token), how)
  }
})

test('what the second entry point has is named after its class', (t) => {
  for (const [name, value] of Object.entries(structures)) t.is(value.name, name)
})

test('what the constructor of a derived class throws leaves no block behind', (t) => {
  class Broken extends Sample {
    constructor(memory, ptr) {
      super(memory, ptr)
      throw new Error('broken')
    }
  }
  class Filled extends SharedMap {
    constructor(memory, ptr) {
      super(memory, ptr)
      for (let key = 0; key < 100; key++) this.set(key, 'value')
      escaped.push(this)
      throw new Error('broken')
    }
  }
  const escaped = []
  const memory = newMemory()
  for (const Kind of [Broken, Filled]) {
    t.throws(() => Kind.create(memory), { message: 'broken' })
    t.is(memory.stats().blockCount, 0)
  }
  t.throws(() => escaped[0].get(1), NOT_A_STRUCTURE)
})

test('open tries again only what other threads may have caused', (t) => {
  let count = 0
  class Broken extends Sample {
    constructor(memory, ptr) {
      super(memory, ptr)
      count++
      throw Object.assign(new Error('broken'), { code: Broken.code })
    }
  }
  const memory = newMemory()
  for (const [code, expected] of [
    [undefined, 1],
    ['ERR_STRUCTURE_MISMATCH', 1],
    ['ERR_NOT_A_STRUCTURE', 100],
    ['ERR_INVALID_POINTER', 100],
  ]) {
    count = 0
    Broken.code = code
    t.throws(() => Broken.open(memory, 'name'), { message: 'broken' })
    t.is(count, expected)
  }
})

test('a value that could not be stored or sent is let go of', (t) => {
  const memory = newMemory()
  const map = SharedMap.create(memory, { maxBytes: 1000 })
  const channel = Channel.create(memory, { capacity: 200 })
  const [value, long] = [new Uint8Array(100), new Uint8Array(2000)]
  const refused = [
    () => map.set(Symbol('key'), value),
    () => map.set('key', long),
    () => map.getOrInsert('key', long),
    () => map.update('key', () => long),
    () => channel.send(long),
    () => channel.trySend(long),
  ]
  for (const call of refused) {
    t.throws(call)
    t.is(prepared.value, undefined)
  }
  channel.send(value)
  t.throws(() => channel.send(value, { timeout: 0 }), TIMED_OUT)
  t.is(prepared.value, undefined)
  const aborted = channel.sendAsync(value, { timeout: 0 })
  t.is(prepared.value, undefined)
  channel.close()
  t.throws(() => channel.trySend(value), CLOSED)
  t.is(prepared.value, undefined)
  return t.throwsAsync(aborted)
})

const isNode = !process.versions.bun && !process.versions.deno
// Compiled code takes other amounts of the stack than what is interpreted.
const WAYS = { 'in compiled code too': [], 'in no compiled code': ['--no-opt'] }

for (const [way, flags] of Object.entries(WAYS)) {
  test(`at the end of the stack nothing is left half done, ${way}`, async (t) => {
    const options = isNode ? { flags: ['--stack-size=100', ...flags] } : {}
    const { stdout, stderr } = await runChild('structures-stack-ends.mjs', [], options)
    const faults = JSON.parse(stdout || '[]')
    t.true(faults.length > 0, stderr)
    t.deepEqual(
      faults.filter(([, count]) => count > 0),
      [],
    )
  })
}
