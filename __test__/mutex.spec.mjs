// Mutex: one thread at a time has it, every way to take it, and what becomes of it when its owner ends.

import { getEventListeners } from 'node:events'
import { inspect } from 'node:util'
import test from 'ava'
import LocalSharedMemory from '../index.js'
import { SELF } from '../structures/liveness.js'
import { Mutex } from '../structures/index.js'
import { HEADER_WORDS, wordsOf } from '../structures/structure.js'
import { destroying } from './fixtures/destroying.mjs'
import { launch, reportsOf, within } from './fixtures/launch.mjs'
import { Note } from './fixtures/mutex-scenario.mjs'
import { explore, killAtEachStep } from './fixtures/stepping.mjs'
import {
  DEADLOCK,
  INVALID_TYPE,
  NOT_A_STRUCTURE,
  NOT_LOCKED,
  OUT_OF_RANGE,
  TIMED_OUT,
} from './fixtures/refusals.mjs'

const LATEST = 60_000

const newMutex = () => Mutex.create(new LocalSharedMemory(1, 10))
const dispose = (guard) => guard[Symbol.dispose]()

/** A worker that holds the mutex, until `release` or its end. */
const holder = async (mutex, how = 'wait') => {
  const { memory, ptr } = mutex
  const { worker, end } = launch('mutex-holder.mjs', { memory, ptr, how })
  const message = await within(
    LATEST,
    'the lock',
    new Promise((resolve) => worker.once('message', resolve)),
  )
  return { worker, end, message, release: () => worker.postMessage('release') }
}

test('one thread at a time has it, in whichever way it is taken', async (t) => {
  const memory = new LocalSharedMemory(1, 10)
  const [counter, rounds] = [memory.calloc(8), 2000]
  Mutex.open(memory, 'counter')
  const ways = ['lock', 'tryLock', 'lockAsync', 'acquire', 'withLock', 'withLock async']
  const launched = ways.map((way) => launch('mutex-worker.mjs', { memory, counter, rounds, way }))
  t.deepEqual(await reportsOf(LATEST, launched), ways)
  t.is(memory.getUint32(counter), rounds * ways.length)
  t.is(Mutex.open(memory, 'counter').tryLock(), 'locked')
})

test('a thread that holds it is refused a second time, but for tryLock and lockAsync', async (t) => {
  const mutex = newMutex()
  t.is(mutex.lock(), 'locked')
  t.throws(() => mutex.lock(), DEADLOCK)
  t.throws(() => mutex.lock({ timeout: 10 }), DEADLOCK)
  t.throws(() => mutex.acquire(), DEADLOCK)
  t.throws(() => mutex.withLock(() => t.fail()), DEADLOCK)
  t.throws(() => Mutex.at(mutex.memory, mutex.ptr).lock(), DEADLOCK)
  t.is(mutex.tryLock(), false)
  const waiting = mutex.lockAsync()
  mutex.unlock()
  t.is(await waiting, 'locked')
  t.throws(() => mutex.lock(), DEADLOCK)
  mutex.unlock()
  t.is(mutex.tryLock(), 'locked')
})

test('who does not hold it cannot give it up', async (t) => {
  const mutex = newMutex()
  t.throws(() => mutex.unlock(), NOT_LOCKED)
  const { end, release } = await holder(mutex)
  t.throws(() => mutex.unlock(), NOT_LOCKED)
  t.is(mutex.tryLock(), false)
  const waiting = mutex.lockAsync()
  t.throws(() => mutex.unlock(), NOT_LOCKED)
  release()
  t.is(await within(LATEST, 'the lock', waiting), 'locked')
  await end
  mutex.unlock()
  t.throws(() => mutex.unlock(), NOT_LOCKED)
})

for (const how of ['terminate', 'terminate in a loop', 'return', 'throw', 'exit']) {
  test(`the next one gets the lock of a thread that ends, and is told: ${how}`, async (t) => {
    const mutex = newMutex()
    const take = {
      lock: () => mutex.lock(),
      'lock with a timeout': () => mutex.lock({ timeout: LATEST }),
      tryLock: () => mutex.tryLock(),
      lockAsync: () => mutex.lockAsync({ timeout: LATEST }),
      acquire: () => (mutex.acquire().ownerDied ? 'ownerDied' : 'locked'),
      withLock: () => mutex.withLock((outcome) => [mutex.tryLock(), outcome].at(-1)),
    }
    for (const [way, run] of Object.entries(take)) {
      // oxlint-disable-next-line no-await-in-loop -- one by one
      const { worker, end } = await holder(mutex, how)
      if (how.startsWith('terminate')) worker.terminate()
      // oxlint-disable-next-line no-await-in-loop
      await within(LATEST, 'the end', end)
      // oxlint-disable-next-line no-await-in-loop
      t.is(await run(), 'ownerDied', way)
      if (way !== 'withLock') mutex.unlock()
      t.is(mutex.lock(), 'locked', way)
      mutex.unlock()
    }
  })
}

test('threads that are waiting when the owner is terminated get the lock, one after the other', async (t) => {
  const mutex = newMutex()
  const { memory, ptr } = mutex
  const { worker } = await holder(mutex)
  const ways = ['lock', 'lockAsync', 'lock with a timeout']
  const waiters = ways.map((way) => launch('mutex-waiter.mjs', { memory, ptr, way }))
  const waiting = waiters.map(
    (waiter) => new Promise((resolve) => waiter.worker.once('message', resolve)),
  )
  await within(LATEST, 'the waiters', Promise.all(waiting))
  worker.terminate()
  const outcomes = await reportsOf(LATEST, waiters)
  t.deepEqual(outcomes.toSorted(), ['locked', 'locked', 'ownerDied'])
  t.is(mutex.tryLock(), 'locked')
})

test('a thread that ends while it waits takes nothing with it', async (t) => {
  const mutex = newMutex()
  const { memory, ptr } = mutex
  for (const way of ['lock', 'lockAsync']) {
    t.is(mutex.lock(), 'locked')
    const waiters = Array.from({ length: 2 }, () =>
      launch('mutex-waiter.mjs', { memory, ptr, way }),
    )
    const waiting = waiters.map(
      ({ worker }) => new Promise((resolve) => worker.once('message', resolve)),
    )
    // oxlint-disable-next-line no-await-in-loop -- one by one
    await within(LATEST, 'the waiters', Promise.all(waiting))
    waiters[0].worker.terminate()
    mutex.unlock()
    // oxlint-disable-next-line no-await-in-loop
    await within(LATEST, 'the end', waiters[0].end)
    // oxlint-disable-next-line no-await-in-loop
    t.deepEqual(await reportsOf(LATEST, [waiters[1]]), ['locked'])
  }
})

test('a worker that only awaits the lock lives until it has it', async (t) => {
  const mutex = newMutex()
  const { memory, ptr } = mutex
  mutex.lock()
  const { worker, end } = launch('mutex-waiter.mjs', { memory, ptr, way: 'lockAsync' })
  await within(LATEST, 'the wait', new Promise((resolve) => worker.once('message', resolve)))
  await new Promise((resolve) => setTimeout(resolve, 200))
  mutex.unlock()
  const { code, report } = await within(LATEST, 'the end', end)
  t.deepEqual([code, report], [0, 'locked'])
})

test('a wait ends with its timeout, and the lock is as it was', async (t) => {
  const mutex = newMutex()
  const { release, end } = await holder(mutex)
  for (const timeout of [0, 1, 120]) {
    t.throws(() => mutex.lock({ timeout }), TIMED_OUT)
    t.throws(() => mutex.acquire({ timeout }), TIMED_OUT)
    t.throws(() => mutex.withLock(() => t.fail(), { timeout }), TIMED_OUT)
    // oxlint-disable-next-line no-await-in-loop -- one by one
    await t.throwsAsync(mutex.lockAsync({ timeout }), TIMED_OUT)
  }
  release()
  await within(LATEST, 'the end', end)
  t.is(mutex.lock({ timeout: 0 }), 'locked')
  mutex.unlock()
  t.is(await mutex.lockAsync({ timeout: 0 }), 'locked')
})

test('a signal ends a wait, and takes no one else the turn', async (t) => {
  const mutex = newMutex()
  const reason = new Error('enough')
  mutex.lock()
  await t.throwsAsync(mutex.lockAsync({ signal: AbortSignal.abort(reason) }), { is: reason })
  const controller = new AbortController()
  const aborted = mutex.lockAsync({ signal: controller.signal })
  const patient = mutex.lockAsync({ signal: new AbortController().signal })
  controller.abort(reason)
  mutex.unlock()
  await t.throwsAsync(within(LATEST, 'the reason', aborted), { is: reason })
  t.is(await within(LATEST, 'the lock', patient), 'locked')
  mutex.unlock()
  await t.throwsAsync(mutex.lockAsync({ signal: AbortSignal.abort(reason) }), { is: reason })
  t.is(mutex.tryLock(), 'locked')
  const { signal } = new AbortController()
  const waiting = mutex.lockAsync({ signal })
  t.is(getEventListeners(signal, 'abort').length, 1)
  mutex.unlock()
  t.is(await within(LATEST, 'the lock', waiting), 'locked')
  t.is(getEventListeners(signal, 'abort').length, 0)
})

test('withLock gives the lock up when the function returns, throws, or its promise is settled', async (t) => {
  const mutex = newMutex()
  const held = () => mutex.tryLock() === false
  const free = () => {
    const outcome = mutex.tryLock()
    if (outcome) mutex.unlock()
    return outcome === 'locked'
  }
  t.deepEqual(
    mutex.withLock((outcome) => [outcome, held()]),
    ['locked', true],
  )
  t.true(free())
  const fault = new Error('a fault')
  const fail = () => {
    throw fault
  }
  t.throws(() => mutex.withLock(fail), { is: fault })
  t.true(free())
  // oxlint-disable-next-line unicorn/no-thenable -- looking whether it is a promise throws
  const unlookable = Object.defineProperty({}, 'then', { get: fail })
  t.throws(() => mutex.withLock(() => unlookable), { is: fault })
  t.true(free())
  const pending = mutex.withLock(async () => {
    await new Promise(setImmediate)
    return held()
  })
  t.true(held())
  t.true(await pending)
  t.true(free())
  await t.throwsAsync(
    mutex.withLock(async () => fail()),
    { is: fault },
  )
  t.true(free())
})

test('what a function throws comes out of withLock though it gave the lock up, or destroyed the mutex', async (t) => {
  const fault = new Error('a fault')
  for (const end of ['unlock', 'destroy']) {
    const failAfter = (mutex) => () => {
      mutex[end]()
      throw fault
    }
    const [first, second] = [newMutex(), newMutex()]
    t.throws(() => first.withLock(failAfter(first)), { is: fault })
    const fail = failAfter(second)
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await t.throwsAsync(
      second.withLock(async () => fail()),
      { is: fault },
    )
  }
  const mutex = newMutex()
  t.throws(() => mutex.withLock(() => mutex.unlock()), NOT_LOCKED)
  await t.throwsAsync(
    mutex.withLock(async () => mutex.unlock()),
    NOT_LOCKED,
  )
})

test('a guard gives the lock up once', (t) => {
  const mutex = newMutex()
  const guard = mutex.acquire()
  t.false(guard.ownerDied)
  dispose(guard)
  t.is(mutex.lock(), 'locked')
  dispose(guard)
  t.is(mutex.tryLock(), false)
})

test('a guard whose lock was given up by hand leaves a later one alone', async (t) => {
  for (const take of ['lock', 'tryLock', 'lockAsync', 'acquire']) {
    const mutex = newMutex()
    const guard = mutex.acquire()
    mutex.unlock()
    t.throws(() => dispose(guard), NOT_LOCKED, take)
    const other = mutex.acquire()
    mutex.unlock()
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await mutex[take]()
    t.throws(() => dispose(other), NOT_LOCKED, take)
    t.is(mutex.tryLock(), false, take)
    mutex.unlock()
  }
})

test('who waits for a mutex that is destroyed is told', async (t) => {
  const mutex = newMutex()
  mutex.lock()
  const waiting = mutex.lockAsync()
  const { memory, ptr } = mutex
  const waiter = launch('mutex-waiter.mjs', { memory, ptr, way: 'lock' })
  await within(LATEST, 'the wait', new Promise((resolve) => waiter.worker.once('message', resolve)))
  await new Promise((resolve) => setTimeout(resolve, 20))
  mutex.destroy()
  await t.throwsAsync(within(LATEST, 'the error', waiting), NOT_A_STRUCTURE)
  t.deepEqual(await reportsOf(LATEST, [waiter]), ['ERR_NOT_A_STRUCTURE'])
  for (const use of ['lock', 'tryLock', 'unlock', 'acquire', 'destroy']) {
    t.throws(() => mutex[use](), NOT_A_STRUCTURE, use)
  }
  t.throws(() => mutex.withLock(() => t.fail()), NOT_A_STRUCTURE)
  await t.throwsAsync(mutex.lockAsync(), NOT_A_STRUCTURE)
  t.is(mutex.memory.length, 0)
})

test('options that destroy the mutex do not have its lock taken', async (t) => {
  for (const way of ['lock', 'lockAsync', 'acquire']) {
    const mutex = newMutex()
    const options = destroying(mutex, 'timeout')
    // oxlint-disable-next-line no-await-in-loop -- one at a time
    await t.throwsAsync(async () => mutex[way](options), NOT_A_STRUCTURE, way)
  }
})

test('a word that was written over hangs nobody', async (t) => {
  const mutex = newMutex()
  const words = wordsOf(mutex)
  for (const word of [SELF + 1_000_000, 2 ** 31 - 1, -(2 ** 31), -1]) {
    words[HEADER_WORDS] = word
    t.is(mutex.tryLock(), 'ownerDied')
    mutex.unlock()
    words[HEADER_WORDS] = word
    t.is(mutex.lock(), 'ownerDied')
    mutex.unlock()
    words[HEADER_WORDS] = word
    // oxlint-disable-next-line no-await-in-loop -- one by one
    t.is(await mutex.lockAsync(), 'ownerDied')
    mutex.unlock()
  }
})

test('bad arguments are refused', async (t) => {
  const mutex = newMutex()
  for (const timeout of ['1', 1n, {}, null]) {
    t.throws(() => mutex.lock({ timeout }), INVALID_TYPE)
    // oxlint-disable-next-line no-await-in-loop -- one by one
    await t.throwsAsync(mutex.lockAsync({ timeout }), INVALID_TYPE)
  }
  for (const timeout of [-1, NaN]) {
    t.throws(() => mutex.lock({ timeout }), OUT_OF_RANGE)
    // oxlint-disable-next-line no-await-in-loop
    await t.throwsAsync(mutex.lockAsync({ timeout }), OUT_OF_RANGE)
  }
  for (const options of [1, 'x', null]) {
    t.throws(() => mutex.lock(options), INVALID_TYPE)
    // oxlint-disable-next-line no-await-in-loop
    await t.throwsAsync(mutex.lockAsync(options), INVALID_TYPE)
  }
  const aborted = false
  for (const signal of [1, {}, null, { aborted }, { aborted, throwIfAborted() {} }]) {
    // oxlint-disable-next-line no-await-in-loop
    await t.throwsAsync(mutex.lockAsync({ signal }), INVALID_TYPE)
  }
  for (const run of [undefined, 1]) t.throws(() => mutex.withLock(run), INVALID_TYPE)
  t.is(mutex.lock({ timeout: Infinity }), 'locked')
})

test('it shows itself in a line', async (t) => {
  const mutex = newMutex()
  const line = (state) => `Mutex { ptr: ${mutex.ptr}, state: '${state}' }`
  t.is(inspect(mutex), line('free'))
  mutex.lock()
  t.is(inspect(mutex), line('locked by this thread'))
  mutex.unlock()
  const { worker, end } = await holder(mutex)
  t.is(inspect(mutex), line('locked by another thread'))
  worker.terminate()
  await within(LATEST, 'the end', end)
  t.is(inspect(mutex), line('locked by a thread that has ended'))
  mutex.destroy()
  t.is(inspect(mutex), `Mutex { ptr: ${mutex.ptr}, state: 'destroyed' }`)
})

test('what is no mutex, but inherits from one or stands for it, can be shown as well', (t) => {
  const mutex = newMutex()
  t.regex(inspect(Object.create(mutex)), /Mutex/)
  t.regex(inspect(new Proxy(mutex, {})), /Mutex/)
})

/** A mutex and two words for mutex-scenario.mjs. */
const newScenario = (ways, rounds) => {
  const memory = new LocalSharedMemory(1, 10)
  const mutex = Mutex.create(memory)
  const first = memory.calloc(8)
  const words = memory.arrayView(Int32Array, first, 2)
  const data = { ptr: mutex.ptr, first, ways, rounds }
  const before = () => words.fill(0)
  return {
    mutex,
    words,
    before,
    scenario: 'mutex-scenario.mjs',
    memory,
    data,
    threads: ways.length,
  }
}

const ORDERS = [
  { ways: ['lock', 'lock'], rounds: 2, preemptions: 3 },
  { ways: ['lock', 'lock', 'lock'], rounds: 1, preemptions: 2 },
  { ways: ['lock', 'tryLock', 'lock with a timeout'], rounds: 1, preemptions: 2 },
]

for (const { ways, rounds, preemptions } of ORDERS) {
  test(`in every order of atomic operations one thread at a time has it, and nobody sleeps for ever: ${ways}`, async (t) => {
    const { words, mutex, ...scenario } = newScenario(ways, rounds)
    const check = (notes) => {
      const all = notes.flat()
      const locked = all.filter((note) => note === Note.Locked).length
      t.deepEqual([...words], [locked, locked])
      t.false(all.includes(Note.Torn) || all.includes(Note.OwnerDied))
      t.is(wordsOf(mutex)[HEADER_WORDS], 0)
      for (const [thread, way] of ways.entries()) {
        if (way === 'lock') t.true(notes[thread].every((note) => note === Note.Locked))
        t.is(notes[thread].length, rounds)
      }
    }
    const orders = await explore({ ...scenario, preemptions, check })
    t.log(orders)
    t.true(orders > 100)
  })
}

test('a thread that is terminated at any of its operations is followed by one that is told iff it had the lock', async (t) => {
  for (const lead of [0, 1, 3]) {
    const ways = ['lock', 'lock', 'lock with a timeout', 'tryLock']
    const { words, mutex, ...scenario } = newScenario(ways, 2)
    const told = new Set()
    const check = ([, ...others], killedAt) => {
      const all = others.flat()
      const died = all.filter((note) => note === Note.OwnerDied).length
      told.add(died)
      t.true(died <= 1)
      t.false(all.includes(Note.Torn), `killed at ${killedAt}`)
      if (mutex.tryLock() === 'ownerDied') t.is(died, 0)
      else t.is(words[0], words[1], `killed at ${killedAt}`)
      mutex.unlock()
    }
    // oxlint-disable-next-line no-await-in-loop -- one by one
    const steps = await killAtEachStep({ ...scenario, lead, check })
    t.true(steps >= 8)
    t.deepEqual([...told].toSorted(), [0, 1])
  }
})
