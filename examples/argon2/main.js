// A package from npm, @node-rs/argon2-wasm32-wasi, started by its own loader, runs on one memory with the passwords that it
// hashes: workers write them into the heap, and the package's own threads hash them. Its data, its stacks and what its own
// malloc hands out lie beside the heap. The hashes must be those of the package when it is used normally:
//
//   npm --prefix examples/argon2 ci --force
//   node examples/argon2/main.js

import { once } from 'node:events'
import { createRequire } from 'node:module'
import { Worker } from 'node:worker_threads'
import { withHeap } from '../stand-in.js'

const PACKAGE = '@node-rs/argon2-wasm32-wasi'
const WORKERS = 3
const PASSWORDS = 24
/** Bytes that the heap has before the package is used. */
const RESERVE = 2 ** 26
const OPTIONS = { memoryCost: 256, timeCost: 2, parallelism: 1, salt: Buffer.alloc(16, 7) }

const require = createRequire(import.meta.url)

/** Loads the package anew. */
const load = () => {
  delete require.cache[require.resolve(PACKAGE)]
  return require(PACKAGE)
}

const write = async (memory, worker) => {
  const seeds = Array.from({ length: PASSWORDS / WORKERS }, (_, i) => worker + i * WORKERS)
  const workerData = { memory, seeds }
  const thread = new Worker(new URL('worker.js', import.meta.url), { workerData })
  const [ptrs] = await once(thread, 'message')
  return ptrs
}

/** A Buffer over a block: the package sees that these bytes are in its own memory, and takes their address. */
const bytesAt = (memory, ptr) => Buffer.from(memory.buffer, ptr, memory.sizeof(ptr))

const main = async () => {
  const { memory, result: argon2 } = await withHeap(load)
  // The package knows its own memory by the buffer, which is another one after each growth: a view made just before would be
  // taken for foreign, and copied back and forth. So the heap grows now, and not while views are handed over.
  memory.free(memory.malloc(RESERVE))
  // Threads that are in WebAssembly learn late of pages that others grow: one large hash leaves its 64 MiB to the package's malloc.
  await argon2.hashRaw('', { ...OPTIONS, memoryCost: 65_536, timeCost: 1 })
  const alone = load()
  const writing = Array.from({ length: WORKERS }, (_, i) => write(memory, i))

  const hashOf = async (ptr) => {
    const [hash, expected] = await Promise.all([
      argon2.hashRaw(bytesAt(memory, ptr), OPTIONS),
      alone.hashRaw(Buffer.from(memory.arrayBuffer(ptr)), OPTIONS),
    ])
    memory.free(ptr)
    if (!hash.equals(expected)) throw new Error(`the hash of the password at ${ptr} is wrong`)
    return hash.toString('hex')
  }
  const parts = await Promise.all(
    writing.map(async (ptrs) => Promise.all((await ptrs).map((ptr) => hashOf(ptr)))),
  )

  const hashes = new Set(parts.flat())
  if (hashes.size !== PASSWORDS) throw new Error('hashes are missing')
  if (memory.length !== 0) throw new Error(`${memory.length} bytes are still in use`)
  console.log(`${WORKERS} workers wrote ${PASSWORDS} passwords, ${PACKAGE} hashed them`)
  console.log(`all ${hashes.size} hashes are those of the package on a memory of its own`)
}

try {
  await main()
} catch (error) {
  console.error(`argon2: ${error.message}`)
  process.exitCode = 1
}
