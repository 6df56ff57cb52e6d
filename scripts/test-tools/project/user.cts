// The same from a CommonJS module.

import LocalSharedMemory = require('local-shared-memory')
import structures = require('local-shared-memory/structures')

const memory: LocalSharedMemory = new LocalSharedMemory.LocalSharedMemory(1, 10)
const stats: LocalSharedMemory.HeapStats = memory.stats()
const mutex: structures.Mutex = structures.Mutex.create(memory)
const bytes: SharedArrayBuffer = memory.buffer
export { bytes, mutex, stats }
