// A user's program in TypeScript, with what the types promise of both entry points.

import LocalSharedMemory, { LocalSharedMemory as Named, type HeapStats } from 'local-shared-memory'
import { Mutex } from 'local-shared-memory/structures'

const memory: LocalSharedMemory = new Named(1, 10)
const ptr: number = memory.malloc(8)
memory.arrayView(Uint8Array, ptr).fill(7)
const bytes: SharedArrayBuffer = memory.buffer
const stats: HeapStats = memory.stats()
const mutex: Mutex = Mutex.create(memory)
const value: number = mutex.withLock(() => memory.getUint8(ptr))
if (new Uint8Array(bytes)[ptr] !== value || value !== 7 || stats.blockCount < 1) {
  throw new Error('it does not work')
}
