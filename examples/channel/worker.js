// A producer or a consumer of main.js. It was handed neither the memory nor the channel: both have names.

import LocalSharedMemory from 'local-shared-memory'
import { Channel } from 'local-shared-memory/structures'
import { workerData } from 'node:worker_threads'

const { role, index, messages } = workerData
const memory = LocalSharedMemory.shared('channel', { create: false })
const words = Channel.at(memory, memory.getRoot('words'))

const roles = {
  producer: () => {
    for (let number = 0; number < messages; number++) words.send(`${index}:${number}`)
  },

  consumer: async () => {
    const arrived = memory.getRoot('arrived')
    const last = new Map()
    for await (const word of words) {
      const [producer, number] = word.split(':').map(Number)
      if (number <= (last.get(producer) ?? -1)) throw new Error('a message overtook another')
      last.set(producer, number)
      memory.add(Uint8Array, arrived + producer * messages + number, 1)
    }
  },
}

await roles[role]()
