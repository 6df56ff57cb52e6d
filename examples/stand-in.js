// For packages that make their memory themselves, with `new WebAssembly.Memory`, and take no other.

import LocalSharedMemory from '../index.js'

const PAGE = 65_536

/**
 * Runs a function that makes one WebAssembly.Memory, and makes it a LocalSharedMemory whose heap has the pages that it
 * grows itself.
 *
 * @template T
 * @param {() => T | Promise<T>} act
 * @returns {Promise<{ memory: LocalSharedMemory, maximum: number, result: T }>} `maximum` in pages
 */
export const withHeap = async (act) => {
  const { Memory } = WebAssembly
  let memory
  let maximum
  const standIn = (descriptor) => {
    ;({ maximum } = descriptor)
    memory = new LocalSharedMemory({ ...descriptor, heapBase: descriptor.initial * PAGE })
    return memory
  }
  // A proxy, so that `instanceof WebAssembly.Memory` goes on telling what it told.
  WebAssembly.Memory = new Proxy(Memory, {
    construct: (_Memory, [descriptor]) => standIn(descriptor),
  })
  try {
    const result = await act()
    return { memory, maximum, result }
  } finally {
    WebAssembly.Memory = Memory
  }
}
