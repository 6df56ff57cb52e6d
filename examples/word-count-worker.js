// One worker of word-count.js: counts the words in its part of the text, later frees its part of the table.

import LocalSharedMemory from 'local-shared-memory'
import { parentPort, workerData } from 'node:worker_threads'
import { eachWord, WordTable } from './word-table.js'

const memory = LocalSharedMemory.from(workerData.memory)
const table = new WordTable(memory, workerData.bucketCount, workerData.buckets)
const text = memory.arrayView(Uint8Array, workerData.text)

const tasks = {
  count: (from, to) => eachWord(text, from, to, (start, end) => table.count(text, start, end)),

  free: (from, to) => {
    for (const entry of table.entries(from, to)) memory.free(entry)
  },
}

parentPort.on('message', ({ task, from, to }) => {
  tasks[task](from, to)
  parentPort.postMessage('done')
})
parentPort.postMessage('ready')
