// What is left of a heap when the last thread that has it open goes, and another opens it later.

import test from 'ava'
import LocalSharedMemory from '../index.js'
import { launch, reportsOf } from './fixtures/launch.mjs'

test('free blocks are back when the last thread that had the memory open has ended', async (t) => {
  const memory = new WebAssembly.Memory({ initial: 200, maximum: 200, shared: true })
  const byteLengths = [40, 100, 300]
  for (let thread = 0; thread < 3; thread++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other, so that each is the last
    await reportsOf(20_000, [launch('freeing-worker.mjs', { memory, byteLengths })])
  }
  const { usedBytes, cachedBytes, blockCount } = LocalSharedMemory.from(memory).stats()
  t.deepEqual([usedBytes, cachedBytes, blockCount], [0, 0, 0])
})
