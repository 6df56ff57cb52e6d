// Debug mode: patterns, guards, the quarantine, who made and freed each block, and who is in debug mode.

import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { threadId } from 'node:worker_threads'
import test from 'ava'
import LocalSharedMemory from '../index.js'
import { runChild } from './fixtures/child.mjs'
import { launch, reportsOf, within } from './fixtures/launch.mjs'
import { libcModule } from './fixtures/modules.mjs'
import { PAGE } from './fixtures/pages.mjs'
import { allBytes, intact, stamp } from './fixtures/pattern.mjs'
import { runRandomly, Shadow } from './fixtures/shadow.mjs'

const [FRESH, FREED, GUARD] = [0xcd, 0xdd, 0xfd]
const LEAST_GUARD = 16
const SIZES = [1, 7, 16, 100, 1000, 4096, 32_776, 50_000, 300_000]
const CORRUPTED = { code: 'ERR_HEAP_CORRUPTED' }
const INVALID = { code: 'ERR_INVALID_POINTER' }

const onLinux = process.platform === 'linux' ? test : test.skip
const make = (options) =>
  new LocalSharedMemory({ initial: 40, maximum: 100, shared: true, debug: true, ...options })

const KINDS = {
  native: {},
  engine: { storage: 'engine' },
  'not shared': { shared: false },
  heapBase: { heapBase: PAGE + 100 },
  'no initial pages': { initial: 0 },
}

function madeHere(memory, byteLength, alignBytes) {
  return memory.malloc(byteLength, alignBytes)
}

function freedHere(memory, ptr) {
  memory.free(ptr)
}

for (const [kind, options] of Object.entries(KINDS)) {
  test(`${kind}: headers, patterns and guards`, (t) => {
    const memory = make(options)
    for (const byteLength of SIZES) {
      for (const alignBytes of [1, 16, 64, 4096, 65_536]) {
        const ptr = memory.malloc(byteLength, alignBytes)
        t.is(ptr % alignBytes, 0)
        t.is(memory.getUint32(ptr - 8), byteLength)
        t.is(memory.sizeof(ptr), byteLength)
        t.is(memory.getUint32(ptr - 4), memory.lengthof(ptr))
        t.true(memory.lengthof(ptr) >= byteLength + 8 + LEAST_GUARD)
        t.true(allBytes(memory, ptr, byteLength, FRESH))
        t.is(memory.getUint8(ptr), FRESH)
        t.true(allBytes(memory, ptr + byteLength, LEAST_GUARD, GUARD))
        t.is(memory.getUint8(ptr + byteLength), GUARD)
        memory.free(ptr)
      }
    }
    const ptr = memory.malloc(100)
    memory.memset(ptr, 1, 100)
    memory.free(ptr)
    t.true(allBytes(memory, ptr, 100, FREED))
    t.is(memory.getUint8(ptr), FREED)
    t.deepEqual(memory.check(), [])
    t.is(memory.length, 0)
  })

  test(`${kind}: a heap in debug mode keeps the contract`, (t) => {
    const memory = make(options)
    const shadow = new Shadow(memory)
    for (const seed of [1, 2]) {
      runRandomly(shadow, { seed, steps: 1200, maxBytes: 60_000, maxLive: 120, verifyEvery: 300 })
      t.deepEqual(memory.check(), [])
    }
    shadow.freeAll()
    shadow.verify()
    memory.trim()
    t.is(memory.stats().cachedBytes, 0)
    t.deepEqual(memory.check(), [])
    t.true(shadow.stayed > 0 && shadow.moved > 0)
  })
}

test('a block that was freed before, or holds the pointer, is named with its story', (t) => {
  const memory = make()
  const ptr = madeHere(memory, 100)
  const inside = t.throws(() => memory.free(ptr + 16), INVALID)
  t.is(inside.ptr, ptr)
  t.regex(inside.made.stack, /madeHere/)
  t.is(inside.freed, undefined)
  freedHere(memory, ptr)
  for (const act of [
    () => memory.free(ptr),
    () => memory.realloc(ptr, 10),
    () => memory.sizeof(ptr),
    () => memory.lengthof(ptr),
  ]) {
    const error = t.throws(act, INVALID)
    t.is(error.byteLength, 100)
    t.is(error.made.threadId, threadId)
    t.regex(error.made.stack, /madeHere.*debug\.spec\.mjs/)
    t.notRegex(error.made.stack, /lib\/heap\.js/)
    t.is(error.freed.threadId, threadId)
    t.regex(error.freed.stack, /freedHere/)
    t.true(error.message.includes(error.made.stack))
    t.true(error.message.includes(error.freed.stack))
  }
  const unknown = t.throws(() => memory.free(39 * PAGE), INVALID)
  t.is(unknown.made, undefined)
})

test('a write past the end is found by free and realloc, which change nothing', (t) => {
  for (const byteLength of SIZES) {
    const memory = make()
    const ptr = madeHere(memory, byteLength)
    memory.malloc(byteLength)
    for (const at of [ptr + byteLength, ptr + byteLength + 15]) {
      memory.setUint8(at, 0)
      for (const act of [() => memory.free(ptr), () => memory.realloc(ptr, byteLength + 1)]) {
        const error = t.throws(act, CORRUPTED)
        t.is(error.kind, 'overrun')
        t.deepEqual([error.ptr, error.byteLength, error.byteOffset], [ptr, byteLength, at])
        t.regex(error.made.stack, /madeHere/)
      }
      t.is(memory.sizeof(ptr), byteLength)
      memory.setUint8(at, GUARD)
    }
    memory.free(ptr)
  }
})

test('a write before the start is found by every call with the pointer', (t) => {
  const memory = make()
  const ptr = madeHere(memory, 100)
  for (const offset of [1, 4, 5, 8]) {
    const before = memory.getUint8(ptr - offset)
    memory.setUint8(ptr - offset, before ^ 1)
    for (const method of ['free', 'sizeof', 'lengthof']) {
      const error = t.throws(() => memory[method](ptr), CORRUPTED)
      t.deepEqual([error.kind, error.ptr], ['header', ptr])
      t.regex(error.made.stack, /madeHere/)
    }
    memory.setUint8(ptr - offset, before)
  }
  memory.free(ptr)
})

test('a write after free is found by check, and when the block leaves the quarantine', (t) => {
  for (const byteLength of SIZES) {
    const memory = make()
    const ptr = madeHere(memory, byteLength)
    freedHere(memory, ptr)
    memory.setUint8(ptr + byteLength - 1, 1)
    const [fault, ...others] = memory.check()
    t.deepEqual(others, [])
    t.deepEqual([fault.kind, fault.ptr], ['write-after-free', ptr])
    t.is(fault.byteOffset, ptr + byteLength - 1)
    const error = t.throws(() => memory.trim(), CORRUPTED)
    t.is(error.kind, 'write-after-free')
    t.regex(error.made.stack, /madeHere/)
    t.regex(error.freed.stack, /freedHere/)
    memory.trim()
    t.deepEqual(memory.check(), [])
    t.is(memory.stats().cachedBytes, 0)
    memory.free(memory.malloc(byteLength))
  }
})

test('a free or realloc that reports what was written to another block goes on the next time', (t) => {
  for (const act of ['free', 'realloc']) {
    const memory = make({ initial: 4, maximum: 4 })
    const ptrs = Array.from({ length: 150 }, () => memory.malloc(1000))
    const first = ptrs.shift()
    memory.free(first)
    memory.setUint8(first, 0)
    let errors = 0
    for (const ptr of ptrs) {
      stamp(memory, ptr, 1000, ptr)
      const before = memory.stats()
      try {
        memory[act](ptr, 400)
        continue
      } catch (error) {
        errors++
        t.is(error.code, 'ERR_HEAP_CORRUPTED')
        t.is(error.ptr, first)
      }
      t.true(intact(memory, ptr, 1000, ptr))
      t.is(memory.stats().usedBytes, before.usedBytes)
      memory[act](ptr, 400)
    }
    t.is(errors, 1)
    t.is(memory.stats().blockCount, act === 'free' ? 0 : ptrs.length)
    t.deepEqual(memory.check(), [])
  }
})

test('a malloc that reports what was written to a freed block goes on the next time', (t) => {
  const memory = make({ initial: 1, maximum: 1 })
  const ptr = memory.malloc(4000)
  memory.free(ptr)
  memory.setUint8(ptr, 0)
  const all = memory.stats().largestFreeBlock + 4096
  t.throws(() => memory.malloc(all), CORRUPTED)
  t.is(memory.sizeof(memory.malloc(all)), all)
})

test('the quarantine is emptied before the memory grows or is full', (t) => {
  const [size, pages] = [2000, 10]
  const memory = make({ initial: pages, maximum: 2 * pages })
  const ptrs = [memory.malloc(size)]
  while (memory.stats().freeBytes > PAGE / 2) ptrs.push(memory.malloc(size))
  t.is(memory.buffer.byteLength, pages * PAGE)
  for (const ptr of ptrs) memory.free(ptr)
  const { cachedBytes } = memory.stats()
  t.true(cachedBytes > PAGE)
  t.true(cachedBytes <= (pages * PAGE) / 8)
  for (const index of ptrs.keys()) ptrs[index] = memory.malloc(size)
  t.is(memory.buffer.byteLength, pages * PAGE)
  for (const ptr of ptrs) memory.free(ptr)
  t.true(memory.stats().cachedBytes > PAGE)
  t.is(memory.sizeof(memory.malloc(18 * PAGE)), 18 * PAGE)
})

test('realloc keeps bytes, guards the new end and remembers who called it', (t) => {
  const memory = make()
  let ptr = memory.malloc(20)
  stamp(memory, ptr, 20, 1)
  function resizedHere(byteLength) {
    ptr = memory.realloc(ptr, byteLength)
  }
  for (const byteLength of [22, 20, 5000, 4000, 100_000, 120_000, 90_000, 20]) {
    resizedHere(byteLength)
    t.true(intact(memory, ptr, 20, 1))
    t.is(memory.sizeof(ptr), byteLength)
    t.true(allBytes(memory, ptr + byteLength, LEAST_GUARD, GUARD))
    t.deepEqual(memory.check(), [])
    const [leak] = memory.leaks()
    t.regex(leak.stack, /resizedHere/)
  }
})

test('leaks are grouped by the place that made them, the most bytes first', (t) => {
  const memory = make()
  const small = Array.from({ length: 5 }, () => madeHere(memory, 10))
  const large = memory.Float64Array(1000).byteOffset
  const zeroed = memory.calloc(30, 4)
  memory.free(madeHere(memory, 10))
  const leaks = memory.leaks()
  t.deepEqual(
    leaks.map(({ count, byteLength, blocks }) => ({ count, byteLength, blocks })),
    [
      { count: 1, byteLength: 8000, blocks: [large] },
      { count: 1, byteLength: 120, blocks: [zeroed] },
      { count: 5, byteLength: 50, blocks: small },
    ],
  )
  t.true(leaks.every((leak) => leak.threadId === threadId && leak.stack.includes('debug.spec.mjs')))
  t.true(allBytes(memory, zeroed, 120, 0))
  t.deepEqual(make().leaks(), [])
})

test('without debug mode leaks are one group that nobody is known to have made', (t) => {
  const memory = new LocalSharedMemory({ initial: 1, maximum: 9, shared: true, debug: false })
  t.deepEqual(memory.leaks(), [])
  const blocks = [10, 2000, 40_000].map((size) => memory.malloc(size)).toSorted((a, b) => a - b)
  t.deepEqual(memory.leaks(), [{ count: 3, byteLength: 42_010, blocks }])
  t.deepEqual(memory.check(), [])
})

test('blocks made by a module through imports() are guarded and known', (t) => {
  const memory = make({ initial: 1 })
  const module = libcModule('1 65536 shared')
  const { exports: c } = new WebAssembly.Instance(module, { env: memory.imports() })
  const ptr = c.malloc(100) >>> 0
  t.is(memory.getUint8(ptr), FRESH)
  t.regex(memory.leaks()[0].stack, /wasm/)
  memory.setUint8(ptr + 100, 0)
  t.throws(() => c.free(ptr), CORRUPTED)
  memory.setUint8(ptr + 100, GUARD)
  c.free(ptr)
  const error = t.throws(() => c.free(ptr), INVALID)
  t.regex(error.freed.stack, /wasm/)
})

for (const how of ['return', 'terminate']) {
  test(`a worker finds out by itself, and what it did is known when it is gone: ${how}`, async (t) => {
    for (const used of [false, true]) {
      const memory = make()
      const freed = used ? madeHere(memory, 50) : undefined
      const { worker, end } = launch('debug-worker.mjs', { memory, how, freed })
      const [report] = await once(worker, 'message') // oxlint-disable-line no-await-in-loop
      if (how === 'terminate') await worker.terminate() // oxlint-disable-line no-await-in-loop
      await within(30_000, 'end', end) // oxlint-disable-line no-await-in-loop
      t.true(report.leaks.some((leak) => leak.threadId === report.threadId))
      const known = memory.leaks().filter(({ stack }) => stack.includes('madeInWorker'))
      t.is(known.length, 2)
      t.true(known.every((leak) => leak.threadId === report.threadId))
      for (const ptr of report.ptrs) {
        memory.setUint8(ptr + 300, 0)
        t.is(t.throws(() => memory.free(ptr), CORRUPTED).made.threadId, report.threadId)
        memory.setUint8(ptr + 300, GUARD)
        memory.free(ptr)
      }
      if (how === 'return') t.is(memory.length, 0)
      if (used && how === 'return') {
        const error = t.throws(() => memory.free(freed), INVALID)
        t.is(error.made.threadId, threadId)
        t.is(error.freed.threadId, report.threadId)
        t.regex(error.freed.stack, /freedInWorker/)
      }
      t.deepEqual(memory.check(), [])
    }
  })
}

test('a memory that nobody has used yet is in debug mode for all when one says so', (t) => {
  const memory = new LocalSharedMemory(4, 10)
  const other = LocalSharedMemory.from(structuredClone(memory), { debug: true })
  const ptr = memory.malloc(100)
  t.is(memory.getUint8(ptr), FRESH)
  other.setUint8(ptr + 100, 1)
  t.throws(() => memory.free(ptr), CORRUPTED)
  t.is(other.leaks()[0].byteLength, 100)
})

test('a heap that was made without debug mode, and is in it now, has a record of what it makes', (t) => {
  const memory = new WebAssembly.Memory({ initial: 64, maximum: 64, shared: true })
  const before = LocalSharedMemory.from(structuredClone(memory), { debug: false })
  const ptr = before.malloc(100_000)
  before.close()
  const debug = LocalSharedMemory.from(memory, { debug: true })
  debug.free(ptr)
  t.is(debug.malloc(100_000), ptr)
  const moved = debug.realloc(ptr, 100_100)
  t.is(debug.sizeof(moved), 100_100)
  debug.setUint8(moved + 100_099, 1)
  t.deepEqual(debug.check(), [])
  debug.free(moved)
  t.is(debug.length, 0)
})

test('several threads at once', async (t) => {
  const memory = make({ initial: 4 })
  const launched = [1, 2, 3].map(() => launch('debug-worker.mjs', { memory, how: 'churn' }))
  const reports = reportsOf(120_000, launched)
  const state = { pending: true }
  const settled = reports.finally(() => (state.pending = false))
  while (state.pending) {
    t.deepEqual(memory.check(), [])
    await new Promise(setImmediate) // oxlint-disable-line no-await-in-loop
  }
  await settled
  for (const { ptrs } of await reports) for (const ptr of ptrs) memory.free(ptr)
  t.is(memory.length, 0)
  t.deepEqual(memory.leaks(), [])
})

test('debug mode that cannot be had is refused, and the memory stays as it was', (t) => {
  const memory = new LocalSharedMemory({ initial: 2, maximum: 4, shared: true, debug: false })
  const ptr = memory.malloc(100)
  const other = structuredClone(memory)
  const UNAVAILABLE = { instanceOf: Error, code: 'ERR_DEBUG_UNAVAILABLE' }
  t.throws(() => LocalSharedMemory.from(other, { debug: true }), UNAVAILABLE)
  t.is(Object.getPrototypeOf(other), WebAssembly.Memory.prototype)
  const same = LocalSharedMemory.from(other, { debug: false })
  t.is(same.sizeof(ptr), 100)
  same.free(ptr)
  const debugged = make()
  t.is(debugged.getUint8(debugged.malloc(9)), FRESH)
  const plain = LocalSharedMemory.from(structuredClone(debugged), { debug: false })
  t.is(plain.getUint8(plain.malloc(9)), FRESH)
})

test('a memory without pages is in debug mode if the first to allocate asks for it', (t) => {
  const without = { initial: 0, maximum: 4, shared: true }
  for (const [first, lengthof] of [
    [true, 32],
    [false, 16],
  ]) {
    const memory = new LocalSharedMemory({ ...without, debug: true })
    const other = LocalSharedMemory.from(structuredClone(memory), { debug: first })
    const ptr = other.malloc(8)
    t.is(other.lengthof(ptr), lengthof)
    const call = () => memory.free(ptr)
    if (first) t.notThrows(call)
    else t.throws(call, { instanceOf: Error, code: 'ERR_DEBUG_UNAVAILABLE' })
    t.is(other.allocs().length, first ? 0 : 1)
  }
})

test('blocks that were made without debug mode are ordinary ones', (t) => {
  const first = new LocalSharedMemory({ initial: 3, maximum: 3, shared: true, debug: false })
  const blocks = [50, 5000, 50_000].map((size) => first.malloc(size))
  const copy = new WebAssembly.Memory({ initial: 3, maximum: 3, shared: true })
  new Uint8Array(copy.buffer).set(new Uint8Array(first.buffer))
  const memory = LocalSharedMemory.from(copy, { debug: true })
  const ptr = memory.malloc(60)
  t.is(memory.getUint8(ptr), FRESH)
  t.deepEqual(
    memory.leaks().map(({ count, stack }) => [count, stack === undefined]),
    [
      [3, true],
      [1, false],
    ],
  )
  t.deepEqual(memory.check(), [])
  blocks[0] = memory.realloc(blocks[0], 40)
  for (const block of blocks) {
    memory.free(block)
    t.throws(() => memory.free(block), INVALID)
  }
  memory.free(ptr)
  memory.trim()
  t.is(memory.length, 0)
  t.deepEqual(memory.check(), [])
})

test('debug must be a boolean', (t) => {
  const plain = new WebAssembly.Memory({ initial: 1, maximum: 2, shared: true })
  for (const debug of [null, 0, 1, 'true', {}, [], Symbol('debug'), 1n]) {
    const refused = { instanceOf: TypeError, code: 'ERR_INVALID_ARG_TYPE' }
    t.throws(() => make({ debug }), refused)
    t.throws(() => LocalSharedMemory.from(plain, { debug }), refused)
  }
})

test.serial('however stacks are made, blocks are', (t) => {
  const { prepareStackTrace, stackTraceLimit } = Error
  const memory = make({ initial: 1, maximum: 4000, shared: false })
  const makers = [
    () => 7,
    () => Symbol('no stack'),
    () => {
      throw new RangeError('no stack')
    },
    // Moves the memory, or at least its buffer, away from under the call.
    () => {
      WebAssembly.Memory.prototype.grow.call(memory, 300)
      return 'Error\n    at grown'
    },
    () => {
      Error.prepareStackTrace = undefined
      memory.free(memory.malloc(10))
      return 'Error\n    at nested'
    },
  ]
  t.teardown(() => Object.assign(Error, { prepareStackTrace, stackTraceLimit }))
  for (const maker of makers) {
    Error.prepareStackTrace = maker
    const ptr = memory.malloc(100)
    Error.prepareStackTrace = maker
    const moved = memory.realloc(ptr, 30_000)
    Error.prepareStackTrace = maker
    memory.free(moved)
    Error.prepareStackTrace = prepareStackTrace
    t.deepEqual(memory.check(), [])
  }
  for (const limit of [0, 1, undefined, 'x']) {
    Error.stackTraceLimit = limit
    memory.free(memory.malloc(10))
    t.is(Error.stackTraceLimit, limit)
  }
  Error.stackTraceLimit = stackTraceLimit
  t.is(memory.length, 0)
})

onLinux('code that makes a stack may move the memory away from under the call', async (t) => {
  const options = { flags: ['--disable-wasm-trap-handler'], limit: '-v 2000000' }
  const { code, stdout, stderr } = await runChild('moved-by-stack.mjs', [], options)
  t.deepEqual([code, stdout], [0, '100 0\n0\n'], stderr)
})

test('the environment variable is the default', (t) => {
  const program = `
    import LocalSharedMemory from './index.js'
    const firstByte = (memory) => memory.getUint8(memory.malloc(20))
    const descriptor = { initial: 1, maximum: 1, shared: true }
    const off = new LocalSharedMemory({ ...descriptor, debug: false })
    console.log(JSON.stringify([
      firstByte(new LocalSharedMemory(1)),
      firstByte(new LocalSharedMemory(descriptor)),
      firstByte(LocalSharedMemory.from(new WebAssembly.Memory(descriptor))),
      firstByte(LocalSharedMemory.from(structuredClone(off))),
      firstByte(off),
    ]))`
  const seen = (LSM_DEBUG) => {
    const args = ['--input-type=module', '--eval', program]
    const options = { cwd: new URL('..', import.meta.url), env: { ...process.env, LSM_DEBUG } }
    return JSON.parse(execFileSync(process.execPath, args, options))
  }
  t.deepEqual(seen('1'), [FRESH, FRESH, FRESH, 0, 0])
  t.deepEqual(seen('0'), [0, 0, 0, 0, 0])
  t.deepEqual(seen(''), [0, 0, 0, 0, 0])
})
