// Messages from one worker to another, and there and back: bytes, text and objects of three sizes.

import { once } from 'node:events'
import { serialize } from 'node:v8'
import { Worker } from 'node:worker_threads'
import { channels } from '../channels/index.js'
import { ours } from '../contenders/index.js'
import { startWorkers } from '../harness/workers.js'

const REFERENCE = 'postMessage'
const TO_THOUSANDS_A_SECOND = 1e6
const TO_MICROSECONDS = 1e-3

const SIZES = [
  { title: '100 B', byteLength: 100, most: 200_000 },
  { title: '4 KiB', byteLength: 4096, most: 50_000 },
  { title: '256 KiB', byteLength: 2 ** 18, most: 400 },
]

const item = (index) => ({ id: index, name: `item ${index}`, price: index + 0.5, tags: ['a', 'b'] })

/** An object of about so many bytes in structured clone. */
const objectOf = (byteLength) => {
  const items = [item(0)]
  while (serialize({ items }).length < byteLength) items.push(item(items.length))
  return { items }
}

const KINDS = [
  { title: 'bytes', make: (byteLength) => new Uint8Array(byteLength).fill(7), part: 1 },
  // A flat string: what concatenation makes would be flattened in the first call that is timed.
  {
    title: 'text',
    make: (byteLength) => Buffer.alloc(byteLength, 'v').toString('latin1'),
    part: 1,
  },
  { title: 'objects', make: objectOf, part: 1 / 10 },
]

/** Two workers with a connection between them. */
class Pair {
  #workers

  /** @returns {Promise<Pair>} */
  static async start(contender, message) {
    const pair = new Pair()
    const { handles, transfer } = contender.create()
    const length = message.length ?? message.items.length
    const script = new URL('channel-worker.js', import.meta.url)
    pair.#workers = await startWorkers(handles.length, (index) => {
      const handle = handles[index]
      const workerData = { module: contender.module, handle, message, length }
      return new Worker(script, { workerData, transferList: transfer ? [handle] : [] })
    })
    return pair
  }

  /** Nanoseconds from the first start to the last end. */
  async run(roles, count) {
    const barrier = new Int32Array(new SharedArrayBuffer(8))
    const spans = await Promise.all(
      this.#workers.map(async (worker, index) => {
        worker.postMessage({ role: roles[index], count, barrier })
        const [span] = await once(worker, 'message')
        return span
      }),
    )
    return Math.max(...spans.map(([, end]) => end)) - Math.min(...spans.map(([start]) => start))
  }

  async close() {
    await Promise.all(this.#workers.map((worker) => worker.terminate()))
  }
}

const entrantOf = async (contender, message, most, roles) => {
  const pair = await Pair.start(contender, message)
  return {
    row: contender.name,
    most,
    run: (count) => pair.run(roles, count),
    finish: () => pair.close(),
  }
}

const channelCase = ({ title, byteLength, most }, kind, scale, roles) => ({
  title: `${title}, ${kind.title}`,
  async enter() {
    const message = kind.make(byteLength)
    const count = Math.ceil(most * kind.part * scale)
    const entrants = channels.map((contender) => entrantOf(contender, message, count, roles))
    return { entrants: await Promise.all(entrants), absent: [] }
  },
})

const group = (name, title, unit, roles, convert) => ({
  name,
  title,
  unit,
  convert,
  transposed: true,
  reference: REFERENCE,
  cases: ({ scale }) =>
    ours ? SIZES.flatMap((size) => KINDS.map((kind) => channelCase(size, kind, scale, roles))) : [],
})

export const groups = [
  group(
    'structures channel',
    'Messages from one worker to another',
    'thousand messages a second',
    ['send', 'receive'],
    (nanoseconds) => TO_THOUSANDS_A_SECOND / nanoseconds,
  ),
  group(
    'structures round trip',
    'Messages to another worker and back',
    'µs',
    ['ask', 'answer'],
    (nanoseconds) => nanoseconds * TO_MICROSECONDS,
  ),
]
