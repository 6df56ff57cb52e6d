// Loads @node-rs/crc32-wasm32-wasi as its own loader does, but for two things: the memory is the caller's, and every
// thread can have an instance on it.

import { getDefaultContext, instantiateNapiModuleSync } from '@napi-rs/wasm-runtime'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { WASI } from 'node:wasi'

const wasmFile = new URL(
  'crc32.wasm32-wasi.wasm',
  import.meta.resolve('@node-rs/crc32-wasm32-wasi'),
)

/** @returns {WebAssembly.Module} the package's code */
export const compile = () => new WebAssembly.Module(readFileSync(fileURLToPath(wasmFile)))

/**
 * A Buffer over a block, without a copy: the package sees that these bytes are in its own memory, and takes their address.
 *
 * @param {import('../../index.js').LocalSharedMemory} memory
 * @param {number} ptr
 * @returns {Buffer}
 */
export const bytesAt = (memory, ptr) => {
  const byteLength = memory.sizeof(ptr)
  // The buffer of now: the package would take one from before a growth for a foreign one, and copy all of it.
  return Buffer.from(memory.buffer, ptr, byteLength)
}

const register = ({ exports }) => {
  for (const [name, call] of Object.entries(exports)) {
    if (name.startsWith('__napi_register__')) call()
  }
}

/**
 * @param {WebAssembly.Module} module
 * @param {WebAssembly.Memory} memory
 * @param {number} [stack] what `newStack` of the first instance returned, in every other thread
 * @returns {{ crc32: (bytes: Uint8Array) => number, newStack: () => number }}
 */
export const instantiate = (module, memory, stack) => {
  const { instance, napiModule } = instantiateNapiModuleSync(module, {
    context: getDefaultContext(),
    wasi: new WASI({ version: 'preview1' }),
    asyncWorkPoolSize: 0,
    overwriteImports: (imports) => {
      Object.assign(imports.env, imports.napi, imports.emnapi, { memory })
      return imports
    },
    beforeInit: ({ instance: started }) => {
      if (stack !== undefined) started.exports.emnapi_async_worker_init(stack)
      register(started)
    },
  })
  const newStack = () => instance.exports.emnapi_async_worker_create(0, 0)
  return { crc32: napiModule.exports.crc32, newStack }
}
