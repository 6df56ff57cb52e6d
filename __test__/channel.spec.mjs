// Channel: what is sent is received, once, whole, in each sender's order; by whichever way, in every order of atomic operations,
// and when threads are terminated on the way.

import { inspect } from 'node:util'
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { deserialize, serialize } from 'node:v8'
import test from 'ava'
import LocalSharedMemory from '../index.js'
import { HEAD, RECEIVING, RING, SENDING, TAIL } from '../structures/channel/ring.js'
import { Channel } from '../structures/index.js'
import { SELF } from '../structures/liveness.js'
import { Tag } from '../structures/codec.js'
import { HEADER_WORDS, wordsOf } from '../structures/structure.js'
import { filled, LONG_BYTES } from './fixtures/channel-scenario.mjs'
import { destroying } from './fixtures/destroying.mjs'
import { launch, reportsOf, within } from './fixtures/launch.mjs'
import { randomFrom } from './fixtures/random.mjs'
import { explore, killAtEachStep } from './fixtures/stepping.mjs'
import {
  CLOSED,
  CORRUPTED,
  DEADLOCK,
  INVALID_TYPE,
  MISMATCH,
  NOT_A_STRUCTURE,
  OUT_OF_RANGE,
  TIMED_OUT,
} from './fixtures/refusals.mjs'

const LATEST = 60_000
const NUMBER_RECORD = 16

const newChannel = (capacity = 1000) => Channel.create(new LocalSharedMemory(1, 100), { capacity })

const drain = (channel) => {
  const messages = []
  for (let message; (message = channel.tryReceive()) !== undefined;) messages.push(message)
  return messages
}

const fillUp = (channel) => {
  let count = 0
  while (channel.trySend(count)) count++
  return count
}

/** What structured clone takes and a structure does not. */
const UNSHARED = [
  new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])),
  new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }),
  new SharedArrayBuffer(8),
]

/** What v8.serialize makes of an array in an array in an array …, and so on, deeper than it can go itself. */
const nestedBytes = (depth) => {
  const bytes = serialize(0)
  const header = bytes.subarray(0, bytes.length - 2)
  const [begin, end] = [Buffer.from('A\x01'), Buffer.from('$\x00\x01')]
  const parts = (part) => Array.from({ length: depth }, () => part)
  return Buffer.concat([header, ...parts(begin), bytes.subarray(-2), ...parts(end)])
}

test('a thread that was cut short with a lock of the channel in hand goes on', (t) => {
  const channel = newChannel()
  const words = wordsOf(channel)
  for (const message of [1, { two: 2 }]) {
    words[SENDING] = SELF
    words[RECEIVING] = SELF
    t.true(channel.trySend(message))
    t.deepEqual([words[SENDING], words[RECEIVING]], [0, SELF])
    t.deepEqual(channel.tryReceive(), message)
    t.is(words[RECEIVING], 0)
  }
  words[SENDING] = SELF
  words[RECEIVING] = SELF
  t.is(typeof inspect(channel), 'string')
  channel.close()
  t.is(channel.tryReceive(), undefined)
})

test("a message that is nested too deeply for a stack stands in nobody's way", (t) => {
  t.deepEqual(deserialize(nestedBytes(3)), [[[0]]])
  const channel = newChannel(2 ** 20)
  channel.send(nestedBytes(100_000))
  channel.send('next')
  const words = wordsOf(channel)
  t.is(words[RING + 1], Tag.Bytes)
  words[RING + 1] = Tag.Clone
  const error = t.throws(() => channel.receive(), { instanceOf: RangeError })
  t.is(error.code, undefined)
  t.is(channel.receive(), 'next')
})

test('what is sent is received, in its order', (t) => {
  const channel = newChannel()
  const messages = [
    'text',
    '',
    'größer – 大',
    42,
    -0,
    NaN,
    2n ** 63n,
    true,
    false,
    null,
    new Uint8Array([1, 2, 3]),
    new Uint8Array(0),
    { nested: [new Date(0), new Map([[1, 'one']])] },
  ]
  for (const message of messages) channel.send(message)
  t.deepEqual(
    messages.map(() => channel.receive()),
    messages,
  )
  t.is(channel.tryReceive(), undefined)
})

test('messages of every length go through, wherever the ring begins', (t) => {
  const capacity = 200
  const channel = newChannel(capacity)
  const random = randomFrom(1)
  for (let round = 0; round < 5000; round++) {
    const length = random(3) === 0 ? capacity : random(capacity + 1)
    const message = new Uint8Array(length).fill(round)
    channel.send(message, { timeout: 0 })
    t.deepEqual(channel.receive({ timeout: 0 }), message)
  }
})

test('it behaves as a queue of bounded length', (t) => {
  const channel = newChannel(400)
  const random = randomFrom(2)
  const queue = []
  const used = () => queue.reduce((sum, { length }) => sum + 8 + ((length + 7) & ~7), 0)
  for (let round = 0; round < 20_000; round++) {
    if (random(2) === 0) {
      const message = 'x'.repeat(random(120))
      const isSent = channel.trySend(message)
      // Nothing is refused but for want of room, at the end of the ring too.
      if (!isSent) t.true(used() + 136 + message.length + 16 > 408)
      if (isSent) queue.push(message)
    } else {
      t.is(channel.tryReceive(), queue.shift())
    }
    if (round % 100 === 0) t.true(used() <= 408)
  }
})

test('it behaves as one with long messages too', (t) => {
  const capacity = 200_000
  const channel = newChannel(capacity)
  const random = randomFrom(3)
  const lengths = [40, 20_000, 32_760, 40_000, 70_000, capacity]
  const queue = []
  for (let round = 0; round < 3000; round++) {
    const message = new Uint8Array(lengths[random(lengths.length)]).fill(round)
    if (random(2) === 0 && channel.trySend(message)) queue.push(message)
    else if (queue.length > 0) t.is(Buffer.compare(channel.tryReceive(), queue.shift()), 0)
    else t.is(channel.tryReceive(), undefined)
  }
})

test('long messages go where the last one was, as long as there is none', (t) => {
  const channel = newChannel(1_000_000)
  for (let round = 0; round < 20; round++) {
    channel.send(new Uint8Array(50_000).fill(round + 1))
    t.is(channel.receive()[49_999], round + 1)
  }
  const used = wordsOf(channel)
    .subarray(RING)
    .findLastIndex((word) => word !== 0)
  t.true(4 * used < 2 * 50_100)
})

test('bytes that are sent are those that there were', async (t) => {
  const channel = newChannel(100)
  class Longer extends Uint8Array {
    get length() {
      return 1
    }
  }
  const { usedBytes } = channel.memory.stats()
  channel.send(new Longer(50).fill(7))
  t.deepEqual(channel.receive(), new Uint8Array(50).fill(7))
  t.throws(() => channel.send(new Longer(5000)), OUT_OF_RANGE)
  const detached = new Longer(50)
  structuredClone(detached.buffer, { transfer: [detached.buffer] })
  channel.send(detached)
  t.deepEqual(channel.receive(), new Uint8Array())
  channel.send(Object.defineProperty(new Uint8Array(3), 'buffer', { get: t.fail }))
  t.deepEqual(channel.receive(), new Uint8Array(3))
  const count = fillUp(channel)
  const bytes = new Uint8Array([1, 2, 3])
  const sent = channel.sendAsync(bytes)
  bytes.fill(9)
  for (let each = 0; each < count; each++) channel.receive()
  await sent
  t.deepEqual(channel.receive(), new Uint8Array([1, 2, 3]))
  t.is(channel.memory.stats().usedBytes, usedBytes)
})

test("bytes that were received are nobody else's, however many they are", (t) => {
  const channel = newChannel(300_000)
  const lengths = [
    0,
    1,
    63,
    64,
    65,
    100,
    4095,
    4096,
    4097,
    70_000,
    ...Array.from({ length: 50 }, () => 3001),
  ]
  const received = lengths.map((length, at) => {
    channel.send(new Uint8Array(length).fill(at))
    return channel.receive()
  })
  for (const [at, bytes] of received.entries()) {
    t.is(Object.getPrototypeOf(bytes), Uint8Array.prototype)
    t.is(Buffer.compare(bytes, new Uint8Array(lengths[at]).fill(at)), 0)
    t.is(bytes.byteOffset % 8, 0, 'they can be read as numbers of any type')
    bytes.fill(99)
  }
})

test('bytes that were received together are not taken away with one of them', (t) => {
  const channel = newChannel(1000)
  const [first, second] = [1, 2].map((byte) => {
    channel.send(new Uint8Array(100).fill(byte))
    return channel.receive()
  })
  t.is(second.buffer, first.buffer)
  try {
    structuredClone(first, { transfer: [first.buffer] })
  } catch (error) {
    t.is(error.name, 'DataCloneError')
  }
  t.deepEqual(second, new Uint8Array(100).fill(2))
})

test('a message that is too long, or none, is refused', async (t) => {
  const channel = newChannel(96)
  t.is(channel.capacity, 96)
  channel.send(new Uint8Array(96))
  t.throws(() => channel.send(new Uint8Array(97)), OUT_OF_RANGE)
  t.throws(() => channel.trySend('x'.repeat(97)), OUT_OF_RANGE)
  await t.throwsAsync(channel.sendAsync('x'.repeat(97)), OUT_OF_RANGE)
  t.throws(() => channel.reserve(97), OUT_OF_RANGE)
  t.throws(() => channel.reserve('1'), INVALID_TYPE)
  t.throws(() => channel.send(undefined), INVALID_TYPE)
  t.throws(() => channel.send(Symbol('none')), INVALID_TYPE)
  t.throws(() => channel.send(() => {}), INVALID_TYPE)
  for (const value of UNSHARED) t.throws(() => channel.send(value), INVALID_TYPE)
  t.throws(() => channel.send(1, { timeout: -1 }), OUT_OF_RANGE)
  t.throws(() => channel.receive({ timeout: 'x' }), INVALID_TYPE)
  await t.throwsAsync(channel.receiveAsync({ signal: 1 }), INVALID_TYPE)
  t.is(drain(channel).length, 1)
})

test('what a channel is made with is checked', (t) => {
  const memory = new LocalSharedMemory(1, 10)
  for (const capacity of [0, -1, 1.5, 2 ** 30, NaN]) {
    t.throws(() => Channel.create(memory, { capacity }), OUT_OF_RANGE)
  }
  t.throws(() => Channel.create(memory, { capacity: '8' }), INVALID_TYPE)
  t.throws(() => Channel.create(memory, 8), INVALID_TYPE)
  t.throws(() => Channel.create(memory, { capacity: 10_000_000 }), { code: 'ERR_OUT_OF_MEMORY' })
  t.is(memory.length, 0)
  const channel = Channel.open(memory, 'jobs', { capacity: 100 })
  t.is(Channel.open(memory, 'jobs', { capacity: 100 }).ptr, channel.ptr)
  t.throws(() => Channel.open(memory, 'jobs', { capacity: 1000 }), MISMATCH)
  t.deepEqual(Channel.plan({ capacity: 126 }).settings, { capacity: 128 })
  t.throws(() => Channel.at(memory, memory.calloc(400)), NOT_A_STRUCTURE)
  t.is(channel.capacity, 104)
  t.is(Channel.create(memory).capacity, 65_536)
})

test('a sender waits for room, and a receiver for a message, but no longer than told', async (t) => {
  const channel = newChannel(100)
  t.throws(() => channel.receive({ timeout: 0 }), TIMED_OUT)
  t.throws(() => channel.receive({ timeout: 5 }), TIMED_OUT)
  await t.throwsAsync(channel.receiveAsync({ timeout: 5 }), TIMED_OUT)
  const count = fillUp(channel)
  t.true(count >= 100 / NUMBER_RECORD)
  t.throws(() => channel.send(1, { timeout: 5 }), TIMED_OUT)
  t.throws(() => channel.reserve(1, { timeout: 5 }), TIMED_OUT)
  await t.throwsAsync(channel.sendAsync(1, { timeout: 5 }), TIMED_OUT)
  t.is(drain(channel).length, count)
})

test('waiting ends with the signal', async (t) => {
  const channel = newChannel(100)
  const reason = new Error('enough')
  const waiting = new AbortController()
  const received = channel.receiveAsync({ signal: waiting.signal })
  waiting.abort(reason)
  t.is(await t.throwsAsync(received), reason)
  t.is(await t.throwsAsync(channel.receiveAsync({ signal: waiting.signal })), reason)
  const count = fillUp(channel)
  const later = new AbortController()
  const sent = channel.sendAsync(1, { signal: later.signal })
  later.abort(reason)
  t.is(await t.throwsAsync(sent), reason)
  t.is(drain(channel).length, count)
  channel.send('still works')
  t.is(await channel.receiveAsync(), 'still works')
})

test('tasks of one thread send and receive by turns', async (t) => {
  const channel = newChannel(40)
  const receiving = Promise.all(Array.from({ length: 50 }, () => channel.receiveAsync()))
  await Promise.all(Array.from({ length: 50 }, (_, index) => channel.sendAsync(index)))
  t.deepEqual(
    (await receiving).toSorted((one, other) => one - other),
    Array.from({ length: 50 }, (_, index) => index),
  )
})

test('a message is filled where it lies, and comes in the order of its reservation', (t) => {
  const channel = newChannel()
  const reservation = channel.reserve(5)
  channel.send('after')
  t.is(channel.tryReceive(), undefined)
  t.is(reservation.bytes.length, 5)
  t.is(reservation.bytes.buffer, channel.memory.buffer)
  reservation.bytes.set([1, 2, 3, 4, 5])
  reservation.commit()
  reservation.commit()
  reservation[Symbol.dispose]()
  t.deepEqual(channel.receive(), new Uint8Array([1, 2, 3, 4, 5]))
  t.is(channel.receive(), 'after')
  const dropped = channel.reserve(5)
  channel.send('next')
  dropped[Symbol.dispose]()
  dropped.commit()
  t.deepEqual(drain(channel), ['next'])
})

test('a thread does not sleep for what it has reserved itself', async (t) => {
  const channel = newChannel(64)
  channel.send('before')
  const reservation = channel.reserve(16)
  t.is(channel.receive(), 'before')
  t.throws(() => channel.receive(), DEADLOCK)
  t.throws(() => channel.receive({ timeout: 5 }), DEADLOCK)
  await t.throwsAsync(channel.receiveAsync({ timeout: 5 }), TIMED_OUT)
  while (channel.trySend('after'));
  t.throws(() => channel.send('after'), DEADLOCK)
  t.throws(() => channel.reserve(5), DEADLOCK)
  await t.throwsAsync(channel.sendAsync('after', { timeout: 5 }), TIMED_OUT)
  reservation.commit()
  t.deepEqual(channel.receive(), new Uint8Array(16))
  channel.send('room')
  t.is(drain(channel).at(-1), 'room')
  t.throws(() => channel.receive({ timeout: 5 }), TIMED_OUT)
})

test('a reservation writes nothing to what was the block of a channel that is destroyed', (t) => {
  const channel = newChannel()
  const { memory } = channel
  const [kept, dropped] = [channel.reserve(8), channel.reserve(8)]
  const byteLength = memory.sizeof(channel.ptr)
  channel.destroy()
  const ptr = memory.calloc(byteLength, 1, 128)
  t.throws(() => kept.commit(), NOT_A_STRUCTURE)
  t.throws(() => dropped[Symbol.dispose](), NOT_A_STRUCTURE)
  t.deepEqual(memory.arrayView(Uint8Array, ptr), new Uint8Array(byteLength))
  t.notThrows(() => kept[Symbol.dispose]())
})

test('a channel of which all room is reserved is full', (t) => {
  const channel = newChannel(64)
  const reservation = channel.reserve(64)
  t.false(channel.trySend(1))
  reservation[Symbol.dispose]()
  t.true(channel.trySend(1))
  t.deepEqual(drain(channel), [1])
})

test('what was sent before it was closed can be received, and nothing is sent', async (t) => {
  const channel = newChannel()
  channel.send('last')
  const reservation = channel.reserve(1)
  t.false(channel.closed)
  channel.close()
  channel.close()
  t.true(channel.closed)
  t.throws(() => channel.send(1), CLOSED)
  t.throws(() => channel.trySend(1), CLOSED)
  t.throws(() => channel.reserve(1), CLOSED)
  await t.throwsAsync(channel.sendAsync(1), CLOSED)
  t.is(channel.receive(), 'last')
  // It was begun before.
  await t.throwsAsync(channel.receiveAsync({ timeout: 5 }), TIMED_OUT)
  reservation.commit()
  t.deepEqual(channel.receive(), new Uint8Array(1))
  t.is(channel.receive(), undefined)
  t.is(channel.tryReceive(), undefined)
  t.is(await channel.receiveAsync(), undefined)
})

test('closing wakes who waits', async (t) => {
  const empty = newChannel()
  const received = Promise.all([empty.receiveAsync(), empty.receiveAsync()])
  empty.close()
  t.deepEqual(await received, [undefined, undefined])
  const full = newChannel(40)
  fillUp(full)
  const sent = [full.sendAsync('more'), full.sendAsync('and more')]
  full.close()
  for (const each of sent) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await t.throwsAsync(each, CLOSED)
  }
})

const tasks = {
  'for await': async (channel, isOver) => {
    channel.send(0)
    for await (const message of channel) {
      if (isOver()) return
      channel.send(message)
    }
  },
  sendAsync: async (channel, isOver) => {
    while (!isOver()) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await channel.sendAsync(0)
      channel.receive()
    }
  },
}

for (const [name, run] of Object.entries(tasks)) {
  test(`timers have their turn while ${name} never has to wait`, async (t) => {
    let isTimedOut = false
    let left = 3_000_000
    setTimeout(() => (isTimedOut = true), 1)
    await run(newChannel(), () => isTimedOut || left-- === 0)
    t.true(isTimedOut)
  })
}

test('a message wakes one of those who wait, and closing all of them', async (t) => {
  const channel = newChannel()
  const receivers = [1, 2, 3].map(() => Channel.at(channel.memory, channel.ptr))
  const received = receivers.map((receiver) => receiver.receiveAsync())
  await setImmediate()
  channel.send(1)
  t.is(Atomics.notify(wordsOf(channel), TAIL), 2)
  channel.send(2)
  channel.close()
  const messages = await within(LATEST, 'all receivers', Promise.all(received))
  t.deepEqual(messages.toSorted(), [1, 2, undefined])
})

test('for await goes over the messages until it is closed', async (t) => {
  const channel = newChannel()
  for (const message of [1, 2, 3]) channel.send(message)
  channel.close()
  const messages = []
  for await (const message of channel) messages.push(message)
  t.deepEqual(messages, [1, 2, 3])
})

test('destroying it frees every byte, and whoever waits is told', async (t) => {
  const memory = new LocalSharedMemory(1, 10)
  const channel = Channel.create(memory)
  const other = Channel.at(memory, channel.ptr)
  const received = other.receiveAsync()
  channel.destroy()
  t.is(memory.length, 0)
  await t.throwsAsync(received, NOT_A_STRUCTURE)
  t.throws(() => other.trySend(1), NOT_A_STRUCTURE)
  t.throws(() => other.tryReceive(), NOT_A_STRUCTURE)
  t.throws(() => other.close(), NOT_A_STRUCTURE)
  t.throws(() => other.reserve(1), NOT_A_STRUCTURE)
  t.throws(() => other.closed, NOT_A_STRUCTURE)
})

test('a getter that destroys the channel is not followed by a write to what was its block', async (t) => {
  const acts = [
    (channel) => channel.send(destroying(channel, 'got')),
    (channel) => channel.send(1, destroying(channel, 'timeout')),
    (channel) => channel.trySend(destroying(channel, 'got')),
    (channel) => channel.sendAsync(destroying(channel, 'got')),
    (channel) => channel.sendAsync(1, destroying(channel, 'timeout')),
    (channel) => channel.reserve(1, destroying(channel, 'timeout')),
    (channel) => channel.receive(destroying(channel, 'timeout')),
    (channel) => channel.receiveAsync(destroying(channel, 'timeout')),
  ]
  for (const act of acts) {
    // oxlint-disable-next-line no-await-in-loop -- one at a time
    await t.throwsAsync(async () => act(newChannel()), NOT_A_STRUCTURE)
  }
})

test('a line shows it', (t) => {
  const channel = newChannel(100)
  channel.send(1)
  t.is(
    inspect(channel),
    `Channel { ptr: ${channel.ptr}, capacity: 104, usedBytes: ${NUMBER_RECORD}, closed: false }`,
  )
  wordsOf(channel)[HEAD] = -1
  t.is(inspect(channel), `Channel { ptr: ${channel.ptr}, error: 'ERR_HEAP_CORRUPTED' }`)
})

test('what is written over is an error, and hangs nobody', (t) => {
  const random = randomFrom(3)
  let refused = 0
  for (let round = 0; round < 2000; round++) {
    const channel = newChannel(64)
    const words = wordsOf(channel)
    for (let each = 0; each < 3; each++) channel.send(each)
    const at = [HEAD, TAIL, RING + random(12)][random(3)]
    words[at] = [-1, 7, 2 ** 31 - 1, random(200), -random(2 ** 31)][random(5)]
    for (const act of [() => drain(channel), () => channel.trySend('x'), () => drain(channel)]) {
      try {
        act()
      } catch (error) {
        t.true(['ERR_HEAP_CORRUPTED', 'ERR_CHANNEL_CLOSED'].includes(error.code))
        refused++
      }
    }
    channel.destroy()
  }
  t.true(refused > 100)
  const channel = newChannel(64)
  channel.send(1)
  for (const byteLength of [2 ** 31 - 1, 2 ** 31 - 7, 2 ** 31 - 8, 57, -1]) {
    wordsOf(channel)[RING] = byteLength
    t.throws(() => channel.tryReceive(), CORRUPTED)
    t.is(wordsOf(channel)[HEAD], 0)
  }
  for (const end of [4, -8, 72, 2 ** 30]) {
    wordsOf(channel)[HEAD] = end
    t.throws(() => channel.receive({ timeout: 0 }), CORRUPTED)
    t.throws(() => fillUp(channel), CORRUPTED)
  }
})

const WAYS = ['send', 'sendAsync', 'trySend', 'reserve']

test('threads that send and receive in all ways lose nothing', async (t) => {
  const count = 1000
  const { memory, ptr } = Channel.create(new LocalSharedMemory(1, 100), { capacity: 50_000 })
  const start = (way, sender) => launch('channel-worker.mjs', { memory, ptr, way, sender, count })
  const receivers = ['receive', 'receiveAsync', 'iterate'].map((way) => start(way, 0))
  await reportsOf(LATEST, WAYS.map(start))
  Channel.at(memory, ptr).close()
  const received = await reportsOf(LATEST, receivers)
  t.is(
    received.reduce((sum, each) => sum + each),
    count * WAYS.length,
  )
})

test('what a thread has reserved is passed over when it ends', async (t) => {
  const channel = newChannel(64)
  const { memory, ptr } = channel
  for (const how of ['reserve', 'reserve', 'reserve']) {
    const { worker, end } = launch('channel-holder.mjs', { memory, ptr, how })
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await within(
      LATEST,
      'a reservation',
      new Promise((resolve) => {
        worker.on('message', (message) => message === 'reserved' && resolve())
      }),
    )
    t.is(channel.tryReceive(), undefined)
    // oxlint-disable-next-line no-await-in-loop
    await worker.terminate()
    // oxlint-disable-next-line no-await-in-loop
    await end
    t.true(channel.trySend('full length'.padEnd(64)))
    t.is(channel.receive({ timeout: LATEST }), 'full length'.padEnd(64))
  }
})

test('a receiver that is terminated in its sleep keeps no message from the others', async (t) => {
  const channel = newChannel()
  const { memory, ptr } = channel
  for (const how of ['receive', 'receiveAsync']) {
    const { worker, end } = launch('channel-holder.mjs', { memory, ptr, how })
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await within(LATEST, 'a receiver', new Promise((resolve) => worker.once('message', resolve)))
    // oxlint-disable-next-line no-await-in-loop
    await sleep(20)
    // oxlint-disable-next-line no-await-in-loop
    await worker.terminate()
    // oxlint-disable-next-line no-await-in-loop
    await end
    channel.send(how)
    t.is(channel.receive({ timeout: LATEST }), how)
  }
})

const scenario = (programs, capacity) => {
  const channel = newChannel(capacity)
  const { memory, ptr } = channel
  const data = { ptr, programs }
  const words = wordsOf(channel)
  const before = () => {
    drain(channel)
    words.fill(0, HEADER_WORDS)
  }
  const threads = programs.length
  return { channel, scenario: 'channel-scenario.mjs', memory, data, before, threads }
}

// The third shows a receiver that is about to sleep while a sender has not yet looked who sleeps.
const PROGRAMS = [
  [2, [1, 2], ['receive', 'receive']],
  [2, [1, 2, 3], ['receive', 'receive', 'receive']],
  [2, [1], [11], ['receive', 'receive']],
  [1, [1, 2], ['receive'], ['receive']],
  [2, [{ fill: 1 }], [11], ['receive', 'receive']],
  [3, [{ fill: 1 }], ['receive']],
  [1, ['inspect'], [1, 2], ['receive', 'receive']],
  [2, [{ long: 1 }, { long: 2 }, { long: 3 }], ['receive', 'receive', 'receive']],
  [1, [{ long: 1 }, 2], [{ long: 11 }], ['receive', 'receive', 'receive']],
]

/** Room for one message, or for two long ones, so that senders wait too. */
const capacityFor = (programs) =>
  programs.flat().some(({ long }) => long !== undefined) ? 2 * LONG_BYTES + 8 : 8

const sentBy = (program) =>
  program
    .filter((step) => step !== 'receive' && step !== 'inspect')
    .map((step) => (typeof step === 'object' ? filled(step.fill ?? step.long) : step))

const isInOrder = (received, sent) =>
  received.filter((each) => sent.includes(each)).join() === sent.join()

for (const [preemptions, ...programs] of PROGRAMS) {
  test.serial(
    `in every order of atomic operations each message is received once: ${JSON.stringify(programs)}`,
    async (t) => {
      const { channel, ...what } = scenario(programs, capacityFor(programs))
      const check = (notes) => {
        const receivers = notes.filter((each) => each.length > 0)
        const sent = programs.map(sentBy)
        t.deepEqual(notes.flat().toSorted(), sent.flat().toSorted())
        if (receivers.length === 1) t.true(sent.every((each) => isInOrder(receivers[0], each)))
        t.deepEqual(drain(channel), [])
      }
      const orders = await explore({ ...what, preemptions, check })
      t.log(orders)
      t.true(orders > 50)
    },
  )
}

test.serial(
  'a sender that is terminated at any operation has sent each message wholly or not at all',
  async (t) => {
    const programs = [
      [1, { fill: 2 }, 3, { long: 4 }, { long: 5 }],
      [11, 'drain', 12, 'drain'],
    ]
    const { channel, ...what } = scenario(programs, 3 * LONG_BYTES)
    const check = ([, received], killedAt) => {
      const all = [
        ...received,
        ...drain(channel).map((each) => (each.length ? filled(each[0]) : each)),
      ]
      const first = all.filter((each) => each !== 11 && each !== 12)
      const sent = [1, filled(2), 3, filled(4), filled(5)]
      t.true(all.includes(11) && all.includes(12), `killed at ${killedAt}`)
      // A message that it was filling is gone; those before it are not.
      t.deepEqual(first, sent.slice(0, first.length), `killed at ${killedAt}`)
      channel.send('works', { timeout: LATEST })
      t.is(channel.receive({ timeout: LATEST }), 'works')
    }
    t.true((await killAtEachStep({ ...what, lead: 2, check })) > 10)
  },
)

test.serial(
  'a receiver that is terminated at any operation has one message in its hand at the most',
  async (t) => {
    const { channel, ...what } = scenario([['receive', 'receive'], ['drain']], 64)
    const before = () => {
      what.before()
      for (const message of [1, 2, 3]) channel.send(message)
    }
    const check = ([mine, theirs], killedAt) => {
      const all = [...mine, ...theirs, ...drain(channel)].toSorted()
      const lost = [1, 2, 3].filter((each) => !all.includes(each))
      t.true(lost.length <= 1, `killed at ${killedAt}`)
      t.is(new Set(all).size, all.length, `killed at ${killedAt}`)
      channel.send('works', { timeout: LATEST })
      t.is(channel.receive({ timeout: LATEST }), 'works')
    }
    t.true((await killAtEachStep({ ...what, before, lead: 3, check })) > 8)
  },
)
