// Workers that are terminated in the middle of what they do to a SharedMap. scripts/kill.js does it to thousands.

import test from 'ava'
import LocalSharedMemory from '../index.js'
import { killMapWorkers } from './fixtures/map-killing.mjs'
import { MAP_OPERATIONS } from './fixtures/map-states.mjs'

const WORKERS = 9

for (const [seed, operation] of Object.keys(MAP_OPERATIONS).entries()) {
  test.serial(
    `a worker that is terminated in ${operation} leaves every key with its old or new value`,
    async (t) => {
      const memory = new LocalSharedMemory(10, 4000)
      memory.free(memory.malloc(1))
      const { operations } = await killMapWorkers(memory, {
        operation,
        workers: WORKERS,
        seed: seed + 1,
      })
      t.true(operations > 0)
    },
  )
}
