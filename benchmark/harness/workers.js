// Workers that have started when the first of them is warmed: beside others that still compile and fill what they have, it would
// be found slow, and given few operations in a round.

import { once } from 'node:events'

/**
 * Starts workers, each of which sends a message as soon as it can do what it is told.
 *
 * @param {number} count
 * @param {(index: number) => import('node:worker_threads').Worker} start
 * @returns {Promise<import('node:worker_threads').Worker[]>}
 */
export const startWorkers = (count, start) =>
  Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const worker = start(index)
      await once(worker, 'message')
      return worker
    }),
  )
