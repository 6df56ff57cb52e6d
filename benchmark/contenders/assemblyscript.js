// AssemblyScript's TLSF, from a module that exports nothing but its heap.

import { readFileSync } from 'node:fs'
import { assemblyScriptHeap } from './built.js'
import { version } from './version.js'

function open(initial, maximum = 65_536) {
  const memory = new WebAssembly.Memory({ initial, maximum, shared: true })
  const module = new WebAssembly.Module(readFileSync(assemblyScriptHeap))
  const imports = { env: { memory, abort: () => {} } }
  const { malloc, free, realloc } = new WebAssembly.Instance(module, imports).exports
  return { malloc, free, realloc, buffer: memory.buffer, memory }
}

export const contender = {
  name: 'AssemblyScript TLSF',
  version: version('../node_modules/assemblyscript/package.json'),
  language: 'wasm',
  locking: 'one thread, shared memory',
  lacks: { threads: 'not safe between threads' },
  open: () => open(1000),
  openSmall: (maximum) => open(1, maximum),
}
