// One thread of main.js: draws photos into the heap, and hands their pointers over.

import { parentPort, workerData } from 'node:worker_threads'
import LocalSharedMemory from '../../index.js'
import { draw } from './photo.js'

const memory = LocalSharedMemory.from(workerData.memory)
for (const seed of workerData.seeds) parentPort.postMessage(draw(memory, seed))
