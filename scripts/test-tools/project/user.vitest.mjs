// The same for vitest, in each of its pools.

import LocalSharedMemory, { LocalSharedMemory as named } from 'local-shared-memory'
import { Mutex } from 'local-shared-memory/structures'
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads'
import { expect, test } from 'vitest'

test('a memory goes through a message', () => {
  expect(named).toBe(LocalSharedMemory)
  const memory = new LocalSharedMemory(1, 10)
  const ptr = memory.mallocString('text')
  const { port1, port2 } = new MessageChannel()
  port1.postMessage(memory)
  const received = LocalSharedMemory.from(receiveMessageOnPort(port2).message)
  expect(received.getString(ptr)).toBe('text')
  expect(() => received.free(ptr + 4)).toThrow(
    expect.objectContaining({ code: 'ERR_INVALID_POINTER' }),
  )
  expect(Mutex.create(memory).withLock(() => memory.getString(ptr))).toBe('text')
})
