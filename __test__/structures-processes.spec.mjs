// Structures in a heap that several processes have, some of which are killed. scripts/kill.js does it to thousands.

import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import test from 'ava'
import LocalSharedMemory from '../index.js'
import { Channel, Mutex, SharedMap } from '../structures/index.js'
import { HEADER_WORDS } from '../structures/structure.js'
import { wake } from '../structures/waiting.js'
import { end, newPath, STRUCTURES, startProcess } from './fixtures/attached.mjs'
import { launch } from './fixtures/launch.mjs'
import { killInProcesses } from './fixtures/process-kills.mjs'
import { STRUCTURES as KILLS } from './fixtures/structure-kills.mjs'

const onLinux = process.platform === 'linux' ? test : test.skip

const ROOM = { initial: 10, maximum: 4000 }
const LONG = { timeout: 60_000 }
const TURNS = 3000
const MOST_NAMES = 1024

const attach = (path) => LocalSharedMemory.attach(path, ROOM)
const start = (path, mode, options) => startProcess(path, mode, options, STRUCTURES)
const startAll = (count, ...how) => Promise.all(Array.from({ length: count }, () => start(...how)))
const ends = (children) =>
  Promise.all(children.map((child) => child.exitCode ?? once(child, 'exit')))

onLinux('one process at a time has a mutex', async (t) => {
  const path = newPath()
  const memory = attach(path)
  const ptr = memory.calloc(4)
  const children = await startAll(3, path, 'count under the mutex', { count: TURNS, ptr })
  await ends(children)
  t.is(memory.getUint32(ptr), 3 * TURNS)
})

onLinux('the mutex of a process that is killed goes to one that waits for it', async (t) => {
  const path = newPath()
  const mutex = Mutex.open(attach(path), 'mutex')
  const holder = await start(path, 'hold the mutex')
  const waiter = await start(path, 'wait for the mutex')
  const told = once(waiter, 'message')
  await end(holder, 'SIGKILL')
  t.deepEqual(await told, ['ownerDied', undefined])
  const waiting = mutex.lockAsync(LONG)
  await end(waiter, 'SIGKILL')
  t.is(await waiting, 'ownerDied')
  mutex.unlock()
  t.is(mutex.tryLock(), 'locked')
})

onLinux('processes count in one map, and none of their entries is lost', async (t) => {
  const path = newPath()
  const memory = attach(path)
  const map = SharedMap.open(memory, 'map')
  const children = await startAll(3, path, 'count in the map', { count: 1000 })
  await ends(children)
  t.is(map.get('all'), 3000)
  t.is(map.size, 3001)
  for (const { pid } of children) t.is(map.get(`${pid} 999`), 999)
  map.destroy()
  t.is(memory.stats().blockCount, 0)
  t.deepEqual(memory.check(), [])
})

onLinux('senders are killed, the others go on, and what was sent comes in order', async (t) => {
  const path = newPath()
  const channel = Channel.open(attach(path), 'channel')
  const children = await startAll(3, path, 'send')
  const numbers = new Map(children.map(({ pid }) => [pid, 0]))
  const take = ([pid, number]) => {
    t.is(number, numbers.get(pid))
    numbers.set(pid, number + 1)
  }
  while (children.length > 0) {
    for (const { pid } of children) {
      const enough = numbers.get(pid) + 100
      while (numbers.get(pid) < enough) take(channel.receive(LONG))
    }
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await end(children.pop(), 'SIGKILL')
  }
  let left
  while ((left = channel.tryReceive()) !== undefined) take(left)
})

onLinux('a receiver that is killed takes one message with it at the most', async (t) => {
  const path = newPath()
  const memory = attach(path)
  const count = 3000
  const ptr = memory.calloc(4 * count)
  const channel = Channel.open(memory, 'channel')
  const [dead, ...others] = await startAll(3, path, 'receive', { ptr })
  for (let number = 0; number < count; number++) {
    channel.send(number, LONG)
    if (number === count / 2) dead.kill('SIGKILL')
  }
  channel.close()
  await ends([dead, ...others])
  const times = [...memory.arrayView(Int32Array, ptr, count)]
  t.true(times.every((time) => time === 0 || time === 1))
  t.true(times.filter((time) => time === 0).length <= 1)
})

onLinux('what a process reserved that was killed is dropped', async (t) => {
  const path = newPath()
  const channel = Channel.open(attach(path), 'channel')
  const child = await start(path, 'reserve')
  channel.send('behind it')
  t.is(channel.tryReceive(), undefined)
  const received = channel.receiveAsync(LONG)
  await end(child, 'SIGKILL')
  t.is(await received, 'behind it')
})

onLinux('a name that there is no room for is refused, and no block is lost to it', (t) => {
  const memory = LocalSharedMemory.attach(newPath(), { initial: 2, maximum: 100 })
  const mutexes = Array.from({ length: MOST_NAMES }, (_, name) => Mutex.open(memory, `${name}`))
  const before = memory.stats()
  const full = { instanceOf: RangeError, code: 'ERR_OUT_OF_MEMORY' }
  t.throws(() => Mutex.open(memory, 'one more'), full)
  t.throws(() => memory.setRoot('one more', mutexes[0].ptr), full)
  t.deepEqual(memory.stats(), before)
  t.is(Mutex.open(memory, '7').ptr, mutexes[7].ptr)
  t.notThrows(() => Mutex.create(memory).destroy())
  mutexes[7].destroy()
  t.is(Mutex.open(memory, 'one more').ptr, memory.getRoot('one more'))
  t.throws(() => Mutex.open(memory, '7'), full)
})

onLinux('who sleeps in one process is woken from another one', async (t) => {
  const path = newPath()
  const channel = Channel.open(attach(path), 'channel')
  const child = await start(path, 'receive, and say how')
  let woken = 0
  /* oxlint-disable no-await-in-loop -- one after the other */
  for (let number = 0; number < 30; number++) {
    const told = once(child, 'message')
    await setTimeout(5)
    channel.send(number)
    const [answer] = await told
    t.is(answer.number, number)
    woken += answer.isWoken
  }
  /* oxlint-enable no-await-in-loop */
  t.true(woken > 15)
  await end(child, 'SIGKILL')
})

onLinux('who waits without sleeping is woken by its own process', async (t) => {
  const memory = attach(newPath())
  const words = memory.arrayView(Int32Array, memory.calloc(4), 1)
  const { value } = Atomics.waitAsync(words, 0, 0, LONG.timeout)
  wake(words, 0)
  t.is(await value, 'ok')
})

onLinux('a thread that sleeps is terminated', async (t) => {
  const memory = attach(newPath())
  const mutex = Mutex.create(memory)
  mutex.lock()
  const { worker, end: ending } = launch('mutex-holder.mjs', { memory, ptr: mutex.ptr })
  // oxlint-disable-next-line no-await-in-loop -- until it waits
  while (memory.load(Int32Array, mutex.ptr / 4 + HEADER_WORDS) > 0) await setTimeout(1)
  await worker.terminate()
  t.is((await ending).code, 1)
  mutex.unlock()
  t.is(mutex.tryLock(), 'locked')
})

onLinux('a structure of a heap that was closed can be waited for no longer than that', (t) => {
  const memory = attach(newPath())
  const channel = Channel.create(memory)
  memory.close()
  t.throws(() => channel.receive({ timeout: 10 }), { code: 'ERR_TIMED_OUT' })
})

for (const [structure, { kill, operations }] of Object.entries(KILLS)) {
  onLinux(`processes are killed in everything that a ${structure} does`, async (t) => {
    for (const [seed, operation] of operations.entries()) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const { killed } = await killInProcesses(kill, { operation, seed, workers: 2, atOnce: 2 })
      t.is(killed, 2)
    }
  })
}
