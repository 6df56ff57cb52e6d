// Those of one thread that wait without sleeping: each is served once, in its turn, whoever before it gives up, and at the cost of one.

import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { once } from 'node:events'
import { createContext, runInContext } from 'node:vm'
import test from 'ava'
import LocalSharedMemory from '../index.js'
import { Channel, Mutex } from '../structures/index.js'
import { LATER, Line } from '../structures/line.js'
import { launch, reportsOf, within } from './fixtures/launch.mjs'
import { CLOSED, NOT_A_STRUCTURE, TIMED_OUT } from './fixtures/refusals.mjs'

const LATEST = 60_000
const COUNT = 200

const newMemory = () => new LocalSharedMemory(1, 100)
const newChannel = (capacity = 10_000) => Channel.create(newMemory(), { capacity })
const times = (make, count = COUNT) => Array.from({ length: count }, (_, number) => make(number))
const numbers = times((number) => number)

/** How often the engine was asked to wait. */
const waitsDuring = async (act) => {
  const { waitAsync } = Atomics
  let count = 0
  Atomics.waitAsync = (...args) => {
    count++
    return waitAsync(...args)
  }
  try {
    await act()
  } finally {
    Atomics.waitAsync = waitAsync
  }
  return count
}

const refuse = () => {
  throw new RangeError('no')
}

const inTurns = async (act) => {
  for (const number of numbers) {
    // oxlint-disable-next-line no-await-in-loop -- each in its own turn of the event loop
    await setImmediate()
    act(number)
  }
}

test.serial('many that wait cost no more waits than one after the other', async (t) => {
  const channel = newChannel()
  const narrow = newChannel(1)
  const mutex = Mutex.create(newMemory())
  const order = []
  const waits = await waitsDuring(async () => {
    const receiving = times(() => channel.receiveAsync())
    await inTurns((number) => channel.send(number))
    t.deepEqual(await Promise.all(receiving), numbers)

    narrow.send('first')
    const sending = times((number) => narrow.sendAsync(number))
    for (const expected of ['first', ...numbers]) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      t.is(await narrow.receiveAsync(), expected)
    }
    await Promise.all(sending)

    mutex.lock()
    const locking = times(async (number) => {
      await mutex.lockAsync()
      order.push(number)
      await setImmediate()
      mutex.unlock()
    })
    mutex.unlock()
    await Promise.all(locking)
    t.deepEqual(order, numbers)
  })
  t.true(waits < 10 * COUNT, `${waits} waits`)
})

test('whoever gives up behind the first does so in time, and the others are served in their turn', async (t) => {
  const channel = newChannel()
  const controller = new AbortController()
  const first = channel.receiveAsync()
  const late = channel.receiveAsync({ timeout: 20.5 })
  const second = channel.receiveAsync({ timeout: 2 ** 40 })
  const aborted = channel.receiveAsync({ signal: controller.signal })
  const third = channel.receiveAsync({ signal: new AbortController().signal })
  await t.throwsAsync(late, TIMED_OUT)
  controller.abort(new RangeError('enough'))
  await t.throwsAsync(aborted, { instanceOf: RangeError })
  for (const message of numbers.slice(0, 3)) channel.send(message)
  t.deepEqual(await Promise.all([first, second, third]), [0, 1, 2])
})

const keepBusy = (milliseconds) => {
  for (const end = performance.now() + milliseconds; performance.now() < end;);
}

test('a call that finds a message takes none from those that wait', async (t) => {
  // At once; when the event loop is due its turn; when the wait in the engine is over.
  for (const [busy, options] of [[0], [0, { timeout: 0 }], [15], [60]]) {
    const channel = newChannel()
    const first = channel.receiveAsync()
    // oxlint-disable-next-line no-await-in-loop -- until the first waits
    await setImmediate()
    channel.send(1)
    channel.send(2)
    keepBusy(busy)
    const second = channel.receiveAsync(options)
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    t.deepEqual(await Promise.all([first, second]), [1, 2])
  }
})

test.serial(
  'a call whose task runs first takes nothing from one that lets the event loop have its turn',
  async (t) => {
    const channel = newChannel()
    const mutex = Mutex.create(newMemory())
    mutex.lock()
    await setImmediate()
    let second
    const task = mutex.lockAsync().then(() => {
      second = channel.receiveAsync()
    })
    channel.send(1)
    channel.send(2)
    keepBusy(15)
    const first = channel.receiveAsync()
    mutex.unlock()
    keepBusy(5)
    await task
    t.deepEqual(await Promise.all([first, second]), [1, 2])
  },
)

test('one whose time is over takes nothing from those before it', async (t) => {
  const mutex = Mutex.create(newMemory())
  mutex.lock()
  const served = []
  const first = mutex.lockAsync().then(() => served.push('first'))
  const late = mutex.lockAsync({ timeout: 5 }).then(
    () => served.push('late'),
    (error) => t.is(error.code, TIMED_OUT.code),
  )
  await sleep(1)
  mutex.unlock()
  const until = performance.now() + 20
  while (performance.now() < until);
  await within(LATEST, 'the first', first)
  t.deepEqual(served, ['first'])
  mutex.unlock()
  await late
})

test('a notification that finds nobody in the line goes to another handle', async (t) => {
  const mutex = Mutex.create(newMemory())
  const other = Mutex.at(mutex.memory, mutex.ptr)
  mutex.lock()
  const controller = new AbortController()
  const aborted = mutex.lockAsync({ signal: controller.signal })
  const waiting = other.lockAsync()
  mutex.unlock()
  controller.abort(new RangeError('enough'))
  await t.throwsAsync(aborted, { instanceOf: RangeError })
  t.is(await waiting, 'locked')
})

test('a short message is sent while a long one before it has no room', async (t) => {
  const channel = newChannel(96)
  channel.send('x'.repeat(30))
  channel.send('y'.repeat(40))
  const long = channel.sendAsync('z'.repeat(90))
  const short = channel.sendAsync('s'.repeat(20))
  channel.receive()
  await short
  t.is(channel.receive(), 'y'.repeat(40))
  t.is(channel.receive(), 's'.repeat(20))
  await long
  t.is(channel.receive(), 'z'.repeat(90))
})

test('it is sent in the end where there is so little room that nobody is woken for it', async (t) => {
  const channel = newChannel(200)
  const texts = ['x'.repeat(30), 'y'.repeat(120), 'w'.repeat(16)]
  for (const text of texts) channel.send(text)
  const long = channel.sendAsync('z'.repeat(190))
  const short = channel.sendAsync('s'.repeat(20))
  t.is(channel.receive(), texts[0])
  await within(LATEST, 'the short one', short)
  for (const text of [texts[1], texts[2], 's'.repeat(20)]) t.is(channel.receive(), text)
  await long
  t.is(channel.receive(), 'z'.repeat(190))
})

test('closing and destroying it tell all that wait', async (t) => {
  const channel = newChannel(1)
  const receiving = times(() => channel.receiveAsync())
  channel.close()
  t.deepEqual(new Set(await Promise.all(receiving)), new Set([undefined]))

  const full = newChannel(1)
  full.send(1)
  const sending = times(() => full.sendAsync(2))
  full.close()
  for (const refused of await Promise.allSettled(sending)) t.is(refused.reason.code, CLOSED.code)

  const mutex = Mutex.create(newMemory())
  mutex.lock()
  const locking = times(() => mutex.lockAsync())
  mutex.destroy()
  for (const { reason } of await Promise.allSettled(locking))
    t.is(reason.code, NOT_A_STRUCTURE.code)
})

test('an attempt that throws fails its own promise, and the next one is made', async (t) => {
  const { memory, ptr } = Mutex.create(newMemory())
  const words = new Int32Array(memory.buffer, ptr, 8)
  const line = new Line(words)
  let isDue = false
  const act = (outcome) => () => (isDue ? outcome() : line.until(4, 0))
  t.is(act()(), LATER)
  const failing = line.wait(act(refuse), {})
  const next = line.wait(
    act(() => 'next'),
    {},
  )
  isDue = true
  Atomics.notify(words, 4)
  await t.throwsAsync(failing, { instanceOf: RangeError })
  t.is(await next, 'next')
})

test('calls that are cut short take nothing from those that have a promise', async (t) => {
  const channel = newChannel()
  const pending = []
  const context = createContext({ channel, pending })
  const call = 'for (;;) pending.push(channel.receiveAsync())'
  let cuts = 0
  for (let timeout = 1; timeout < 20; timeout++) {
    const error = t.throws(() => runInContext(call, context, { timeout }))
    t.is(error.code, 'ERR_SCRIPT_EXECUTION_TIMEOUT')
    // A promise may have been made and not been kept.
    cuts++
    // oxlint-disable-next-line no-await-in-loop -- lines that wait, and such that were told
    if (timeout % 5 === 0) await setImmediate()
  }
  for (let number = 0; number < pending.length + cuts; number++) {
    // oxlint-disable-next-line no-await-in-loop -- until there is room
    await channel.sendAsync(number)
  }
  await within(LATEST, 'promises', Promise.all(pending))
  const messages = await Promise.all(pending)
  t.is(new Set(messages).size, pending.length)
})

const play = async (t, seed, { workers = 3, tasks = 8, turns = 30 } = {}) => {
  const memory = new LocalSharedMemory(1, 100)
  const counter = memory.calloc(4)
  const channel = Channel.create(memory, { capacity: 200 })
  const mutex = Mutex.create(memory)
  const data = { memory, channelPtr: channel.ptr, mutexPtr: mutex.ptr, counter, tasks, turns }
  const launched = times(
    (number) => launch('line-worker.mjs', { ...data, seed: seed * 100 + number }),
    workers,
  )
  const done = Promise.all(launched.map(({ worker }) => once(worker, 'message')))
  await within(LATEST, `seed ${seed}`, Promise.race([done, ...launched.map(({ end }) => end)]))
  channel.close()
  const reports = await reportsOf(LATEST, launched)
  const all = (of) => reports.flatMap((report) => report[of]).toSorted()
  const received = all('received').filter((message) => message !== undefined)
  t.deepEqual(received, all('sent'))
  t.is(
    memory.getUint32(counter),
    reports.reduce((sum, { increased }) => sum + increased, 0),
  )
  t.is(mutex.tryLock(), 'locked')
}

test('tasks of several threads that give up at random lose nothing, and nobody waits for ever', async (t) => {
  const seeds = Number(process.env.LINE_SEEDS ?? 3)
  for (let seed = 1; seed <= seeds; seed++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await play(t, seed)
  }
})

test('a thread that is terminated while many of its tasks wait keeps nothing from the others', async (t) => {
  const memory = new LocalSharedMemory(1, 100)
  const channel = Channel.create(memory, { capacity: 1000 })
  const mutex = Mutex.create(memory)
  const { worker, end } = launch('line-waiting-worker.mjs', {
    memory,
    channelPtr: channel.ptr,
    mutexPtr: mutex.ptr,
  })
  mutex.lock()
  await once(worker, 'message')
  const receiving = times(() => channel.receiveAsync(), 5)
  const locking = mutex.lockAsync()
  mutex.unlock()
  await worker.terminate()
  await within(LATEST, 'end', end)
  t.true(['locked', 'ownerDied'].includes(await within(LATEST, 'lock', locking)))
  const sending = (async () => {
    for (;;) {
      if (channel.closed) return
      channel.trySend('message')
      // oxlint-disable-next-line no-await-in-loop -- now and then
      await sleep(1)
    }
  })()
  t.is((await within(LATEST, 'messages', Promise.all(receiving))).length, 5)
  channel.close()
  await sending
})
