// malloc and free as a WebAssembly module's own: this heap through imports(), wasi-libc's inside WebAssembly, and empty
// functions, which show what of it is the two calls from WebAssembly to JavaScript.

import { readFileSync } from 'node:fs'
import { wasmLoop } from '../contenders/built.js'
import { ours } from '../contenders/index.js'
import { contender as nothing } from '../contenders/nothing.js'
import { contender as wasiLibc } from '../contenders/wasi-libc.js'
import { fresh } from '../harness/kernels.js'
import { constant } from '../harness/random.js'

const SIZE = 64
const REFERENCE = 'local-shared-memory, from JavaScript'

const inJavaScript = (heap) => {
  const kernel = fresh('pairs')
  const stream = { sizes: constant(1, SIZE) }
  const pointers = new Uint32Array(1)
  return (ops) => {
    const [start, end] = kernel(heap, pointers, stream, ops)
    return Number(end - start)
  }
}

const inWasm = (env) => {
  const module = new WebAssembly.Module(readFileSync(wasmLoop))
  const { pairs } = new WebAssembly.Instance(module, { env }).exports
  return (ops) => {
    const start = process.hrtime.bigint()
    pairs(SIZE, ops)
    return Number(process.hrtime.bigint() - start)
  }
}

const enter = (most) => {
  const entrant = (row, run, finish = () => {}) => ({ row, most, run, finish })
  const own = (row, loopOf) => {
    const memory = ours.open()
    return entrant(row, loopOf(memory), () => ours.check(memory))
  }
  return [
    own(REFERENCE, inJavaScript),
    own('local-shared-memory, from wasm', (memory) => inWasm(memory.imports())),
    entrant(`${wasiLibc.name}, from wasm`, inWasm(wasiLibc.open())),
    entrant('empty functions (JS), from wasm', inWasm(nothing.open())),
  ]
}

export const groups = [
  {
    name: 'wasm',
    title: 'malloc + free of 64 B at once, called from a WebAssembly module',
    unit: 'ns per pair',
    reference: REFERENCE,
    cases: ({ scale }) =>
      ours
        ? [{ title: 'at once', enter: () => ({ entrants: enter(2_000_000 * scale), absent: [] }) }]
        : [],
  },
]
