// One thread of main.js: checksums of documents that lie in the heap, by the package and by zlib.

import { parentPort, workerData } from 'node:worker_threads'
import { crc32 as zlibCrc32 } from 'node:zlib'
import LocalSharedMemory from '../../index.js'
import { bytesAt, instantiate } from './package-on-memory.js'

const memory = LocalSharedMemory.from(workerData.memory)
const { crc32 } = instantiate(workerData.module, memory, workerData.stack)

for (const ptr of workerData.documents) {
  const document = bytesAt(memory, ptr)
  const sum = crc32(document)
  const expected = zlibCrc32(Buffer.from(document))
  if (sum !== expected) throw new Error(`the package says ${sum}, zlib ${expected}`)
  const result = memory.malloc(8)
  memory.setUint32(result, ptr)
  memory.setUint32(result + 4, sum)
  parentPort.postMessage(result)
}
