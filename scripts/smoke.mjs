// The shortest walk through the package, for runtimes that ava does not run on: every kind of thing it does, once. Plain
// asserts; exits with 0 when all of it works. That the runtime ends in peace with heaps still open is part of it: a crash
// at its end shows in the exit code or signal only, so whoever runs this has to look at both.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { sharedModule } from '../__test__/fixtures/modules.mjs'
import LocalSharedMemory from '../index.js'

const PAGE = 65_536

const heap = (memory) => {
  const ptr = memory.malloc(100, 64)
  assert.equal(ptr % 64, 0)
  assert.equal(memory.sizeof(ptr), 100)
  assert.equal(memory.getUint32(ptr - 8), 100)
  memory.setFloat64(ptr + 8, Math.PI)
  const moved = memory.realloc(ptr, 100_000)
  assert.equal(memory.getFloat64(moved + 8), Math.PI)
  assert.deepEqual(
    memory.allocs().map(({ byteOffset }) => byteOffset),
    [moved],
  )
  memory.free(moved)
  assert.throws(() => memory.free(moved), { code: 'ERR_INVALID_POINTER' })
  assert.throws(() => memory.malloc(200 * PAGE), { code: 'ERR_OUT_OF_MEMORY' })
  assert.equal(memory.length, 0)
  assert.ok(memory.trim() >= 0)
}

const accessors = (memory) => {
  const ptr = memory.calloc(4, 8)
  memory.setBigUint64(ptr, 2n ** 63n)
  memory.setInt16(ptr + 9, -2)
  assert.equal(memory.getBigUint64(ptr), 2n ** 63n)
  assert.equal(memory.getInt16(ptr + 9), -2)
  const view = memory.Float32Array([0.5, 1.5])
  assert.equal(memory.getFloat32(view.byteOffset + 4), 1.5)
  assert.equal(memory.arrayBuffer(view.byteOffset).byteLength, 8)
  assert.throws(() => memory.getInt8(0), { code: 'ERR_OUT_OF_RANGE' })
  memory.free(view.byteOffset)
  memory.free(ptr)
}

const atomics = (memory) => {
  const ptr = memory.calloc(2, 4)
  assert.equal(memory.add(Int32Array, ptr / 4, 5), 0)
  assert.equal(memory.compareExchange(memory.arrayView(Int32Array, ptr), 0, 5, 6), 5)
  assert.equal(memory.load(Int32Array, ptr / 4), 6)
  assert.equal(memory.notify(Int32Array, ptr / 4), 0)
  memory.free(ptr)
}

const growth = (memory) => {
  const { byteLength } = memory.buffer
  const ptr = memory.malloc(byteLength)
  assert.ok(memory.buffer.byteLength > byteLength)
  memory.memset(ptr, 7, byteLength)
  assert.equal(memory.getUint8(ptr + byteLength - 1), 7)
  memory.free(ptr)
}

const modules = (memory) => {
  const wasm = new WebAssembly.Instance(sharedModule(), { env: { memory } }).exports
  const ptr = memory.malloc(8)
  wasm.store(ptr, 42)
  assert.equal(memory.getInt32(ptr), 42)
  const pages = wasm.grow(1)
  assert.equal(memory.buffer.byteLength, (pages + 1) * PAGE)
  assert.equal(wasm.load((pages + 1) * PAGE - 4), 0)
  assert.throws(() => wasm.load((pages + 1) * PAGE), WebAssembly.RuntimeError)
  memory.free(ptr)
}

// The worker frees a block of this thread and leaves one of its own, which is freed here.
const threads = async (memory) => {
  const theirs = memory.malloc(5000)
  memory.setInt32(theirs, 11)
  const worker = new Worker(new URL(import.meta.url), { workerData: { memory, theirs } })
  const [[mine]] = await Promise.all([once(worker, 'message'), once(worker, 'exit')])
  assert.equal(memory.getInt32(mine), 12)
  assert.throws(() => memory.free(theirs), { code: 'ERR_INVALID_POINTER' })
  memory.free(mine)
  assert.equal(memory.length, 0)
}

const answer = ({ memory: received, theirs }) => {
  const memory = LocalSharedMemory.from(received)
  assert.equal(memory.sizeof(theirs), 5000)
  const mine = memory.malloc(6000)
  memory.setInt32(mine, memory.getInt32(theirs) + 1)
  memory.free(theirs)
  parentPort.postMessage(mine, [])
}

/** Memories with a live block and cached ones, which stay until the runtime clears up. */
const openAtExit = []

const leaveOpen = (memory) => {
  memory.free(memory.malloc(100))
  memory.malloc(100)
  openAtExit.push(memory)
}

// Deno reserves no more for a memory than its maximum, and not always that.
const expectedStorage = ({ mayGrow }) => {
  const native = process.platform === 'linux' || process.platform === 'darwin'
  const { bun, deno } = process.versions
  return native && !bun && !(deno && mayGrow) ? 'native' : 'engine'
}

if (isMainThread) {
  const memory = new LocalSharedMemory(1, 100)
  assert.equal(memory.storage, expectedStorage({ mayGrow: true }))
  assert.equal(new LocalSharedMemory(100).storage, expectedStorage({ mayGrow: false }))
  for (const part of [heap, accessors, atomics, growth, modules]) part(memory)
  await threads(memory)
  for (const storage of new Set(['engine', memory.storage])) {
    leaveOpen(new LocalSharedMemory({ initial: 1, maximum: 100, shared: true, storage }))
  }
  leaveOpen(new LocalSharedMemory(1, 100, false))
  console.log(`storage: ${memory.storage}`)
} else {
  answer(workerData)
}
