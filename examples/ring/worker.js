// A producer or a consumer of main.js. It was handed neither the memory nor a pointer: both have names.

import LocalSharedMemory from 'local-shared-memory'
import { workerData } from 'node:worker_threads'
import { Ring } from './ring.js'

const STOP = 0

const { role, index, messages } = workerData
const memory = LocalSharedMemory.shared('ring')
const ring = new Ring(memory, memory.getRoot('ring'))

const roles = {
  producer: () => {
    for (let number = 0; number < messages; number++) {
      ring.put(memory.mallocString(`${index}:${number}`))
    }
  },

  consumer: () => {
    const arrived = memory.getRoot('arrived')
    const last = new Map()
    for (let ptr = ring.take(); ptr !== STOP; ptr = ring.take()) {
      const [producer, number] = memory.getString(ptr).split(':').map(Number)
      if (number <= (last.get(producer) ?? -1)) throw new Error('a message overtook another')
      last.set(producer, number)
      memory.add(Uint8Array, arrived + producer * messages + number, 1)
      memory.free(ptr)
    }
  },
}

roles[role]()
