// Workers that are terminated in the middle of what they do to a structure, which is whole afterwards and has lost no byte.
// scripts/kill.js does it to thousands.

import test from 'ava'
import LocalSharedMemory from '../index.js'
import { STRUCTURES } from './fixtures/structure-kills.mjs'

const WORKERS = 9

for (const [structure, { kill, operations }] of Object.entries(STRUCTURES)) {
  for (const [seed, operation] of operations.entries()) {
    test.serial(`workers are killed in the middle of ${operation} of a ${structure}`, async (t) => {
      const memory = new LocalSharedMemory(10, 4000)
      memory.free(memory.malloc(1))
      const how = { operation, workers: WORKERS, seed: seed + 1 }
      const done = await kill(memory, how)
      t.is(done.killed, WORKERS)
      t.true(done.operations > 0)
    })
  }
}
