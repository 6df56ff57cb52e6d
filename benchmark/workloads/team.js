// A team of workers on one heap. They start and are warmed before anything is timed; a barrier of
// Atomics.wait lets them begin together.

import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { startWorkers } from '../harness/workers.js'

const CAPACITY = 1024
const COUNTERS = 64

const ring = () => ({
  slots: new Float64Array(new SharedArrayBuffer(CAPACITY * 8)),
  counters: new Int32Array(new SharedArrayBuffer(COUNTERS * 4)),
})

/** Workers that share one heap of a contender. */
export class Team {
  #contender
  #heap
  #workers

  /**
   * @param {object} contender
   * @param {object} stream - { script, sizes, live }, the same for every worker
   * @param {number} size - workers to start
   * @returns {Promise<Team>}
   */
  static async start(contender, stream, size) {
    const team = new Team()
    const { module, share } = contender
    team.#contender = contender
    team.#heap = contender.open()
    const workerData = { module, handle: share(team.#heap), stream }
    const script = new URL('team-worker.js', import.meta.url)
    team.#workers = await startWorkers(size, () => new Worker(script, { workerData }))
    return team
  }

  /**
   * Runs a kernel on the first workers at once.
   * @param {string} kernel
   * @param {number} ops - operations for each worker
   * @param {number} threads - workers that take part
   * @returns {Promise<number>} nanoseconds from the first start to the last end
   */
  async run(kernel, ops, threads) {
    const barrier = new Int32Array(new SharedArrayBuffer(8))
    const rings = Array.from({ length: threads }, ring)
    const spans = await Promise.all(
      this.#workers.slice(0, threads).map(async (worker, index) => {
        const [outbox, inbox] = [rings[(index + 1) % threads], rings[index]]
        worker.postMessage({ kernel, ops, threads, barrier, outbox, inbox, index })
        const [span] = await once(worker, 'message')
        return span
      }),
    )
    const start = Math.min(...spans.map(([from]) => from))
    return Math.max(...spans.map(([, to]) => to)) - start
  }

  /** Ends the workers, who have freed all their blocks. */
  async close() {
    this.#contender.check?.(this.#heap)
    await Promise.all(this.#workers.map((worker) => worker.terminate()))
  }
}
