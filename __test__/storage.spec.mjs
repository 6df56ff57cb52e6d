// Where the bytes live: which storage a memory gets, that both kinds behave alike, and that nothing is left behind.

import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import test from 'ava'
import LocalSharedMemory from '../index.js'
import { runChild } from './fixtures/child.mjs'
import { DEBUG } from './fixtures/debug.mjs'
import { launch, reportsOf, within } from './fixtures/launch.mjs'
import { assemble, sharedModule } from './fixtures/modules.mjs'
import { PAGE } from './fixtures/pages.mjs'
import { allBytes, intact, stamp } from './fixtures/pattern.mjs'
import { checkAllocs } from './fixtures/shadow.mjs'

const MEBI = 2 ** 20
const GIBI = 2 ** 30
const LINUX = process.platform === 'linux'
const NATIVE = LINUX || process.platform === 'darwin'
const UNAVAILABLE = { instanceOf: Error, code: 'ERR_STORAGE_UNAVAILABLE' }
const TRAP = { instanceOf: WebAssembly.RuntimeError }

/** The kinds that can be had here. */
const KINDS = NATIVE ? ['native', 'engine'] : ['engine']
const onNative = NATIVE ? test : test.skip
const onLinux = LINUX ? test : test.skip

const make = (storage, descriptor) =>
  new LocalSharedMemory({ initial: 1, maximum: 100, shared: true, storage, ...descriptor })
const run = (module, memory) => new WebAssembly.Instance(module, { env: { memory } }).exports
const isZero = (memory, start, end) => allBytes(memory, start, end - start, 0)
const ask = async (workerData) =>
  (await reportsOf(30_000, [launch('storage-worker.mjs', workerData)]))[0]

/** Runs a task of storage-child.mjs and returns its answer. */
const inChild = async (t, args, options) => {
  const { code, signal, stdout, stderr } = await runChild('storage-child.mjs', args, {
    flags: ['--expose-gc'],
    ...options,
  })
  t.deepEqual({ code, signal }, { code: 0, signal: null }, stderr)
  return JSON.parse(stdout)
}

const collectGarbage = () => {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc')
}

/** Collects garbage until none of the references leads anywhere, or for a number of rounds; counts those left. */
const stillAlive = async (references) => {
  const collect = collectGarbage()
  const alive = () => references.filter((reference) => reference.deref() !== undefined).length
  for (let round = 0; round < 50 && alive() > 0; round++) {
    // Finalizers run between turns, and until the end of its turn deref() keeps what it returned.
    // oxlint-disable-next-line no-await-in-loop
    await new Promise(setImmediate)
    collect()
  }
  return alive()
}

// Functions of their own: a variable of the test would keep the memory.

const dirty = (storage) => {
  const memory = make(storage)
  new Uint8Array(memory.buffer).fill(0xff)
  return new WeakRef(memory)
}

const used = (storage, shared) => {
  const memory = make(storage, { shared })
  memory.free(memory.malloc(100))
  memory.malloc(3 * PAGE)
  memory.allocs()
  return new WeakRef(memory)
}

/** Bytes of this process's mappings of memory objects, by their inode. */
const mappedObjects = () => {
  const objects = new Map()
  for (const line of readFileSync('/proc/self/maps', 'utf8').split('\n')) {
    if (!line.includes('memfd:local-shared-memory')) continue
    const [range, , , , inode] = line.split(/\s+/)
    const [start, end] = range.split('-').map((address) => Number.parseInt(address, 16))
    objects.set(inode, (objects.get(inode) ?? 0) + end - start)
  }
  return objects
}

// Which storage.

test('a shared memory is native by default where that works', (t) => {
  const expected = NATIVE ? 'native' : 'engine'
  t.is(new LocalSharedMemory().storage, expected)
  t.is(new LocalSharedMemory(1).storage, expected)
  t.is(new LocalSharedMemory(1, 100).storage, expected)
  t.is(make(undefined).storage, expected)
  t.is(make(undefined, { heapBase: PAGE }).storage, expected)
})

test('the engine has the bytes when it is asked for', (t) => {
  t.is(make('engine').storage, 'engine')
  t.is(make('engine', { shared: false }).storage, 'engine')
  t.is(make('engine', { initial: 0 }).storage, 'engine')
})

onNative('native storage can be asked for', (t) => {
  t.is(make('native').storage, 'native')
  t.is(make('native', { maximum: 1 }).storage, 'native')
  t.is(make('native', { heapBase: 100 }).storage, 'native')
})

for (const [title, descriptor] of Object.entries({
  'not shared': { shared: false },
  'not shared, by default': { shared: undefined },
  'without a page': { initial: 0 },
  'without a page to come': { initial: 0, maximum: 0 },
})) {
  test(`a memory ${title} is the engine's`, (t) => {
    const memory = make(undefined, descriptor)
    t.is(memory.storage, 'engine')
    t.throws(() => make('native', descriptor), UNAVAILABLE)
    if (descriptor.maximum === 0) return
    t.is(memory.sizeof(memory.malloc(1000)), 1000)
    t.is(memory.storage, 'engine')
  })
}

test('the three arguments too: not shared, without a page', (t) => {
  t.is(new LocalSharedMemory(1, 2, false).storage, 'engine')
  t.is(new LocalSharedMemory(0, 2).storage, 'engine')
})

test('what is no kind of storage is refused', (t) => {
  for (const storage of [null, 1, true, 1n, Symbol('native'), {}, ['native'], () => 'native']) {
    t.throws(() => make(storage), { instanceOf: TypeError, code: 'ERR_INVALID_ARG_TYPE' })
  }
  for (const storage of ['', 'Native', 'native ', 'memfd']) {
    t.throws(() => make(storage), { instanceOf: RangeError, code: 'ERR_OUT_OF_RANGE' })
  }
})

test('storage cannot be written', (t) => {
  const memory = make('engine')
  t.throws(() => (memory.storage = 'native'), { instanceOf: TypeError })
  t.is(memory.storage, 'engine')
})

// The tests below hold for both kinds.

for (const storage of KINDS) {
  test(`${storage}: all bytes are zero after construction`, (t) => {
    for (const [initial, maximum] of [
      [1, 1],
      [3, 7],
      [100, 100],
    ]) {
      const memory = make(storage, { initial, maximum })
      t.true(isZero(memory, 0, initial * PAGE))
      memory.malloc(100)
      t.true(isZero(memory, 0, 16))
    }
  })

  test(`${storage}: a new memory inherits nothing from one that was collected`, async (t) => {
    t.is(await stillAlive(Array.from({ length: 20 }, () => dirty(storage))), 0)
    for (let made = 0; made < 20; made++) t.true(isZero(make(storage), 0, PAGE))
  })

  test(`${storage}: every thread sees the same storage`, async (t) => {
    const memory = make(storage)
    t.is(LocalSharedMemory.from(structuredClone(memory)).storage, storage)
    t.is(await ask({ task: 'storage', memory }), storage)
    memory.grow(5)
    t.is(memory.storage, storage)
    t.is(await ask({ task: 'storage', memory }), storage)
  })

  test(`${storage}: pages that anyone grows are zero and everyone's`, async (t) => {
    const memory = make(storage)
    const wasm = run(sharedModule(), memory)
    const growers = {
      javascript: async () => {
        const page = memory.grow(1)
        const zero = isZero(memory, page * PAGE, (page + 1) * PAGE)
        stamp(memory, page * PAGE, PAGE, page)
        return { page, zero }
      },
      wasm: async () => {
        const page = wasm.grow(1)
        const zero = wasm.load(page * PAGE) === 0 && wasm.load((page + 1) * PAGE - 4) === 0
        stamp(memory, page * PAGE, PAGE, page)
        return { page, zero }
      },
      worker: () => ask({ task: 'grow', memory }),
    }
    const pages = []
    for (const who of ['javascript', 'wasm', 'worker', 'wasm', 'javascript']) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const { page, zero } = await growers[who]()
      t.is(page, pages.length + 1, who)
      t.true(zero, who)
      pages.push(page)
    }
    memory.grow(0)
    for (const page of pages) {
      t.true(intact(memory, page * PAGE, PAGE, page))
      t.is(wasm.load(page * PAGE), new DataView(memory.buffer).getInt32(page * PAGE, true))
    }
    t.deepEqual(await ask({ task: 'read', memory, pages }), [true, true, true, true, true])
  })

  test(`${storage}: growth to the maximum and no further`, (t) => {
    const memory = make(storage, { maximum: 40 })
    t.is(memory.grow(38), 1)
    t.is(memory.grow(1), 39)
    t.throws(() => memory.grow(1), { instanceOf: RangeError })
    t.is(memory.buffer.byteLength, 40 * PAGE)
    new Uint8Array(memory.buffer).fill(5)
    t.true(allBytes(memory, 0, 40 * PAGE, 5))
  })

  test(`${storage}: a module traps right behind the end, in every thread`, async (t) => {
    const module = sharedModule()
    const memory = make(storage)
    const wasm = run(module, memory)
    for (const end of [PAGE, 8 * PAGE, 100 * PAGE]) {
      memory.grow(end / PAGE - wasm.size())
      t.is(wasm.load(end - 4), 0)
      for (const outside of [end - 3, end, end + 4096, 2 ** 31, 2 ** 32 - 4]) {
        t.throws(() => wasm.load(outside), TRAP, `load ${outside}`)
        t.throws(() => wasm.store(outside, 1), TRAP, `store ${outside}`)
      }
      const expected = { end, last: 0, trapped: [true, true] }
      // oxlint-disable-next-line no-await-in-loop -- one length after the other
      t.deepEqual(await ask({ task: 'bounds', memory, module }), expected)
    }
    t.true(isZero(memory, 0, 100 * PAGE))
  })

  test(`${storage}: 20 memories of up to 4 GiB at once`, (t) => {
    const memories = Array.from({ length: 20 }, () => make(storage, { maximum: 65_536 }))
    for (const [index, memory] of memories.entries()) {
      const ptr = memory.malloc(10 * PAGE)
      stamp(memory, ptr, 10 * PAGE, index)
    }
    for (const [index, memory] of memories.entries()) {
      t.is(memory.storage, storage)
      t.true(intact(memory, memory.allocs()[0].byteOffset, 10 * PAGE, index))
    }
  })

  test(`${storage}: blocks beyond 2 GiB`, (t) => {
    const memory = make(storage, { maximum: 65_536 })
    const module = assemble(`(import "env" "memory" (memory 1 65536 shared))
      (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))`)
    const low = memory.malloc(2.5 * GIBI)
    const high = memory.malloc(GIBI)
    t.true(high > 2 ** 31)
    stamp(memory, high, 1000, 1)
    stamp(memory, high + GIBI - 1000, 1000, 2)
    memory.setInt32(low + 2 ** 31, -7)
    const { load } = run(module, memory)
    t.is(load(low + 2 ** 31), -7)
    t.is(load(high), memory.getInt32(high))
    t.true(intact(memory, high, 1000, 1) && intact(memory, high + GIBI - 1000, 1000, 2))
    memory.free(low)
    t.true(memory.trim() >= 4096)
    t.is(load(low + 2 ** 31), 0)
    t.true(intact(memory, high, 1000, 1) && intact(memory, high + GIBI - 1000, 1000, 2))
    memory.free(high)
    t.is(memory.length, 0)
  })

  test(`${storage}: what the engine adds to memories keeps working`, (t) => {
    const memory = make(storage, { initial: 2, maximum: 9 })
    const ptr = memory.malloc(100)
    stamp(memory, ptr, 100, 1)
    if (memory.type) {
      const { minimum, maximum, shared } = memory.type()
      t.deepEqual({ minimum, maximum, shared }, { minimum: 2, maximum: 9, shared: true })
    }
    if (memory.toResizableBuffer) {
      const buffer = memory.toResizableBuffer()
      t.true(buffer.growable)
      t.is(buffer.maxByteLength, 9 * PAGE)
      memory.grow(1)
      t.is(buffer.byteLength, 3 * PAGE)
      t.true(intact(memory, ptr, 100, 1))
      t.is(new Uint8Array(buffer)[ptr], new Uint8Array(memory.buffer)[ptr])
      t.is(memory.sizeof(memory.malloc(3 * PAGE)), 3 * PAGE)
      t.is(memory.storage, storage)
    }
    if (memory.toFixedLengthBuffer) {
      t.false(memory.toFixedLengthBuffer().growable)
      memory.malloc(PAGE)
      t.is(memory.storage, storage)
    }
    t.true(intact(memory, ptr, 100, 1))
    memory.free(ptr)
    t.is(new Int32Array(memory.buffer).length, memory.buffer.byteLength / 4)
  })

  test(`${storage}: a heap that is opened when the buffer is growable already`, async (t) => {
    const memory = make(storage)
    const there = LocalSharedMemory.from(structuredClone(memory))
    memory.toResizableBuffer?.()
    const ptr = memory.malloc(100)
    stamp(memory, ptr, 100, 1)
    t.is(memory.storage, storage)
    there.toResizableBuffer?.()
    t.true(intact(there, ptr, 100, 1))
    t.is(there.sizeof(there.malloc(3 * PAGE)), 3 * PAGE)
    t.is(await ask({ task: 'storage', memory }), storage)
    there.free(ptr)
    t.is(memory.stats().blockCount, 1)
  })

  const goneBeforeArrival = async (t, heapBase) => {
    const byteLength = 50_000
    const gate = new SharedArrayBuffer(4)
    const { worker, end } = launch('storage-worker.mjs', { task: 'adopt', gate })
    // A function of its own: a variable of this one would keep the memory.
    const post = () => {
      const memory = make(storage, { heapBase })
      const ptr = memory.malloc(byteLength)
      stamp(memory, ptr, byteLength, 1)
      worker.postMessage({ memory, ptr, byteLength }, [])
      return new WeakRef(memory)
    }
    const alive = await stillAlive([post()])
    Atomics.store(new Int32Array(gate), 0, 1)
    Atomics.notify(new Int32Array(gate), 0)
    const { report, error } = await within(30_000, 'the worker', end)
    t.is(alive, 0)
    t.is(error, undefined)
    t.deepEqual(report, { storage, whole: true, blocks: [true], grown: true })
  }

  for (const heapBase of [undefined, 20_000]) {
    test(`${storage}: collected while under way to a worker, heapBase: ${heapBase}`, (t) =>
      goneBeforeArrival(t, heapBase))
  }
}

// What is given back.

const size = (index) => [100, 5000, 40_000, 200_000][index % 4] + index

const TRIMMED = KINDS.map((storage) => [storage, true]).concat([['engine', false]])

for (const [storage, shared] of TRIMMED) {
  const title = `${storage}, shared: ${shared}`

  onLinux.serial(`${title}: trim brings the resident size back`, async (t) => {
    const seen = await inChild(t, ['trim', storage, `${shared}`])
    t.is(seen.storage, storage)
    t.true(seen.filled - seen.before > 250 * MEBI)
    t.true(seen.given > 250 * MEBI && seen.given < 270 * MEBI, `${seen.given} bytes`)
    // Debug mode's own records come on top.
    const most = DEBUG ? 60 * MEBI : 10 * MEBI
    t.true(Math.abs(seen.after - seen.before) < most, JSON.stringify(seen))
    t.true(seen.again < MEBI)
  })

  test(`${title}: trim takes nothing from live blocks, and calloc clears`, (t) => {
    const memory = make(storage, { maximum: 500, shared })
    t.is(memory.trim(), 0)
    const ptrs = Array.from({ length: 200 }, (_, index) => memory.malloc(size(index)))
    for (const [index, ptr] of ptrs.entries()) stamp(memory, ptr, size(index), index)
    const live = [...ptrs.entries()].filter(([index]) => index % 3 === 0)
    const check = () => {
      for (const [index, ptr] of live) t.true(intact(memory, ptr, size(index), index))
      checkAllocs(memory.allocs(), memory.buffer.byteLength)
    }
    for (const [index, ptr] of ptrs.entries()) if (index % 3 !== 0) memory.free(ptr)
    const { usedBytes } = memory.stats()
    if (LINUX) t.true(memory.trim() > 5 * MEBI)
    t.is(memory.trim(), 0)
    t.is(memory.stats().usedBytes, usedBytes)
    check()
    for (let round = 0; round < 3; round++) {
      // The first round finds pages that were given back, the others what the ones before left.
      const cleared = Array.from({ length: 100 }, (_, index) => memory.calloc(size(index)))
      t.true(cleared.every((ptr, index) => allBytes(memory, ptr, size(index), 0)))
      for (const [index, ptr] of cleared.entries()) memory.memset(ptr, 0xff, size(index))
      for (const ptr of cleared) memory.free(ptr)
      if (round === 1) memory.trim()
    }
    check()
    for (const [, ptr] of live) memory.free(ptr)
    t.is(memory.length, 0)
    t.true(isZero(memory, 0, 16))
  })
}

for (const storage of KINDS) {
  test.serial(`${storage}: trim while two threads allocate and free`, async (t) => {
    const memory = make(storage, { maximum: 3000 })
    const control = memory.calloc(4096)
    const sizes = [64, 3000, 20_000, 150_000]
    const shared = { memory, control, threads: 2, operations: 30_000, sizes, maxLive: 150 }
    const state = { trims: 0, bytes: 0, running: true }
    const workers = [0, 1].map((index) =>
      launch('stress-worker.mjs', { ...shared, index, seed: 50 + index }),
    )
    // The workers check the pattern of every block before they free it.
    const done = reportsOf(60_000, workers).finally(() => (state.running = false))
    while (state.running) {
      state.bytes += memory.trim()
      state.trims++
      // oxlint-disable-next-line no-await-in-loop -- lets the workers' messages in
      await new Promise(setImmediate)
    }
    const operations = (await done).map((report) => report.operations)
    t.true(operations.every((count) => count >= 30_000))
    t.true(state.trims > 10)
    if (LINUX) t.true(state.bytes > MEBI)
    for (const ptr of memory.arrayView(Uint32Array, control).subarray(2)) memory.free(ptr)
    memory.free(control)
    t.deepEqual(memory.allocs(), [])
  })
}

for (const [storage, shared] of TRIMMED) {
  test(`${storage}, shared: ${shared}: a memory whose heap was used is collected`, async (t) => {
    t.is(await stillAlive(Array.from({ length: 50 }, () => used(storage, shared))), 0)
  })
}

for (const kind of ['unused', 'used', 'grown', 'cloned']) {
  onLinux.serial(`300 memories leave nothing behind: ${kind}`, async (t) => {
    const { before, most, after } = await inChild(t, ['collect', kind])
    t.deepEqual(after, before)
    t.is(after.mappings, 0)
    t.true(most > 20)
  })
}

for (const ending of ['exit', 'terminate']) {
  onLinux.serial(`memories sent to workers leave nothing behind: ${ending}`, async (t) => {
    const { before, after } = await inChild(t, ['collectSent', ending])
    t.deepEqual(after, before)
    t.is(after.mappings, 0)
  })
}

// What the operating system refuses.

const REFUSED = ['engine', 'ERR_STORAGE_UNAVAILABLE', 'engine']
const GRANTED = ['native', 'native', 'engine']

onNative('native storage that says that it does not work', async (t) => {
  t.deepEqual(await inChild(t, ['fallBack']), { refused: REFUSED, afterwards: GRANTED })
})

onLinux('no descriptor is left', async (t) => {
  const answer = await inChild(t, ['descriptors'], { limit: '-n 100' })
  t.deepEqual(answer, { refused: REFUSED, afterwards: GRANTED })
})

onLinux('files may not be as long as the memory', async (t) => {
  t.deepEqual(await inChild(t, ['attempts'], { limit: '-f 16' }), REFUSED)
})

for (const storage of ['native', 'engine']) {
  onLinux(`no address space is left: ${storage}`, async (t) => {
    // The engine reserves 8 GiB and more for each memory: one or two fit, or none.
    t.deepEqual(await inChild(t, ['addressSpace', '2000', storage]), ['RangeError'])
    t.deepEqual(await inChild(t, ['addressSpace', '20000', storage]), [storage, 'RangeError'])
  })
}

for (const storage of ['native', 'engine']) {
  onLinux(
    `no address space is left for what is known of a memory's blocks: ${storage}`,
    async (t) => {
      const { codes, ...afterwards } = await inChild(t, ['noTable', storage])
      t.deepEqual(codes, Array(3).fill('ERR_OUT_OF_MEMORY'))
      t.deepEqual(afterwards, { untouched: true, works: true })
    },
  )
}

for (const storage of ['native', 'engine']) {
  onLinux(`no address space is left for what a thread keeps: ${storage}`, async (t) => {
    const outcome = await inChild(t, ['noCache', storage])
    t.deepEqual(outcome, { code: 'ERR_OUT_OF_MEMORY', works: true, faults: [] })
  })
}

onLinux('address space that was limited before the process began', async (t) => {
  const { code, signal } = await runChild('storage-child.mjs', ['attempts'], {
    limit: '-v 8000000',
  })
  t.is(signal, null)
  t.true([0, 1].includes(code))
})

// What the engine has reserved for a memory.

const NO_GUARDS = '--disable-wasm-trap-handler'
const FEW_PAGES = '--wasm-max-mem-pages=100'

for (const [flags, initial, maximum, kind] of [
  [[], 1, 120, 'native'],
  [[FEW_PAGES], 1, 120, 'native'],
  [[NO_GUARDS], 1, 120, 'engine'],
  [[NO_GUARDS, FEW_PAGES], 1, 120, 'engine'],
  [[NO_GUARDS, FEW_PAGES], 20, 20, 'native'],
  [['--wasm-max-mem-pages=1'], 1, 120, 'engine'],
]) {
  const title = `${initial} to ${maximum} pages, ${flags.join(' ') || 'as usual'}`

  onLinux(`nothing is mapped over another memory: ${title}`, async (t) => {
    const answer = await inChild(t, ['neighbours', initial, maximum], { flags })
    t.deepEqual(answer, { kinds: [kind], intact: true })
  })
}

// What a descriptor may try.

/** A descriptor whose every property answers with the next of its values. */
const changing = (values, reads = {}) => {
  const descriptor = {}
  for (const [key, answers] of Object.entries(values)) {
    const get = () => {
      const read = reads[key] ?? 0
      reads[key] = read + 1
      return answers[Math.min(read, answers.length - 1)]
    }
    Object.defineProperty(descriptor, key, { get, enumerable: true })
  }
  return descriptor
}

test('each property of a descriptor is read once', (t) => {
  const reads = {}
  const values = {
    initial: [1, 50],
    maximum: [2, 60_000],
    shared: [true, false],
    heapBase: [undefined, 100],
    storage: ['engine', 'native'],
  }
  const memory = new LocalSharedMemory(changing(values, reads))
  t.deepEqual(reads, { initial: 1, maximum: 1, shared: 1, heapBase: 1, storage: 1 })
  t.is(memory.storage, 'engine')
  t.is(memory.grow(1), 1)
  t.throws(() => memory.grow(1), { instanceOf: RangeError })
})

const turning = (...answers) => {
  const number = { reads: 0 }
  number.valueOf = () => answers[Math.min(number.reads++, answers.length - 1)]
  return number
}

for (const [title, descriptor] of Object.entries({
  getters: () => changing({ initial: [1, 3], maximum: [3, 60_000], shared: [true] }),
  valueOf: () => ({ initial: turning(1, 3), maximum: turning(3, 60_000), shared: true }),
  'toString and fractions': () => ({
    initial: { toString: () => '1.9' },
    maximum: '3.9',
    shared: 'yes',
  }),
  toPrimitive: () => {
    const maximum = turning(3, 60_000)
    return { initial: 1, maximum: { [Symbol.toPrimitive]: () => maximum.valueOf() }, shared: 1 }
  },
})) {
  onLinux.serial(`the overlay is as long as the engine's reservation: ${title}`, (t) => {
    const before = mappedObjects()
    const memory = new LocalSharedMemory(descriptor())
    const made = [...mappedObjects()].filter(([inode]) => !before.has(inode))
    t.is(memory.storage, 'native')
    t.deepEqual(
      made.map(([, byteLength]) => byteLength),
      [3 * PAGE],
    )
    t.is(memory.grow(2), 1)
    t.throws(() => memory.grow(1), { instanceOf: RangeError })
    new Uint8Array(memory.buffer).fill(1)
    t.true(allBytes(memory, 0, 3 * PAGE, 1))
  })
}

test('numbers are asked for their value once', (t) => {
  const [initial, maximum] = [turning(1, 2), turning(2, 60_000)]
  const memory = new LocalSharedMemory({ initial, maximum, shared: true })
  t.deepEqual([initial.reads, maximum.reads], [1, 1])
  t.is(memory.buffer.byteLength, PAGE)
})

// The end of a thread right after construction.

for (const storage of KINDS) {
  const descriptor = storage === 'engine' ? { limit: '-f 16' } : {}

  onLinux(`process.exit() right after construction: ${storage}`, async (t) => {
    const { code, signal } = await runChild('storage-child.mjs', ['exit', storage], descriptor)
    t.deepEqual({ code, signal }, { code: 6, signal: null })
  })
}

test('process.exit() in a worker right after construction', async (t) => {
  const { end } = launch('storage-worker.mjs', { task: 'exit', code: 4 })
  const { code, error } = await within(30_000, 'the worker', end)
  t.deepEqual({ code, error }, { code: 4, error: undefined })
})

const terminateAfter = async (milliseconds) => {
  const { worker, end } = launch('storage-worker.mjs', { task: 'construct' })
  await once(worker, 'message')
  await sleep(milliseconds)
  await worker.terminate()
  return (await end).code
}

test.serial('workers are terminated while they construct', async (t) => {
  for (let round = 0; round < 10; round++) {
    // oxlint-disable-next-line no-await-in-loop -- two at a time
    const codes = await Promise.all([terminateAfter(round), terminateAfter(round * 3)])
    t.deepEqual(codes, [1, 1])
  }
  const memory = new LocalSharedMemory(1, 10)
  t.true(isZero(memory, 0, PAGE))
  t.is(memory.sizeof(memory.malloc(100)), 100)
})

test('a subclass with a buffer getter of its own places its own bytes', (t) => {
  const other = new LocalSharedMemory(2, 100)
  const ptr = other.malloc(8)
  other.setFloat64(ptr, 1.5)
  class Mine extends LocalSharedMemory {
    get buffer() {
      return other.buffer
    }
  }
  const mine = new Mine({ initial: 2, maximum: 100, shared: true })
  t.is(other.getFloat64(ptr), 1.5)
  mine.setFloat64(mine.malloc(8), 2.5)
  t.is(other.getFloat64(ptr), 1.5)
  t.is(other.stats().blockCount, 1)
})
