// A heap that several processes have against one that a process has to itself, in the same loop; what comes back of a process that
// was killed; and messages to another process and back. Linux only.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import LocalSharedMemory from '../../index.js'
import { Channel, Mutex, SharedMap } from '../../structures/index.js'
import { loop } from '../harness/loop.js'

const PRIVATE = 'private heap'
const ATTACHED = 'attached heap'
const PAGES = { initial: 200, maximum: 4000 }
const NANOSECONDS_TO_MICROSECONDS = 1e-3
const NANOSECONDS_TO_MILLISECONDS = 1e-6
const LIVE_BYTES = 64
const ROUND_TRIPS = 5000

const isLinux = process.platform === 'linux'

/** A file to attach, with a function that removes it. */
const newFile = () => {
  const folder = mkdtempSync('/dev/shm/lsm-bench-')
  return { path: join(folder, 'heap'), remove: () => rmSync(folder, { recursive: true }) }
}

const startPeer = async (...args) => {
  const peer = fork(new URL('processes-peer.js', import.meta.url), args)
  await once(peer, 'message')
  return peer
}

const filled = (memory) => {
  const map = SharedMap.create(memory)
  for (let key = 0; key < 10_000; key++) map.set(key, key + 0.5)
  return map
}

const CALLS = [
  {
    title: 'malloc and free, 64 B',
    expression: 'target.free(target.malloc(64)); sum += at',
    make: (memory) => memory,
  },
  { title: 'map, get', expression: 'sum += target.get(at)', make: filled },
  { title: 'map, set', expression: 'target.set(at, i + 0.5); sum += at', make: filled },
  {
    title: 'mutex, lock and unlock',
    expression: 'target.lock(); target.unlock(); sum += at',
    make: (memory) => Mutex.create(memory),
  },
]

const entrantOf = ({ expression, make }, most, row, memory, finish) => {
  const [timed, target] = [loop(expression), make(memory)]
  return { row, most, run: (ops) => timed(target, undefined, 0, ops), finish }
}

const callCase = (call, most) => ({
  title: call.title,
  enter() {
    const file = newFile()
    const attached = LocalSharedMemory.attach(file.path, PAGES)
    const own = new LocalSharedMemory({ ...PAGES, shared: true })
    const close = () => {
      attached.close()
      file.remove()
    }
    const entrants = [
      entrantOf(call, most, PRIVATE, own, () => {}),
      entrantOf(call, most, ATTACHED, attached, close),
    ]
    return { entrants, absent: [] }
  },
})

const recoveryCase = (blocks) => ({
  title: `${blocks.toLocaleString('en')} live`,
  enter() {
    const file = newFile()
    const memory = LocalSharedMemory.attach(file.path, PAGES)
    for (let count = 0; count < blocks; count++) memory.malloc(LIVE_BYTES)
    const run = async () => {
      const peer = await startPeer('keep', file.path)
      peer.kill('SIGKILL')
      await once(peer, 'exit')
      const start = process.hrtime.bigint()
      const recovered = memory.recover()
      const end = process.hrtime.bigint()
      if (recovered === 0) throw new Error('the process had kept nothing')
      return Number(end - start)
    }
    const finish = () => {
      memory.close()
      file.remove()
    }
    return { entrants: [{ row: ATTACHED, most: 1, run, finish }], absent: [] }
  },
})

const channelEntrant = async (most) => {
  const file = newFile()
  const memory = LocalSharedMemory.attach(file.path, PAGES)
  const [there, back] = ['there', 'back'].map((name) => Channel.open(memory, name))
  const peer = await startPeer('channel', file.path)
  return {
    row: 'Channel',
    most,
    run(ops) {
      const start = process.hrtime.bigint()
      for (let count = 0; count < ops; count++) {
        there.send(count)
        if (back.receive() !== count) throw new Error('another message came back')
      }
      return Number(process.hrtime.bigint() - start)
    },
    finish() {
      peer.kill('SIGKILL')
      memory.close()
      file.remove()
    },
  }
}

const sendEntrant = async (most) => {
  const peer = await startPeer('send')
  return {
    row: 'process.send',
    most,
    async run(ops) {
      const start = process.hrtime.bigint()
      for (let count = 0; count < ops; count++) {
        peer.send(count)
        // oxlint-disable-next-line no-await-in-loop -- there and back, one after the other
        await once(peer, 'message')
      }
      return Number(process.hrtime.bigint() - start)
    },
    finish: () => peer.kill('SIGKILL'),
  }
}

const roundTripCase = (most) => ({
  title: 'a number',
  enter: async () => ({
    entrants: [await channelEntrant(most), await sendEntrant(most)],
    absent: [],
  }),
})

export const groups = [
  {
    name: 'processes',
    title: 'A heap that several processes have, against one of one process',
    unit: 'ns per step',
    transposed: true,
    reference: PRIVATE,
    cases: ({ scale }) => (isLinux ? CALLS.map((call) => callCase(call, 2_000_000 * scale)) : []),
  },
  {
    name: 'processes recovery',
    title: 'recover() after a process was killed',
    unit: 'ms',
    reference: null,
    convert: (nanoseconds) => nanoseconds * NANOSECONDS_TO_MILLISECONDS,
    cases: ({ quick }) => (isLinux ? [recoveryCase(quick ? 100_000 : 1_000_000)] : []),
  },
  {
    name: 'processes round trip',
    title: 'Messages to another process and back',
    unit: 'µs',
    reference: 'process.send',
    convert: (nanoseconds) => nanoseconds * NANOSECONDS_TO_MICROSECONDS,
    cases: ({ scale }) => (isLinux ? [roundTripCase(Math.ceil(ROUND_TRIPS * scale))] : []),
  },
]
