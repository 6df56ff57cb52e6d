// One worker of structures.js: random operations on mutex, map and channel until its time is over, then the end that it
// was told. Every value says what it must be: a message and an entry have one byte all over, their first.

import { workerData } from 'node:worker_threads'
import LocalSharedMemory from '../../index.js'
import { Channel, Mutex, SharedMap } from '../../structures/index.js'
import { randomFrom } from '../../__test__/fixtures/random.mjs'

const KEYS = 20_000
const SIZES = [10, 100, 100, 1000, 20_000]
const WAIT = { timeout: 20 }
/** Words that belong together: the second is this many times the first. */
const FACTOR = 7
const BETWEEN_CHECKS = 16

const { stop, operations, index, how, life, seed, pair } = workerData
const memory = LocalSharedMemory.from(workerData.memory)
const mutex = Mutex.at(memory, workerData.mutex)
const map = SharedMap.at(memory, workerData.map)
const channel = Channel.at(memory, workerData.channel)
const random = randomFrom(seed)

const newBytes = () => new Uint8Array(1 + random(SIZES[random(SIZES.length)])).fill(random(256))

const confirm = (bytes, what) => {
  if (!bytes.every((byte) => byte === bytes[0])) throw new Error(`${what} is torn`)
}

const ifNotTimedOut = (act) => {
  try {
    return act()
  } catch (error) {
    if (error.code !== 'ERR_TIMED_OUT') throw error
    return undefined
  }
}

const underLock = () => {
  const outcome = ifNotTimedOut(() => mutex.lock(WAIT))
  if (outcome === undefined) return
  const [first, second] = [memory.getUint32(pair), memory.getUint32(pair + 4)]
  const isWhole = second === (first * FACTOR) >>> 0
  memory.setUint32(pair, first + 1)
  memory.setUint32(pair + 4, (first + 1) * FACTOR)
  mutex.unlock()
  if (outcome === 'locked' && !isWhole) throw new Error('two threads had the lock')
}

const ACTIONS = [
  underLock,
  () => map.set(random(KEYS), newBytes()),
  () => {
    const bytes = map.get(random(KEYS))
    if (bytes !== undefined) confirm(bytes, 'an entry')
  },
  () => map.delete(random(KEYS)),
  () => map.increment(`counter ${random(50)}`),
  () =>
    map.update(KEYS + random(100), (bytes) => (bytes && confirm(bytes, 'an entry'), newBytes())),
  () => ifNotTimedOut(() => channel.send(newBytes(), WAIT)),
  () => {
    const bytes = ifNotTimedOut(() => channel.receive(WAIT))
    if (bytes !== undefined) confirm(bytes, 'a message')
  },
]

const end = Date.now() + life
const goesOn = () => Atomics.load(stop, 0) === 0 && (how === 'terminate' || Date.now() < end)

while (goesOn()) {
  for (let count = 0; count < BETWEEN_CHECKS; count++) ACTIONS[random(ACTIONS.length)]()
  Atomics.add(operations, index, BETWEEN_CHECKS)
}
if (how === 'terminate') Atomics.wait(stop, 0, 1)
if (how === 'exit') process.exit(3)
if (how === 'throw') throw new Error('the end')
