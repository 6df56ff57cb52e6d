// wasi-libc's dlmalloc with its spin lock, as it ships inside a package built for wasm32-wasi-threads.
// Its malloc and free call no import but sched_yield, so the module's other imports are stubs.

import { readFileSync } from 'node:fs'
import { version } from './version.js'

const folder = new URL('../node_modules/@node-rs/crc32-wasm32-wasi/', import.meta.url)
const wasm = new WebAssembly.Module(readFileSync(new URL('crc32.wasm32-wasi.wasm', folder)))

const stubs = (memory) =>
  WebAssembly.Module.imports(wasm).reduce((modules, { module, name, kind }) => {
    modules[module] ??= {}
    modules[module][name] = kind === 'memory' ? memory : () => 0
    return modules
  }, {})

function attach(memory) {
  const { malloc, free } = new WebAssembly.Instance(wasm, stubs(memory)).exports
  return { malloc, free, memory }
}

export const contender = {
  name: 'wasi-libc dlmalloc',
  version: version('../node_modules/@node-rs/crc32-wasm32-wasi/package.json'),
  language: 'wasm',
  module: import.meta.url,
  locking: 'any thread, spin lock',
  lacks: { realloc: 'exports no realloc' },
  open: () => attach(new WebAssembly.Memory({ initial: 4000, maximum: 65_536, shared: true })),
  share: ({ memory }) => memory,
  attach,
}
