// A package from npm, @jsquash/oxipng, built with wasm-bindgen and threads, runs on one memory with the images that it
// compresses. Its data, its stacks and what its own allocator grows lie beside the heap. Four threads run its code: two
// that call it, and two of its own pool. The files must be those that the package makes when it is used normally:
//
//   npm --prefix examples/oxipng ci
//   node examples/oxipng/main.js

import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import {
  initSync as initAlone,
  optimise_raw as optimiseAlone,
} from '@jsquash/oxipng/codec/pkg/squoosh_oxipng.js'
import LocalSharedMemory from '../../index.js'
import { draw, imageAt } from './image.js'
import { compile, compileAlone, startPool } from './package-on-memory.js'

const PAGE = 65_536
/** What the module asks for. The heap has the pages that it grows. */
const INITIAL_PAGES = 18
const MAXIMUM_PAGES = 16_384
const THREADS = 2
const IMAGES = 24
const LEVEL = 2

const run = async (workerData) => {
  const worker = new Worker(new URL('worker.js', import.meta.url), { workerData })
  const [results] = await once(worker, 'message')
  return results
}

/** Keeps allocating and freeing in this thread; every block must keep its bytes. */
class Bystander {
  #memory
  #blocks = []
  #timer = setInterval(() => this.#renew())
  freed = 0

  constructor(memory) {
    this.#memory = memory
  }

  stop() {
    clearInterval(this.#timer)
    this.#free()
  }

  #renew() {
    this.#free()
    this.#blocks = Array.from({ length: 50 }, (_, i) =>
      this.#memory.Uint8Array(1 + i * 200).fill(i),
    )
  }

  #free() {
    for (const [i, block] of this.#blocks.entries()) {
      if (!block.every((byte) => byte === i)) throw new Error(`block ${block.byteOffset} changed`)
      this.#memory.free(block.byteOffset)
    }
    this.freed += this.#blocks.length
    this.#blocks = []
  }
}

const main = async () => {
  const memory = new LocalSharedMemory({
    initial: INITIAL_PAGES,
    maximum: MAXIMUM_PAGES,
    shared: true,
    heapBase: INITIAL_PAGES * PAGE,
  })
  const module = compile()
  await startPool(module, memory, THREADS)

  const images = Array.from({ length: IMAGES }, (_, seed) => draw(memory, seed + 1))
  initAlone(compileAlone())
  const expected = images.map((image) => {
    const { width, height, pixels } = imageAt(memory, image)
    return optimiseAlone(pixels, width, height, LEVEL, false, false)
  })
  console.log(`${IMAGES} images in the heap, ${memory.length} bytes; ${THREADS} workers`)

  const share = Math.ceil(IMAGES / THREADS)
  const parts = Array.from({ length: THREADS }, (_, i) => images.slice(i * share, (i + 1) * share))
  const bystander = new Bystander(memory)
  const results = await Promise.all(
    parts.map((part) => run({ memory, module, level: LEVEL, images: part })),
  )
  bystander.stop()

  const files = results.flat()
  if (files.length !== IMAGES) throw new Error('files are missing')
  for (const [i, ptr] of files.entries()) {
    if (Buffer.compare(Buffer.from(memory.arrayBuffer(ptr)), expected[i]) !== 0) {
      throw new Error(`file ${i} is not the one that the package makes alone`)
    }
    memory.free(ptr)
  }
  if (memory.length !== 0) throw new Error(`${memory.length} bytes are still in use`)
  console.log(`${IMAGES} files, byte for byte those that the package makes on a memory of its own`)
  console.log(
    `meanwhile the main thread allocated and freed ${bystander.freed} blocks between them`,
  )
}

try {
  await main()
} catch (error) {
  console.error(`oxipng: ${error.message}`)
  process.exitCode = 1
}
