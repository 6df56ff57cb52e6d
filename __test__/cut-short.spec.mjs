// A process is killed in the middle of a native call, and others come upon what that call has written, which is undone when anyone
// makes the next one: nobody acts on it, or finds the ground moving later.

import test from 'ava'
import LocalSharedMemory from '../index.js'
import { freeFrom, remove } from '../lib/memory/placing.js'
import { Mutex, SharedMap } from '../structures/index.js'
import { Line } from '../structures/line.js'
import { lockAsync, unlock } from '../structures/lock.js'
import { HEADER_WORDS, IDENTITY, wordsOf } from '../structures/structure.js'
import { BUCKETS, DIRTY, LOCK, SEGMENTS, STALE } from '../structures/shared-map/layout.js'
import { Table } from '../structures/shared-map/table.js'
import { newPath } from './fixtures/attached.mjs'
import { cutShort } from './fixtures/cut-short.mjs'

const onLinux = process.platform === 'linux' ? test : test.skip

/** A token that no thread has. */
const DEAD = 2 ** 31 - 2
/** Few enough for a map of one shard. */
const MOST = 63

const attach = (pages = 20) => {
  const path = newPath()
  const memory = LocalSharedMemory.attach(path, { initial: pages, maximum: pages })
  return { memory, cut: (call) => cutShort(path, pages, call) }
}

const newTable = (memory) => {
  const map = SharedMap.create(memory, { maxEntries: MOST })
  const table = new Table(memory, map.ptr, wordsOf(map))
  return { map, words: table.words, shard: table.firstShard }
}

onLinux('what a call that was cut short has written is undone by the next one', (t) => {
  const { memory, cut } = attach()
  const block = memory.calloc(100_000)
  const before = memory.stats()
  cut(() => memory.free(memory.malloc(200_000, 4096)))
  t.deepEqual(memory.stats(), before)
  cut(() => memory.realloc(block, 50_000))
  t.is(memory.sizeof(block), 100_000)
  cut(() => memory.setRoot('name', block))
  t.is(memory.getRoot('name'), undefined)
  t.deepEqual(memory.stats(), before)
  t.deepEqual(memory.check(), [])
})

onLinux('a block that the dead owner of a mutex was resizing has its old length', (t) => {
  for (const byteLength of [60_000, 34_000]) {
    const { memory, cut } = attach(100)
    const mutex = Mutex.create(memory)
    // From now on this thread keeps blocks of such lengths, and frees them without a native call.
    const blocks = [60_000, 34_000, 40_000].map((length) => memory.malloc(length))
    for (const block of blocks) memory.free(block)
    const block = memory.malloc(40_000)
    wordsOf(mutex)[HEADER_WORDS] = DEAD
    cut(() => t.is(memory.realloc(block, byteLength), block))
    t.is(mutex.lock(), 'ownerDied')
    memory.free(block)
    mutex.unlock()
    t.is(memory.stats().blockCount, 1)
    t.deepEqual(memory.check(), [])
  }
})

onLinux('a block that a killed process was resizing is as long as it says in the end', (t) => {
  const { memory, cut } = attach(100)
  const block = memory.malloc(40_000)
  cut(() => t.is(memory.realloc(block, 60_000), block))
  const moved = memory.realloc(block, 60_100)
  const end = moved + memory.sizeof(moved)
  t.is(end, moved + 60_100)
  const others = Array.from({ length: 40 }, () => memory.malloc(33_000))
  t.false(others.some((other) => other > moved && other < end))
  t.deepEqual(memory.check(), [])
})

onLinux('what the dead owner of a map was just freeing is freed', (t) => {
  const { memory, cut } = attach()
  const { map, words, shard } = newTable(memory)
  map.set(1, 1)
  const before = memory.stats().usedBytes
  words[shard + STALE] = memory.malloc(100)
  words[shard + DIRTY] = 1
  words[shard + LOCK] = DEAD
  cut(() => freeFrom(memory, 4 * (shard + STALE)))
  map.set(1, 2)
  t.is(memory.stats().usedBytes, before)
  map.destroy()
  t.is(memory.length, 0)
})

onLinux('a map whose destroyer was killed can be used, and be destroyed', (t) => {
  const { memory, cut } = attach()
  const { map, words, shard } = newTable(memory)
  map.set('key', 'value')
  map.clear()
  words[shard + BUCKETS] = 0
  words[shard + LOCK] = DEAD
  cut(() => freeFrom(memory, 4 * (shard + SEGMENTS)))
  map.set('key', 'another value')
  t.is(map.get('key'), 'another value')
  map.destroy()
  t.is(memory.length, 0)
})

const destroying = (mutex) => () => remove(mutex.memory, mutex.ptr, wordsOf(mutex)[IDENTITY] >>> 0)

onLinux('a structure whose destroyer was killed is there, and can be destroyed', (t) => {
  const { memory, cut } = attach()
  const mutex = Mutex.open(memory, 'mutex')
  cut(destroying(mutex))
  t.is(mutex.tryLock(), 'locked')
  // Before it had freed anything.
  cut(() => {
    wordsOf(mutex)[IDENTITY] = 0
  })
  t.is(Mutex.at(memory, mutex.ptr).tryLock(), false)
  cut(destroying(mutex))
  t.is(Mutex.open(memory, 'mutex').ptr, mutex.ptr)
  cut(destroying(mutex))
  mutex.destroy()
  t.is(memory.length, 0)
  t.throws(() => mutex.tryLock(), { code: 'ERR_NOT_A_STRUCTURE' })
})

onLinux('who waits for a mutex whose destroyer was killed gets it', async (t) => {
  const { memory, cut } = attach()
  const mutex = Mutex.create(memory)
  const words = wordsOf(mutex)
  mutex.lock()
  const waiting = lockAsync(words, HEADER_WORDS, new Line(words), {})
  cut(destroying(mutex))
  unlock(words, HEADER_WORDS)
  t.is(await waiting, 'locked')
  mutex.destroy()
})

onLinux('a lock whose owner died stays as it is for a thread that has closed the heap', (t) => {
  const { memory } = attach()
  const mutex = Mutex.create(memory)
  wordsOf(mutex)[HEADER_WORDS] = DEAD
  memory.close()
  t.throws(() => mutex.tryLock(), { code: 'ERR_HEAP_CLOSED' })
  t.throws(() => mutex.lock(), { code: 'ERR_HEAP_CLOSED' })
  t.is(wordsOf(mutex)[HEADER_WORDS], DEAD)
})
