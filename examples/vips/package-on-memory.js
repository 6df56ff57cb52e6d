// wasm-vips, an Emscripten build with threads, on a LocalSharedMemory. Two things differ from how it is used normally:
//
// Its glue makes the memory itself, with `new WebAssembly.Memory`: a LocalSharedMemory stands in.
//
// Its allocator takes all that lies between its break and the end of the memory to be its own, and would go on into pages
// that the heap has grown. So it is given its share first, and then its break is set where no more can be had.

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import Vips from 'wasm-vips'
import { withHeap } from '../stand-in.js'

const PAGE = 65_536

const wasmFile = fileURLToPath(import.meta.resolve('wasm-vips/vips.wasm'))

/** What starts libvips, without the formats that come as modules of their own. */
const OPTIONS = { dynamicLibraries: [] }

/** @returns {Promise<object>} the package as it is used normally, on a memory of its own */
export const startAlone = () => Vips({ ...OPTIONS })

/** @returns the exports of the module, once the package has made its instance */
const start = async () => {
  let exports
  const instantiateWasm = (imports, done) => {
    const module = new WebAssembly.Module(readFileSync(wasmFile))
    const instance = new WebAssembly.Instance(module, imports)
    ;({ exports } = instance)
    done(instance, module)
    return exports
  }
  const vips = await Vips({ ...OPTIONS, instantiateWasm })
  return { vips, exports }
}

/**
 * Starts libvips on a memory with a heap.
 *
 * @param {number} byteLength bytes that libvips has for itself, and no more
 * @returns {Promise<{ vips: object, memory: LocalSharedMemory }>}
 */
export const startOnMemory = async (byteLength) => {
  const { memory, maximum, result } = await withHeap(start)
  const { malloc, free, emscripten_get_sbrk_ptr: breakAt } = result.exports
  const share = malloc(byteLength)
  if (share === 0) throw new Error(`libvips cannot have ${byteLength} bytes`)
  free(share)
  memory.store(Uint32Array, breakAt() / 4, maximum * PAGE)
  if (malloc(2 * byteLength) !== 0) throw new Error('libvips has more than its share')
  return { vips: result.vips, memory }
}
