// One worker of heap.js: random calls until its time is over, then the end that it was told. Its live blocks are
// noted outside the heap before anything else is done to them, and struck off before they are given up.

import { workerData } from 'node:worker_threads'
import LocalSharedMemory from '../../index.js'
import { intact, stamp } from '../../__test__/fixtures/pattern.mjs'
import { randomFrom } from '../../__test__/fixtures/random.mjs'

const SIZES = [64, 64, 64, 500, 500, 500, 4000, 4000, 40_000, 40_000, 300_000]
const LARGE = 3_000_000
const BETWEEN_CHECKS = 64

const { stop, operations, mailboxes, live, index, how, life, seed } = workerData
const memory = LocalSharedMemory.from(workerData.memory)
const random = randomFrom(seed)

const newSize = () => 1 + random(random(200) === 0 ? LARGE : SIZES[random(SIZES.length)])
const tagOf = (ptr, byteLength) => ptr + byteLength

const keep = (slot, ptr) => {
  live[slot] = ptr
  const byteLength = memory.sizeof(ptr)
  stamp(memory, ptr, byteLength, tagOf(ptr, byteLength))
}

const discard = (ptr) => {
  const byteLength = memory.sizeof(ptr)
  if (!intact(memory, ptr, byteLength, tagOf(ptr, byteLength))) {
    throw new Error(`the bytes of block ${ptr} changed`)
  }
  memory.free(ptr)
}

const takeOut = (slot) => {
  const ptr = live[slot]
  live[slot] = 0
  return ptr
}

const resize = (slot) => {
  const ptr = takeOut(slot)
  const byteLength = memory.sizeof(ptr)
  let moved
  try {
    moved = memory.realloc(ptr, newSize())
  } catch (error) {
    live[slot] = ptr
    throw error
  }
  if (!intact(memory, moved, Math.min(byteLength, memory.sizeof(moved)), tagOf(ptr, byteLength))) {
    throw new Error(`the bytes of block ${ptr} changed on their way to ${moved}`)
  }
  keep(slot, moved)
}

const give = (slot) => {
  const ptr = takeOut(slot)
  const before = Atomics.exchange(mailboxes, random(mailboxes.length), ptr)
  if (before !== 0) discard(before)
}

const step = () => {
  const slot = random(live.length)
  if (live[slot] === 0) {
    return keep(slot, memory.malloc(newSize(), random(8) === 0 ? 2 ** random(17) : 16))
  }
  const action = random(16)
  if (action === 0) give(slot)
  else if (action < 4) resize(slot)
  else discard(takeOut(slot))
  return undefined
}

const discardHalf = () => {
  for (let slot = random(2); slot < live.length; slot += 2) {
    if (live[slot] !== 0) discard(takeOut(slot))
  }
}

const end = Date.now() + life
const goesOn = () => Atomics.load(stop, 0) === 0 && (how === 'terminate' || Date.now() < end)

while (goesOn()) {
  for (let count = 0; count < BETWEEN_CHECKS; count++) {
    try {
      step()
    } catch (error) {
      if (error.code !== 'ERR_OUT_OF_MEMORY') throw error
      discardHalf()
    }
  }
  if (random(500) === 0) memory.trim()
  Atomics.add(operations, index, BETWEEN_CHECKS)
}
if (how === 'terminate') Atomics.wait(stop, 0, 1)
for (const slot of live.keys()) if (live[slot] !== 0) discard(takeOut(slot))
if (how === 'exit') process.exit(3)
if (how === 'throw') throw new Error('the end')
