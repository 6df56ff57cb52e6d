// A test of Jest's, as it is by default: CommonJS, in a context of its own, whose classes are not those of messages.

const LocalSharedMemory = require('local-shared-memory')
const { Mutex } = require('local-shared-memory/structures')
const { MessageChannel, receiveMessageOnPort } = require('node:worker_threads')

test('a memory goes through a message', () => {
  const { LocalSharedMemory: named } = LocalSharedMemory
  expect(named).toBe(LocalSharedMemory)
  const memory = new LocalSharedMemory(1, 10)
  const ptr = memory.mallocString('text')
  const { port1, port2 } = new MessageChannel()
  port1.postMessage(memory)
  const received = LocalSharedMemory.from(receiveMessageOnPort(port2).message)
  expect(received.getString(ptr)).toBe('text')
  received.free(received.malloc(1_000_00))
  expect(() => received.free(ptr + 4)).toThrow(
    expect.objectContaining({ code: 'ERR_INVALID_POINTER' }),
  )
  expect(Mutex.create(memory).withLock(() => memory.getString(ptr))).toBe('text')
})
