// C and JavaScript workers build one list in one heap: JavaScript makes a node and C links it, C makes nodes with the same
// malloc, and whichever thread comes by frees them:
//
//   node examples/c-list/main.js

import LocalSharedMemory from 'local-shared-memory'
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { compile } from './compile.js'

const PAGE = 65_536
const WORKERS = 3
const NODES = 50_000

const run = async (workerData) => {
  const worker = new Worker(new URL('worker.js', import.meta.url), { workerData })
  const [[sum]] = await Promise.all([once(worker, 'message'), once(worker, 'exit')])
  return sum
}

const check = (what, actual, expected) => {
  if (actual !== expected) throw new Error(`${what}: ${actual} instead of ${expected}`)
  console.log(`${what}: ${actual}`)
}

const main = async () => {
  const { module, source } = await compile()
  // The module's data and stack have the initial page, the heap has those that it grows.
  const memory = new LocalSharedMemory({ initial: 1, maximum: 100, shared: true, heapBase: PAGE })
  const { exports: list } = new WebAssembly.Instance(module, { env: memory.imports() })
  console.log(
    `${WORKERS} workers and ${source}, ${NODES} nodes each, half of them made in JavaScript and half in C`,
  )

  const parts = Array.from({ length: WORKERS }, (_, i) => ({
    from: i * NODES,
    to: (i + 1) * NODES,
  }))
  const sums = await Promise.all(parts.map((part) => run({ memory, module, ...part })))
  const total = WORKERS * NODES
  // This thread made none of what is left.
  const left = list.drain(0, 0) >>> 0
  const sum = sums.reduce((all, one) => all + one, left) % 2 ** 32
  check('nodes linked', list.count(), total)
  check('sum of their values, modulo 2^32', sum, ((total * (total - 1)) / 2) % 2 ** 32)
  const moved = list.freedElsewhere()
  console.log(`nodes freed by another thread than the one that made them: ${moved}`)
  if (moved === 0) throw new Error('every node was freed where it was made')
  check('bytes still allocated', memory.length, 0)
}

try {
  await main()
} catch (error) {
  console.error(`c-list: ${error.message}`)
  process.exitCode = 1
}
