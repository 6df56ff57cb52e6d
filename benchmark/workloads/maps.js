// Maps that threads share, next to one that they do not: get and set of numbers, and of strings of 100 bytes.

import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { startWorkers } from '../harness/workers.js'
import { maps } from '../maps/index.js'

const THREADS = [1, 2, 4]
const ENTRIES = 10_000
const NANOSECONDS_TO_MILLIONS = 1e3

const column = (threads) => (threads === 1 ? '1 thread' : `${threads} threads`)

/** Workers that have one map open. */
class Team {
  #map
  #workers

  /** @returns {Promise<Team>} as soon as every worker has filled the map */
  static async start(contender, load) {
    const team = new Team()
    const threads =
      contender.lacks({ ...load, threads: 2 }) === undefined ? Math.max(...THREADS) : 1
    team.#map = contender.create({ ...load, threads })
    const { handle, handles } = team.#map
    const script = new URL('map-worker.js', import.meta.url)
    team.#workers = await startWorkers(threads, (index) => {
      const own = handles?.[index] ?? handle
      const start = Math.floor((ENTRIES * index) / threads)
      const workerData = { module: contender.module, handle: own, load, entries: ENTRIES, start }
      return new Worker(script, { workerData, transferList: handles ? [own] : [] })
    })
    return team
  }

  /** Nanoseconds from the first start to the last end of the first workers at once. */
  async run(call, ops, threads) {
    const barrier = new Int32Array(new SharedArrayBuffer(8))
    const spans = await Promise.all(
      this.#workers.slice(0, threads).map(async (worker) => {
        worker.postMessage({ call, ops, threads, barrier })
        const [span] = await once(worker, 'message')
        return span
      }),
    )
    const start = Math.min(...spans.map(([from]) => from))
    return Math.max(...spans.map(([, to]) => to)) - start
  }

  async close() {
    await Promise.all(this.#workers.map((worker) => worker.terminate()))
    await this.#map.close()
  }
}

const entrantsOf = async (contender, load, call, most) => {
  const team = await Team.start(contender, load)
  const able = THREADS.filter((threads) => contender.lacks({ ...load, threads }) === undefined)
  return able.map((threads) => ({
    row: contender.name,
    column: column(threads),
    most,
    run: async (ops) => (await team.run(call, ops, threads)) / threads,
    finish: () => (threads === able.at(-1) ? team.close() : undefined),
  }))
}

const absenceOf = (contender, load) =>
  THREADS.map((threads) => ({ threads, why: contender.lacks({ ...load, threads }) }))
    .filter(({ why }) => why !== undefined)
    .map(({ threads, why }) => ({ row: contender.name, column: column(threads), why }))

const mapCase = (load, call, most) => ({
  title: 'maps',
  async enter() {
    const able = maps.filter((contender) => contender.lacks({ ...load, threads: 1 }) === undefined)
    const entrants = able.map((contender) => entrantsOf(contender, load, call, most))
    return {
      entrants: (await Promise.all(entrants)).flat(),
      absent: maps.flatMap((contender) => absenceOf(contender, load)),
    }
  },
})

const group = (name, title, load, call) => ({
  name,
  title,
  unit: 'million calls a second, all threads together',
  reference: null,
  convert: (nanoseconds) => NANOSECONDS_TO_MILLIONS / nanoseconds,
  base: column(1),
  cases: ({ scale }) => [mapCase(load, call, 1_000_000 * scale)],
})

const numbers = { keys: 'number', values: 'number' }
const texts = { keys: 'string', values: 'string' }

export const groups = [
  group('maps get number', `get of a number by a number, ${ENTRIES} entries`, numbers, 'get'),
  group('maps set number', `set of a number by a number, ${ENTRIES} entries`, numbers, 'set'),
  group(
    'maps get string',
    `get of 100 bytes of text by a short string, ${ENTRIES} entries`,
    texts,
    'get',
  ),
  group(
    'maps set string',
    `set of 100 bytes of text by a short string, ${ENTRIES} entries`,
    texts,
    'set',
  ),
]
