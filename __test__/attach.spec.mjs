// Heaps that several processes have: one file, attached by each.

import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import test from 'ava'
import LocalSharedMemory from '../index.js'
import binding from '../lib/native/binding.js'
import { Fault } from '../lib/native/faults.js'
import { heapOf } from '../lib/memory/blocks.js'
import { peerOf, viewsOf } from '../lib/pages/pages.js'
import { Mutex, SharedMap } from '../structures/index.js'
import { ask, end, killProcesses, newPath, startProcess } from './fixtures/attached.mjs'
import { runChild } from './fixtures/child.mjs'
import { copyPackage } from './fixtures/copies.mjs'
import { launch, reportsOf } from './fixtures/launch.mjs'
import { randomFrom } from './fixtures/random.mjs'

const PAGE = 65_536
const REFUSED = { code: 'ERR_ATTACH_REFUSED' }
const CLOSED = { code: 'ERR_HEAP_CLOSED' }
const SMALL = { initial: 2, maximum: 100 }

const { attach } = LocalSharedMemory
const attachTo = (path, options = SMALL) => attach.call(LocalSharedMemory, path, options)

const onLinux = process.platform === 'linux' ? test : test.skip
const asRoot = process.platform === 'linux' && process.geteuid() === 0 ? test : test.skip
const elsewhere = process.platform === 'linux' ? test.skip : test

elsewhere('elsewhere there are none', (t) => {
  t.throws(() => attachTo(newPath()), { code: 'ERR_STORAGE_UNAVAILABLE' })
})

test('arguments are checked', (t) => {
  const type = { instanceOf: TypeError, code: 'ERR_INVALID_ARG_TYPE' }
  const range = { instanceOf: RangeError, code: 'ERR_OUT_OF_RANGE' }
  const path = newPath()
  for (const wrong of [undefined, null, 7, {}]) t.throws(() => attachTo(wrong), type)
  for (const wrong of ['', 'a\0b']) t.throws(() => attachTo(wrong), range)
  for (const wrong of [null, 7]) t.throws(() => attachTo(path, wrong), type)
  t.throws(() => attachTo(path, { create: 1 }), type)
  t.throws(() => attachTo(path, { initial: '1' }), type)
  for (const name of ['create', 'debug', 'initial', 'maximum']) {
    t.throws(() => attachTo(path, { ...SMALL, [name]: null }), type)
  }
  for (const initial of [0, -1, 1.5, 65_537, NaN]) {
    t.throws(() => attachTo(path, { initial, maximum: 65_536 }), range)
  }
  for (const maximum of [0, 1, 65_537])
    t.throws(() => attachTo(path, { initial: 2, maximum }), range)
  for (const maximum of [0, 65_537, NaN]) t.throws(() => attachTo(path, { maximum }), range)
  for (const other of [
    { heapBase: 16 },
    { shared: false },
    { storage: 'engine' },
    { address: 'i64' },
  ]) {
    t.throws(() => attachTo(path, { ...SMALL, ...other }), range)
  }
  t.throws(() => attachTo(path, { ...SMALL, debug: true }), { code: 'ERR_DEBUG_UNAVAILABLE' })
  t.false(fs.existsSync(path))
})

onLinux('a file has room for 1,024 names', (t) => {
  const memory = attachTo(newPath())
  const block = memory.malloc(8)
  for (let name = 0; name < 1024; name++) memory.setRoot(`name ${name}`, block)
  const full = { instanceOf: RangeError, code: 'ERR_OUT_OF_MEMORY' }
  t.throws(() => memory.setRoot('another', block), full)
  const { length } = memory
  t.throws(() => Mutex.open(memory, 'another'), full)
  t.is(memory.length, length)
  t.is(memory.getRoot('another'), undefined)
  const other = memory.malloc(8)
  memory.setRoot('name 7', other)
  t.is(memory.getRoot('name 7'), other)
  memory.setRoot('name 7', 0)
  memory.setRoot('another', block)
  t.is(memory.getRoot('another'), block)
  memory.close()
})

onLinux('a memory has other processes by its own file alone', (t) => {
  const attached = attachTo(newPath())
  const memory = new LocalSharedMemory(1, 2)
  memory.setInt8(16, 1)
  t.is(peerOf(viewsOf(memory).buffer), undefined)
  t.not(peerOf(viewsOf(attached).buffer), undefined)
  attached.grow(1)
  attached.setInt8(attached.buffer.byteLength - 1, 1)
  t.not(peerOf(viewsOf(attached).buffer), undefined)
})

onLinux('the memory is of the class, native, and a module can import it', (t) => {
  class Own extends LocalSharedMemory {}
  const memory = Own.attach(newPath(), SMALL)
  t.true(memory instanceof Own && memory instanceof WebAssembly.Memory)
  t.is(memory.storage, 'native')
  t.is(memory.buffer.byteLength, 2 * PAGE)
  t.true(memory.buffer instanceof SharedArrayBuffer)
  t.is(memory.grow(1), 2)
})

onLinux('what one process writes another one reads, blocks and names too', async (t) => {
  const path = newPath()
  const memory = attachTo(path)
  const child = await startProcess(path, 'serve')
  const ptr = await ask(child, 'malloc', 100)
  await ask(child, 'setUint32', ptr, 4711)
  await ask(child, 'setRoot', 'counter', ptr)
  t.is(memory.getRoot('counter'), ptr)
  t.is(memory.getUint32(ptr), 4711)
  t.is(memory.sizeof(ptr), 100)
  memory.free(ptr)
  t.deepEqual(await ask(child, 'free', ptr), { code: 'ERR_INVALID_POINTER' })
  t.is(await end(child), 0)
  t.is(memory.stats().blockCount, 0)
})

onLinux(
  'growth in one process is seen by the others: by accessors, by blocks, by free',
  async (t) => {
    const path = newPath()
    const memory = attachTo(path)
    const child = await startProcess(path, 'serve')
    const pages = () => memory.buffer.byteLength / PAGE
    const big = await ask(child, 'malloc', 40 * PAGE)
    t.is(pages(), 2)
    await ask(child, 'setUint8', big + 40 * PAGE - 1, 9)
    t.is(memory.getUint8(big + 40 * PAGE - 1), 9)
    t.true(pages() > 40)
    const bigger = memory.malloc(30 * PAGE)
    t.is(await ask(child, 'getUint8', big + 40 * PAGE - 1), 9)
    await ask(child, 'free', bigger)
    t.throws(() => memory.malloc(60 * PAGE), { code: 'ERR_OUT_OF_MEMORY' })
    memory.free(big)
    const small = await ask(child, 'malloc', 16)
    t.deepEqual(
      memory.allocs().map(({ byteOffset }) => byteOffset),
      [small],
    )
    t.deepEqual(memory.check(), [])
    await end(child)
  },
)

onLinux(
  'pages that one process grew by hand are used once there is room in the file',
  async (t) => {
    const path = newPath()
    const memory = attachTo(path)
    const child = await startProcess(path, 'serve')
    t.is(memory.grow(90), 2)
    const blocks = [memory.malloc(20 * PAGE), await ask(child, 'malloc', 20 * PAGE)]
    for (const block of blocks) {
      memory.memset(block, 7, 20 * PAGE)
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      t.is(await ask(child, 'getUint8', block + 20 * PAGE - 1), 7)
    }
    t.deepEqual(memory.check(), [])
    await end(child)
  },
)

/** Allocates until there is no room, and frees all of it. Returns how many blocks that were. */
const fill = (memory, byteLength) => {
  const blocks = []
  try {
    for (;;) blocks.push(memory.malloc(byteLength))
  } catch (error) {
    if (error.code !== 'ERR_OUT_OF_MEMORY') throw error
  }
  for (const block of blocks) memory.free(block)
  memory.trim()
  return blocks.length
}

const mapEnd = (memory) => {
  const { byteOffset, byteLength } = memory.heapMap().at(-1)
  return byteOffset + byteLength
}

onLinux('pages that grow() adds are the heap’s, all of them, in every process', async (t) => {
  const path = newPath()
  const memory = attachTo(path)
  t.is(memory.grow(98), 2)
  t.is(mapEnd(memory), 100 * PAGE)
  const count = fill(memory, 1000)
  t.true(count > 6000)
  t.deepEqual([fill(memory, 1000), fill(memory, 1000)], [count, count])
  const { blockCount, cachedBytes } = memory.stats()
  t.deepEqual({ blockCount, cachedBytes }, { blockCount: 0, cachedBytes: 0 })
  t.deepEqual(memory.check(), [])
  memory.close()
  const again = attachTo(path)
  t.is(again.stats().cachedBytes, 0)
  t.is(fill(again, 1000), count)
})

onLinux('a block goes into pages that grow() has added before the memory grows further', (t) => {
  const memory = attachTo(newPath())
  t.is(memory.grow(10), 2)
  memory.malloc(5 * PAGE)
  t.is(memory.buffer.byteLength, 12 * PAGE)
})

onLinux('threads of a process that grow at the same moment lose nothing', async (t) => {
  const threads = 3
  for (let round = 0; round < 12; round++) {
    const memory = attachTo(newPath(), { initial: 1, maximum: 200 })
    const gate = new SharedArrayBuffer(4)
    const launched = Array.from({ length: threads }, () =>
      launch('attached-growing-worker.mjs', { memory, gate, threads }),
    )
    // oxlint-disable-next-line no-await-in-loop -- one memory after the other
    await reportsOf(60_000, launched)
    memory.recover()
    memory.trim()
    const { blockCount, cachedBytes } = memory.stats()
    t.deepEqual({ blockCount, cachedBytes }, { blockCount: 0, cachedBytes: 0 })
    memory.grow(0)
    t.is(mapEnd(memory), memory.buffer.byteLength)
    t.deepEqual(memory.check(), [])
    memory.close()
  }
})

onLinux(
  'a worker has the heap of its process, and closing it in one thread leaves it to the other',
  async (t) => {
    const path = newPath()
    const memory = attachTo(path)
    const worker = new Worker(new URL('fixtures/attached-worker.mjs', import.meta.url), {
      workerData: memory,
    })
    const [ptr] = await once(worker, 'message')
    t.is(memory.getUint32(ptr), 7)
    memory.close()
    t.throws(() => memory.malloc(8), CLOSED)
    const exit = once(worker, 'exit')
    worker.postMessage('go on')
    const [blockCount] = await once(worker, 'message')
    t.is(blockCount, 2)
    t.deepEqual(await exit, [0])
    const again = attachTo(path, {})
    t.is(again.stats().blockCount, 2)
    t.is(again.recover(), 0)
    again.close()
  },
)

onLinux('a heap that was closed refuses, and its file is as it was', (t) => {
  const path = newPath()
  const memory = attachTo(path)
  const blocks = Array.from({ length: 50 }, () => memory.malloc(64))
  for (const block of blocks.slice(1)) memory.free(block)
  memory.close()
  memory.close()
  const [block] = blocks
  const calls = [
    () => memory.malloc(64),
    () => memory.malloc(100_000),
    () => memory.free(block),
    () => memory.realloc(block, 10),
    () => memory.realloc(block, 100_000),
    () => memory.sizeof(block),
    () => memory.calloc(8),
    () => memory.setRoot('name', block),
    () => memory.getRoot('name'),
    () => memory.allocs(),
    () => memory.stats(),
    () => memory.check(),
    () => memory.trim(),
    () => memory.recover(),
    () => memory.heapMap(),
  ]
  for (const call of calls) t.throws(call, CLOSED, String(call))
  t.throws(() => LocalSharedMemory.from(structuredClone(memory)), CLOSED)
  const again = attachTo(path)
  t.deepEqual(
    again.allocs().map(({ byteOffset }) => byteOffset),
    [block],
  )
  t.is(again.stats().cachedBytes, 0)
})

onLinux('a constructor that throws leaves the file closed', (t) => {
  class Early extends LocalSharedMemory {
    constructor() {
      super(undefined.absent)
    }
  }
  class Late extends LocalSharedMemory {
    constructor() {
      super()
      throw new TypeError('late')
    }
  }
  for (const Class of [Early, Late]) {
    const [path, copy] = [newPath(), newPath()]
    t.throws(() => Class.attach(path, SMALL), { instanceOf: TypeError })
    fs.copyFileSync(path, copy)
    t.notThrows(() => attachTo(copy).close())
  }
})

test('a heap that one process has to itself can be closed too', (t) => {
  const memory = new LocalSharedMemory(2)
  const other = LocalSharedMemory.from(structuredClone(memory))
  const block = memory.malloc(64)
  memory.close()
  t.throws(() => memory.free(block), CLOSED)
  t.is(other.recover(), 0)
  other.free(block)
  t.is(other.stats().blockCount, 0)
  const unused = new LocalSharedMemory(2)
  unused.close()
  t.throws(() => unused.malloc(8), CLOSED)
})

onLinux('one process may attach a file several times, in copies of the package too', async (t) => {
  const path = newPath()
  const Copy = (await import(copyPackage())).default
  const memories = [attachTo(path), attachTo(path), Copy.attach(path)]
  for (const maker of memories) {
    for (const other of memories) {
      const block = maker.malloc(64)
      maker.setUint32(block, 3)
      t.is(other.getUint32(block), 3)
      other.free(block)
    }
  }
  for (const memory of memories) memory.close()
  t.is(attachTo(path, { create: false }).stats().blockCount, 0)
})

onLinux('files that are no heap, or not this one, are refused and left alone', (t) => {
  const path = newPath()
  t.throws(() => attachTo(path, { create: false }), REFUSED)
  t.false(fs.existsSync(path))
  t.throws(() => attachTo(join(path, 'inside')), REFUSED)
  t.throws(() => attachTo('/dev/null'), REFUSED)
  t.throws(() => attachTo('/dev/shm'), REFUSED)
  for (const content of ['x', 'x'.repeat(5000), '\0'.repeat(100), '\0'.repeat(300_000)]) {
    fs.writeFileSync(path, content, { mode: 0o600 })
    t.throws(() => attachTo(path), REFUSED)
    t.is(fs.readFileSync(path, 'latin1'), content)
  }
  fs.rmSync(path)
  execFileSync('mkfifo', ['-m', '600', path])
  t.throws(() => attachTo(path), REFUSED)
  fs.rmSync(path)
  attachTo(path).close()
  t.throws(() => attachTo(path, { initial: 2, maximum: 101 }), REFUSED)
  t.notThrows(() => attachTo(path, {}).close())
  const link = newPath()
  fs.symlinkSync(path, link)
  t.throws(() => attachTo(link), REFUSED)
  for (const mode of [0o620, 0o602, 0o666]) {
    fs.chmodSync(path, mode)
    t.throws(() => attachTo(path), REFUSED)
  }
  fs.chmodSync(path, 0o600)
  t.notThrows(() => attachTo(path).close())
  fs.truncateSync(path, fs.statSync(path).size - 1)
  t.throws(() => attachTo(path), REFUSED)
  fs.truncateSync(path, 300)
  t.throws(() => attachTo(path), REFUSED)
})

asRoot('a file of another user is refused', (t) => {
  const path = newPath()
  attachTo(path).close()
  fs.chownSync(path, 12_345, 0)
  t.throws(() => attachTo(path), REFUSED)
  fs.chownSync(path, 0, 0)
  t.notThrows(() => attachTo(path).close())
})

const BUILD_AT = 8
const MAXIMUM_AT = 16
const RESERVED_AT = 32
const BOOT_AT = 64

const changeByte = (path, offset) => {
  const file = fs.openSync(path, 'r+')
  const byte = Buffer.alloc(1)
  fs.readSync(file, byte, 0, 1, offset)
  byte[0] ^= 1
  fs.writeSync(file, byte, 0, 1, offset)
  fs.closeSync(file)
}

onLinux('the file of another version is refused', (t) => {
  const path = newPath()
  attachTo(path).close()
  changeByte(path, BUILD_AT)
  t.throws(() => attachTo(path), REFUSED)
})

onLinux('a file whose header was written over is refused', (t) => {
  const path = newPath()
  attachTo(path).close()
  const whole = fs.readFileSync(path)
  for (const [offset, pages] of [
    [MAXIMUM_AT, 0n],
    [MAXIMUM_AT, 65_537n],
    [MAXIMUM_AT, 2n ** 32n + 100n],
    [RESERVED_AT, 0n],
    [RESERVED_AT, 101n],
    [RESERVED_AT, 2n ** 64n - 1n],
  ]) {
    const changed = Buffer.from(whole)
    changed.writeBigUInt64LE(pages, offset)
    fs.writeFileSync(path, changed)
    t.throws(() => attachTo(path), REFUSED, `${pages} at ${offset}`)
  }
  fs.writeFileSync(path, whole)
  t.notThrows(() => attachTo(path).close())
})

// Undefined when another thread has closed the descriptor meanwhile.
const targetOf = (descriptor) => {
  try {
    return fs.readlinkSync(descriptor)
  } catch {
    return undefined
  }
}

onLinux('a file that was closed is let go of before anything is collected', (t) => {
  const path = newPath()
  const openings = () =>
    fs.readdirSync('/proc/self/fd').filter((name) => targetOf(`/proc/self/fd/${name}`) === path)
  const memories = [attachTo(path), attachTo(path), attachTo(path)]
  const clone = LocalSharedMemory.from(structuredClone(memories[0]))
  for (const memory of [...memories, clone]) memory.free(memory.malloc(8))
  t.is(openings().length, 3)
  memories.forEach((memory) => memory.close())
  t.is(openings().length, 1)
  clone.close()
  t.is(openings().length, 0)
})

onLinux('a file from before a restart can be had if all had closed it', async (t) => {
  const path = newPath()
  const memory = attachTo(path)
  const block = memory.malloc(64)
  memory.setRoot('block', block)
  const open = `${path}-open`
  fs.copyFileSync(path, open)
  t.teardown(() => fs.rmSync(open))
  t.throws(() => attachTo(open), { code: 'ERR_HEAP_UNCLEAN' })
  memory.close()
  fs.copyFileSync(path, open)
  const copy = attachTo(open)
  t.is(copy.getRoot('block'), block)
  copy.free(block)
  copy.close()
  changeByte(path, BOOT_AT)
  const again = attachTo(path)
  t.is(again.getRoot('block'), block)
  const child = await startProcess(path, 'serve')
  await end(child, 'SIGKILL')
  again.close()
  changeByte(path, BOOT_AT)
  t.throws(() => attachTo(path), { code: 'ERR_HEAP_UNCLEAN' })
  changeByte(path, BOOT_AT)
  attachTo(path).close()
  changeByte(path, BOOT_AT)
  t.notThrows(() => attachTo(path).close())
})

onLinux('a file whose maker was killed before it was done is made anew', (t) => {
  const path = newPath()
  fs.writeFileSync(path, 'LSMmakes', { mode: 0o600 })
  t.throws(() => attachTo(path, { create: false }), REFUSED)
  const memory = attachTo(path)
  t.is(memory.stats().blockCount, 0)
  t.is(memory.buffer.byteLength, 2 * PAGE)
})

onLinux('127 can have a file, and no more', (t) => {
  const path = newPath()
  const memories = Array.from({ length: 127 }, () => attachTo(path))
  for (const memory of memories) {
    const blocks = Array.from({ length: 20 }, () => memory.malloc(64))
    for (const block of blocks) memory.free(block)
  }
  t.throws(() => attachTo(path), { code: 'ERR_ATTACH_FULL' })
  memories[60].close()
  const last = attachTo(path)
  t.deepEqual(last.check(), [])
  for (const memory of [...memories, last]) memory.close()
  const again = attachTo(path)
  const { blockCount, cachedBytes } = again.stats()
  t.deepEqual({ blockCount, cachedBytes }, { blockCount: 0, cachedBytes: 0 })
})

onLinux('trim leaves the file what it has: there might be no room for it later', (t) => {
  const path = newPath()
  const memory = attachTo(path, { initial: 40 })
  const ptr = memory.malloc(2_000_000)
  memory.memset(ptr, 1, 2_000_000)
  memory.free(ptr)
  const { blocks } = fs.statSync(path)
  t.is(memory.trim(), 0)
  t.is(fs.statSync(path).blocks, blocks)
  memory.close()
})

onLinux('a file has room for 4,096 handles, and no more', (t) => {
  const memory = attachTo(newPath())
  const another = () => LocalSharedMemory.from(structuredClone(memory))
  const handles = Array.from({ length: 4095 }, another)
  t.throws(another, { instanceOf: RangeError, code: 'ERR_OUT_OF_MEMORY' })
  t.is(memory.sizeof(handles[7].malloc(100)), 100)
  handles[7].close()
  t.is(memory.sizeof(another().malloc(100)), 100)
  for (const handle of [memory, ...handles]) handle.close()
})

onLinux('a limit of file sizes is out of memory, not the end of the process', async (t) => {
  const args = [newPath(), '100']
  const { code, stdout } = await runChild('attached-limit.mjs', args, { limit: '-f 4000' })
  t.deepEqual([code, stdout], [0, 'ERR_OUT_OF_MEMORY'])
})

/** What the native side answers when a file of two pages is to be mapped over some memory. */
const mapOver = (descriptor) => {
  const memory = new WebAssembly.Memory(descriptor)
  const { grow } = memory
  const { get: getBuffer } = Object.getOwnPropertyDescriptor(WebAssembly.Memory.prototype, 'buffer')
  const { file } = binding.attachFile(newPath(), 2, 2, true)
  const view = new Uint8Array(memory.buffer)
  const opened = binding.openAttached(view, { memory, grow, getBuffer }, file)
  binding.detachFile(file)
  return opened
}

onLinux('the native side maps a file over no memory that it was not made for', (t) => {
  t.is(mapOver({ initial: 2, maximum: 2, shared: false }), Fault.Internal)
  t.is(mapOver({ initial: 3, maximum: 3, shared: true }), Fault.Internal)
  t.is(typeof mapOver({ initial: 2, maximum: 2, shared: true }), 'object')
})

onLinux('a file for whose memory there are no addresses is let go of', async (t) => {
  const args = [newPath(), '100', newPath()]
  const { code, stdout } = await runChild('attached-limit.mjs', args, { limit: '-v 4000000' })
  t.is(code, 0)
  const [first, second] = stdout.split(',')
  // Some engines make a memory without the pages behind it, to which nothing is mapped.
  t.true(['ERR_OUT_OF_MEMORY', 'ERR_STORAGE_UNAVAILABLE'].includes(first))
  t.is(second, first, 'a file that is in use cannot be copied')
})

onLinux('a file is mapped only where the engine has reserved all of its addresses', async (t) => {
  const path = newPath()
  const flags = ['--disable-wasm-trap-handler']
  const attempt = async (...args) => {
    const { code, stdout } = await runChild('attached-limit.mjs', args, { flags })
    return [code, stdout]
  }
  const refused = [0, 'ERR_STORAGE_UNAVAILABLE,ERR_STORAGE_UNAVAILABLE']
  t.deepEqual(await attempt(path, '100', newPath()), refused, 'and closed')
  t.deepEqual(await attempt(newPath(), '2'), [0, 'native'])
  const memory = attachTo(path)
  t.deepEqual(memory.check(), [])
  memory.close()
})

onLinux(
  'a memory that cannot be grown as far as others have it is full, not damaged',
  async (t) => {
    const { code, stdout } = await runChild('attached-behind.mjs', [newPath()])
    t.is(code, 0)
    const [refused, done, findings] = JSON.parse(stdout)
    t.deepEqual(new Set(refused), new Set(['ERR_OUT_OF_MEMORY']))
    t.deepEqual(new Set(done), new Set(['done', 'ERR_INVALID_POINTER']))
    t.deepEqual(findings, [])
  },
)

const mountSmall = () => {
  const folder = fs.mkdtempSync('/tmp/lsm-small-')
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'lsm-small', folder], {
      stdio: 'ignore',
    })
  } catch {
    fs.rmdirSync(folder)
    return undefined
  }
  return {
    folder,
    unmount() {
      execFileSync('umount', ['-l', folder])
      fs.rmdirSync(folder)
    },
  }
}

const onSmallDisk = (title, run) =>
  asRoot(title, (t) => {
    const small = mountSmall()
    if (small === undefined) {
      t.log('no file system can be mounted here')
      t.pass()
      return
    }
    t.teardown(small.unmount)
    run(t, small.folder)
  })

onSmallDisk('a full file system is out of memory, not the end of the process', (t, folder) => {
  const path = join(folder, 'heap')
  const full = { instanceOf: RangeError, code: 'ERR_OUT_OF_MEMORY' }
  t.throws(() => attachTo(path, { initial: 100 }), full)
  const memory = attachTo(path, { initial: 2, maximum: 200 })
  const blocks = []
  t.throws(() => {
    for (;;) {
      const block = memory.malloc(50_000)
      memory.memset(block, 1, 50_000)
      blocks.push(block)
    }
  }, full)
  t.true(blocks.length > 20)
  for (const block of blocks) memory.free(block)
  memory.trim()
  t.notThrows(() => memory.memset(memory.malloc(1_000_000), 1, 1_000_000))
  t.deepEqual(memory.check(), [])
  memory.close()
})

onSmallDisk('pages without room in the file are the heap’s once there is room', (t, folder) => {
  const others = join(folder, 'others')
  fs.writeFileSync(others, Buffer.alloc(20 * PAGE))
  const memory = attachTo(join(folder, 'heap'), { initial: 2, maximum: 200 })
  memory.grow(98)
  t.is(mapEnd(memory), 100 * PAGE)
  t.is(memory.heapMap().at(-1).kind, 'outside')
  const before = fill(memory, 1000)
  t.true(before > 500)
  t.is(memory.buffer.byteLength, 100 * PAGE)
  t.is(mapEnd(memory), 100 * PAGE)
  fs.rmSync(others)
  const after = fill(memory, 1000)
  t.true(after > before + 1000)
  t.true(fill(memory, 1000) >= after)
  // What a thread keeps reaches as far as the heap.
  const usable = memory.heapMap().at(-1).byteOffset
  t.true(usable > 30 * PAGE && usable < 100 * PAGE)
  t.is(heapOf(memory).cache.grains * 16, usable)
  t.is(memory.stats().cachedBytes, 0)
  t.is(memory.buffer.byteLength, 100 * PAGE)
  t.deepEqual(memory.check(), [])
  memory.close()
})

// Stops a process, which keeps the lock most of the time, while it has it.
const stopWithLock = (t, memory, child) => {
  t.teardown(() => child.kill('SIGKILL'))
  const isBusy = () => {
    try {
      memory.stats()
      return false
    } catch (error) {
      t.is(error.code, 'ERR_HEAP_BUSY')
      return true
    }
  }
  let busy = false
  while (!busy) {
    child.kill('SIGSTOP')
    busy = isBusy()
    if (!busy) child.kill('SIGCONT')
  }
}

onLinux('a process that stops while it has the lock is not waited for for ever', async (t) => {
  const path = newPath()
  const memory = attachTo(path)
  const child = await startProcess(path, 'hold')
  stopWithLock(t, memory, child)
  child.kill('SIGKILL')
  await once(child, 'exit')
  const allocs = memory.allocs()
  t.is(allocs.length, 20_000)
  // It has allocated blocks of one size only.
  const { cachedBytes } = memory.stats()
  t.true(cachedBytes > 0)
  t.is(memory.recover(), cachedBytes / allocs[0].bufferSize)
  t.is(memory.stats().cachedBytes, 0)
  t.deepEqual(memory.check(), [])
})

onLinux('what a thread kept that ends meanwhile goes back once the lock is free', async (t) => {
  const path = newPath()
  const memory = attachTo(path, { initial: 50, maximum: 100 })
  const worker = new Worker(new URL('fixtures/cache-worker.mjs', import.meta.url), {
    workerData: { memory },
  })
  t.teardown(() => worker.terminate())
  await once(worker, 'message')
  // So little that the worker keeps it when it comes to rest.
  worker.postMessage({ command: 'churn', args: [[64], 10] })
  await once(worker, 'message')
  t.true(memory.stats().cachedBytes > 0)
  const child = await startProcess(path, 'hold')
  stopWithLock(t, memory, child)
  await worker.terminate()
  child.kill('SIGKILL')
  await once(child, 'exit')
  memory.recover()
  t.is(memory.stats().cachedBytes, 0)
  memory.close()
  t.is(attachTo(path, { create: false }).stats().cachedBytes, 0)
})

onLinux('what a dead process kept is found when there is no room', async (t) => {
  const path = newPath()
  const memory = attachTo(path, { initial: 4, maximum: 4 })
  const child = await startProcess(path, 'serve')
  const ptrs = []
  /* oxlint-disable no-await-in-loop -- one after the other */
  // So little that the process keeps it when it comes to rest.
  for (let count = 0; count < 20; count++) ptrs.push(await ask(child, 'malloc', 100))
  for (const ptr of ptrs) await ask(child, 'free', ptr)
  /* oxlint-enable no-await-in-loop */
  await end(child, 'SIGKILL')
  const before = memory.stats().cachedBytes
  t.true(before > 0)
  t.throws(
    () => {
      for (;;) memory.malloc(3000)
    },
    { code: 'ERR_OUT_OF_MEMORY' },
  )
  const blocks = memory.allocs().map(({ byteOffset }) => byteOffset)
  for (const block of blocks) memory.free(block)
  t.is(memory.recover(), 0)
  memory.trim()
  t.is(memory.stats().cachedBytes, 0)
})

onLinux(
  'a lock is kept for a process that lives, and free once that is dead or unlocks',
  async (t) => {
    const path = newPath()
    const memory = attachTo(path, { initial: 10, maximum: 100 })
    const [mutex, map] = [Mutex.open(memory, 'lock'), SharedMap.open(memory, 'map')]
    const killed = await startProcess(path, 'lock')
    t.is(map.get('pid'), killed.pid)
    t.false(mutex.tryLock())
    await end(killed, 'SIGKILL')
    t.is(mutex.lock(), 'ownerDied')
    mutex.unlock()
    const polite = await startProcess(path, 'lock')
    t.false(mutex.tryLock())
    polite.send('unlock')
    t.is(mutex.lock(), 'locked')
    mutex.unlock()
    await end(polite, 'SIGKILL')
    t.is(mutex.lock(), 'locked')
    t.is(map.get('pid'), polite.pid)
    t.deepEqual(memory.check(), [])
  },
)

onLinux('processes that use a heap are killed, and it is whole each time', async (t) => {
  const { killed, left } = await killProcesses({
    path: newPath(),
    processes: 12,
    random: randomFrom(7),
  })
  t.true(killed >= 12 && left > 0)
})

onLinux(
  'the only process that has a file is killed, and the next one finds the heap whole',
  async (t) => {
    const { killed, left } = await killProcesses({
      path: newPath(),
      processes: 6,
      random: randomFrom(8),
      alone: true,
    })
    t.true(killed >= 6 && left > 0)
  },
)
