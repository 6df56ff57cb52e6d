// dlmalloc compiled by emscripten: no lock, unshared memory, 16 MiB and no more. Its exports are called
// directly, since a second instance of the package's own class would slow the first.

import { readFileSync } from 'node:fs'
import { version } from './version.js'

const PAGES = 256
// The module's own data end at 1,524.
const SBRK_CELL = 4096
const STACK = 8192
const HEAP_START = 65_536

const file = new URL('../node_modules/walloc/lib/walloc.wasm', import.meta.url)
const wasm = new WebAssembly.Module(readFileSync(file))

function exhausted() {
  throw new RangeError('walloc: its memory is exhausted')
}

export const contender = {
  name: 'walloc',
  version: version('../node_modules/walloc/package.json'),
  language: 'wasm',
  locking: 'one thread, memory not shared',
  alignment: 8,
  lacks: { realloc: 'no realloc', threads: 'one thread only' },
  limits: [{ what: 'bytes', most: 12 * 2 ** 20, why: 'its memory is fixed at 16 MiB' }],
  open() {
    const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES })
    new Uint32Array(memory.buffer)[SBRK_CELL / 4] = HEAP_START
    const env = {
      memory,
      DYNAMICTOP_PTR: SBRK_CELL,
      STACKTOP: STACK,
      getTotalMemory: () => memory.buffer.byteLength,
      enlargeMemory: exhausted,
      abortOnCannotGrowMemory: exhausted,
      ___setErrNo: () => {},
    }
    const { _Malloc: malloc, _Free: free } = new WebAssembly.Instance(wasm, { env }).exports
    return { malloc, free }
  },
}
