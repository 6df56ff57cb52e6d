// One thread of main.js: writes passwords into the heap.

import { parentPort, workerData } from 'node:worker_threads'
import LocalSharedMemory from '../../index.js'

const memory = LocalSharedMemory.from(workerData.memory)
const passwords = workerData.seeds.map((seed) => Buffer.from(`password ${seed}`.repeat(1 + seed)))
const ptrs = passwords.map((password) => memory.Uint8Array(password).byteOffset)
parentPort.postMessage(ptrs)
