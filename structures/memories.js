// Which memories structures can lie in.

import { LocalSharedMemory } from '../index.js'
import { hasHeap } from '../lib/memory/blocks.js'
import { bufferOf, isShared } from '../lib/base/engine.js'
import { invalidArgType } from '../lib/base/errors.js'

/** @throws {TypeError} ERR_INVALID_ARG_TYPE when it is not a memory with a heap */
export const checkMemory = (memory) => {
  if (!(memory instanceof LocalSharedMemory && hasHeap(memory))) {
    throw invalidArgType('memory', 'a LocalSharedMemory', memory)
  }
}

/** @throws {TypeError} ERR_INVALID_ARG_TYPE when it is not one, or other threads cannot have it */
export const checkSharedMemory = (memory) => {
  checkMemory(memory)
  if (!isShared(bufferOf(memory))) throw invalidArgType('memory', 'a shared memory', memory)
}
