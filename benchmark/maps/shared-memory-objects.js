// The map of shared-memory-objects. It keeps numbers only, under a hash of 32 bits in place of the key, and takes no lock to
// read.

import { isMainThread } from 'node:worker_threads'
import { sharedMemoryObjects } from '../contenders/built.js'

globalThis.self ??= isMainThread ? {} : { WorkerGlobalScope: true }
const { MemoryHeap, SharedMap } = await import(sharedMemoryObjects)

/** Bytes, as many as it allows. It takes more of them when it needs to. */
const BUFFER = 2 ** 20

export const contender = {
  name: 'shared-memory-objects',
  module: import.meta.url,
  lacks({ values, threads }) {
    if (values !== 'number') return 'it keeps numbers only'
    return threads > 1 ? 'reading while another thread sets is not safe' : undefined
  },
  create() {
    const heap = new MemoryHeap({ bufferSize: BUFFER })
    const map = new SharedMap(heap)
    const handle = { heap: heap.getSharedMemory(), map: map.getSharedMemory() }
    return { handle, close() {} }
  },
  attach: ({ heap, map }) => new SharedMap(new MemoryHeap(heap), map),
}
