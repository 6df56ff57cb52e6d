// @jsquash/oxipng as wasm-bindgen builds it for threads: its glue takes a memory, and every thread makes an instance on it.

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { Worker } from 'node:worker_threads'
import { initSync, initThreadPool } from '@jsquash/oxipng/codec/pkg-parallel/squoosh_oxipng.js'

// In Node.js 20 the pool waits for ever, on any memory, when V8's baseline compiler has translated the module.
if (process.version.startsWith('v20.')) setFlagsFromString('--no-liftoff')

const codec = (name) =>
  readFileSync(fileURLToPath(import.meta.resolve(`@jsquash/oxipng/codec/${name}`)))

/** @returns {WebAssembly.Module} the package's code for one thread, with a memory of its own */
export const compileAlone = () => new WebAssembly.Module(codec('pkg/squoosh_oxipng_bg.wasm'))

/** @returns {WebAssembly.Module} the package's code for several threads */
export const compile = () => new WebAssembly.Module(codec('pkg-parallel/squoosh_oxipng_bg.wasm'))

/** What the glue takes for a browser's Worker: a thread that is sent one message, and sends one when it is ready. */
class PoolThread {
  #worker = new Worker(new URL('pool-worker.js', import.meta.url))

  postMessage(message) {
    this.#worker.postMessage(message)
  }

  addEventListener(_type, listener) {
    this.#worker.once('message', () => {
      this.#worker.unref()
      listener()
    })
  }
}

/** Bytes that the module's allocator has before its threads start. */
const SHARE = 2 ** 26

/**
 * Starts the threads that share the work of all instances on a memory.
 *
 * @param {WebAssembly.Module} module
 * @param {WebAssembly.Memory} memory
 * @param {number} threads
 */
export const startPool = async (module, memory, threads) => {
  const { __wbindgen_malloc: malloc, __wbindgen_free: free } = initSync(module, memory)
  // Threads that are in WebAssembly learn late of pages that others grow: those are there before the work begins.
  free(malloc(SHARE, 1), SHARE, 1)
  globalThis.Worker = PoolThread
  await initThreadPool(threads)
}
