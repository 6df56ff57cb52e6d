// Workers of a pool, which get the memory with each task.

import { LocalSharedMemory } from 'local-shared-memory'
import assert from 'node:assert/strict'
import { isMainThread } from 'node:worker_threads'
import { Piscina } from 'piscina'

const add = ({ memory, ptr }) => LocalSharedMemory.from(memory).add(Int32Array, ptr / 4, 1)

if (isMainThread) {
  const pool = new Piscina({ filename: import.meta.url, maxThreads: 2 })
  const memory = new LocalSharedMemory(1, 10)
  const ptr = memory.calloc(1, 4)
  await Promise.all(Array.from({ length: 20 }, () => pool.run({ memory, ptr })))
  assert.equal(memory.getInt32(ptr), 20)
  await pool.close()
}

export default add
