// What the native side answers with: figures that take up no memory for longer than JavaScript has them, and numbers for
// refusals, each of which becomes the error that it stands for.

import test from 'ava'
import LocalSharedMemory from '../index.js'
import { heapOf } from '../lib/memory/blocks.js'
import { errorOf, Fault } from '../lib/native/faults.js'
import { runChild } from './fixtures/child.mjs'
import { openedNatively } from './fixtures/native.mjs'

const MEBI = 2 ** 20

for (const [what, calls] of [
  ['length', 100_000],
  ['stats', 100_000],
  ['allocs', 3000],
  ['heapMap', 50_000],
]) {
  test(`a loop over ${what} that never lets the event loop turn does not make the process grow`, async (t) => {
    const { code, stdout, stderr } = await runChild('figures-loop.mjs', [what, String(calls)])
    t.is(code, 0, stderr)
    t.true(Number(stdout) < 12 * MEBI, `${stdout} bytes`)
  })
}

const plain = (shared) => new WebAssembly.Memory({ initial: 1, maximum: 10, shared })

test('what the native side cannot use is a fault of ours, and changes nothing', (t) => {
  const native = openedNatively(plain(true))
  const figures = new Float64Array(6).fill(7)
  for (const bad of [undefined, {}, new Float32Array(6), new Float64Array(5), [1, 2, 3, 4, 5, 6]]) {
    t.is(native.stats(bad), Fault.Internal)
  }
  for (const bad of [undefined, {}, new Int8Array(8), new Uint8Array(new ArrayBuffer(8), 4)]) {
    t.is(native.refresh(bad), Fault.Internal)
  }
  t.is(native.stats(figures), 0)
  t.deepEqual([...figures], [0, 0, 0, 0, 0, 0])
})

for (const shared of [true, false]) {
  test(`growth asks the engine, whatever a caller puts in its place, shared: ${shared}`, (t) => {
    const memory = plain(shared)
    const native = openedNatively(memory)
    const lies = [memory, () => 60_000, 1]
    for (const numbers of [[100_000, 16], lies, [2 ** 32 - 1, 65_536]]) native.grow(...numbers)
    const pages = memory.buffer.byteLength / 65_536
    t.true(pages > 2 && pages <= 10)
    native.refresh(new Uint8Array(memory.buffer))
    const ptr = native.malloc(100_000, 16, 0)
    t.true(ptr > 0 && ptr + 100_000 <= memory.buffer.byteLength)
    t.deepEqual(native.check(1), [])
    t.true(native.growBehind(ptr + 16, 200_000) < 1)
    t.true(native.growBehind({}, () => 1) < 1)
  })
}

test('each fault is an error with a code', (t) => {
  const codes = Object.values(Fault)
    .filter((fault) => typeof fault === 'number')
    .map((fault) => [fault, errorOf(fault, 16).code])
  t.deepEqual(
    codes.filter(([, code]) => code === 'ERR_INVALID_POINTER').map(([fault]) => fault),
    [Fault.NeverAllocated, Fault.InsideBlock, Fault.AlreadyFreed, Fault.FreedTwice],
  )
  t.is(errorOf(Fault.Internal).code, 'ERR_INTERNAL')
  t.is(errorOf(Fault.Internal, 16, null).code, 'ERR_INTERNAL')
  t.is(errorOf(Fault.Corrupted).code, 'ERR_HEAP_CORRUPTED')
})

test('whoever has waited in vain for the lock is not made to wait again by the same call', (t) => {
  const memory = new LocalSharedMemory(10)
  const ptr = memory.malloc(40_000)
  const heap = heapOf(memory)
  const { native } = heap
  let asked = 0
  const waitInVain = () => {
    asked++
    return Fault.Busy
  }
  const names = ['refill', 'malloc', 'makeRoom', 'free', 'resize']
  heap.native = Object.create(
    native,
    Object.fromEntries(names.map((name) => [name, { value: waitInVain }])),
  )
  for (const call of [
    () => memory.malloc(200),
    () => memory.malloc(20_000),
    () => memory.malloc(100_000),
    () => memory.malloc(200, 4096),
    () => memory.calloc(200),
    () => memory.free(ptr),
    () => memory.realloc(ptr, 90_000),
  ]) {
    asked = 0
    t.throws(call, { code: 'ERR_HEAP_BUSY' })
    t.is(asked, 1, String(call))
  }
  heap.native = native
  t.is(memory.sizeof(ptr), 40_000)
  memory.free(ptr)
})
