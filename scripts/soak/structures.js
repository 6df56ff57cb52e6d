// Soaks the structures, all three in one memory: a mutex with two words that belong together, a map that evicts and
// lets entries expire, and a channel whose messages anyone sends and receives.

import { Channel, Mutex, SharedMap } from '../../structures/index.js'

const CAPACITY = 200_000
const MAP_OPTIONS = { maxEntries: 5000, ttl: 20_000 }

/** What main.js does with structures: `newWorker`, `inspect` once a second, `end`. */
export const soakStructures = (memory, { must, totals }) => {
  const mutex = Mutex.create(memory)
  const map = SharedMap.create(memory, MAP_OPTIONS)
  const channel = Channel.create(memory, { capacity: CAPACITY })
  const pair = memory.calloc(8)
  const data = { mutex: mutex.ptr, map: map.ptr, channel: channel.ptr, pair }
  Object.assign(totals, { entries: 0, expired: 0, evicted: 0 })
  return {
    worker: new URL('structures-worker.js', import.meta.url),

    newWorker: () => ({ data, settle() {} }),

    inspect() {
      must('the map', () => {
        const { size, expiries, evictions } = map.stats()
        Object.assign(totals, { entries: size, expired: expiries, evicted: evictions })
      })
    },

    end() {
      for (const structure of [channel, map, mutex]) must('destroy', () => structure.destroy())
      must('the pair', () => memory.free(pair))
    },
  }
}
