// A package from npm, @node-rs/crc32-wasm32-wasi, runs in several workers on one memory that also holds the documents it
// checksums, so that none is copied in or out. Its data, its stacks and what its own malloc grows lie beside the heap:
//
//   npm --prefix examples/crc32 ci --force
//   node examples/crc32/main.js

import { Worker } from 'node:worker_threads'
import LocalSharedMemory from '../../index.js'
import { bytesAt, compile, instantiate } from './package-on-memory.js'

const PAGE = 65_536
/** What the package's own loader gives it: 4000 pages to begin with. The heap has those that it grows. */
const INITIAL_PAGES = 4000
const MAXIMUM_PAGES = 65_536
const WORKERS = 3
const DOCUMENTS = 600
/** Bytes that the heap has before the workers start. */
const RESERVE = 2 ** 24

const fill = (memory, seed) => {
  const bytes = memory.Uint8Array(1000 + seed * 331)
  for (let i = 0; i < bytes.length; i++) bytes[i] = Math.imul(i + seed, 0x9e3779b1) >>> 24
  return bytes.byteOffset
}

const run = (workerData) =>
  new Promise((resolve, reject) => {
    const results = []
    const worker = new Worker(new URL('worker.js', import.meta.url), { workerData })
    worker.on('message', (result) => results.push(result))
    worker.on('error', reject)
    worker.on('exit', () => resolve(results))
  })

const main = async () => {
  const memory = new LocalSharedMemory({
    initial: INITIAL_PAGES,
    maximum: MAXIMUM_PAGES,
    shared: true,
    heapBase: INITIAL_PAGES * PAGE,
  })
  // A view is known as the package's own memory only while the memory keeps its buffer: it does not grow in the workers.
  memory.free(memory.malloc(RESERVE))
  const module = compile()
  const { crc32, newStack } = instantiate(module, memory)
  const documents = Array.from({ length: DOCUMENTS }, (_, seed) => fill(memory, seed))
  console.log(`${DOCUMENTS} documents in the heap, ${memory.length} bytes, and ${WORKERS} workers`)

  const parts = Array.from({ length: WORKERS }, (_, i) =>
    documents.filter((_ptr, at) => at % WORKERS === i),
  )
  const results = await Promise.all(
    parts.map((part) => run({ memory, module, stack: newStack(), documents: part })),
  )

  for (const result of results.flat()) {
    const ptr = memory.getUint32(result)
    const sum = crc32(bytesAt(memory, ptr))
    if (sum !== memory.getUint32(result + 4)) throw new Error(`document ${ptr} has changed`)
    memory.free(ptr)
    memory.free(result)
  }
  if (results.flat().length !== DOCUMENTS) throw new Error('results are missing')
  if (memory.length !== 0) throw new Error(`${memory.length} bytes are still in use`)
  console.log('All checksums are those of zlib, and in the main thread the same as in the workers.')
}

try {
  await main()
} catch (error) {
  console.error(`crc32: ${error.message}`)
  process.exitCode = 1
}
