// What it costs to make a memory, and what its storage costs afterwards.

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { ours } from '../contenders/index.js'
import { fresh } from '../harness/kernels.js'
import { constant } from '../harness/random.js'
import { loop } from '../harness/loop.js'

const PAGES = 1000
const MEMORIES = 20
const TOUCHED = 64 * 2 ** 20
const HOST_PAGE = 4096

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc')

const descriptor = (storage, pages = PAGES) => ({
  initial: pages,
  maximum: pages,
  shared: true,
  ...(storage && { storage }),
})

function available(storage) {
  try {
    return new ours.Class(descriptor(storage)).storage === storage
  } catch {
    return false
  }
}

const storages = ours ? ['engine', 'native'].filter(available) : []

const makers = [
  { row: 'WebAssembly.Memory', make: () => new WebAssembly.Memory(descriptor()) },
  ...(ours ? [{ row: ours.name, make: () => new ours.Class(PAGES) }] : []),
  ...storages.map((storage) => ({
    row: `${ours.name}, ${storage}`,
    make: () => new ours.Class(descriptor(storage)),
  })),
]

function timeMaking(make) {
  collect()
  return (ops) => {
    const memories = []
    const start = process.hrtime.bigint()
    for (let i = 0; i < ops; i++) memories.push(make())
    const end = process.hrtime.bigint()
    memories.length = 0
    collect()
    return Number(end - start)
  }
}

const construct = {
  name: 'construct',
  title: `Construct a shared memory of ${PAGES.toLocaleString('en')} pages`,
  unit: 'µs',
  reference: 'WebAssembly.Memory',
  convert: (nanoseconds) => nanoseconds / 1e3,
  cases: () => [
    {
      title: 'construct',
      enter: () => ({
        entrants: makers.map(({ row, make }) => ({
          row,
          most: MEMORIES,
          run: timeMaking(make),
          finish() {},
        })),
        absent: [],
      }),
    },
  ],
}

function touch(storage) {
  return (ops) => {
    const bytes = new Uint8Array(new ours.Class(descriptor(storage, TOUCHED / 65_536)).buffer)
    const start = process.hrtime.bigint()
    for (let i = 0; i < ops; i++) bytes[i * HOST_PAGE] = 1
    const end = process.hrtime.bigint()
    collect()
    return Number(end - start)
  }
}

function pairs(storage) {
  const memory = new ours.Class(descriptor(storage))
  const kernel = fresh('pairs')
  const [pointers, stream] = [new Uint32Array(1), { sizes: constant(1, 64) }]
  return (ops) => {
    const [start, end] = kernel(memory, pointers, stream, ops)
    return Number(end - start)
  }
}

function access(storage, expression) {
  const memory = new ours.Class(descriptor(storage))
  const timed = loop(expression)
  const base = memory.malloc(4096)
  return (ops) => timed(memory, null, base, ops)
}

const storageCase = (title, most, step, timed) => ({
  title,
  enter: () => ({
    entrants: storages.map((storage) => ({
      row: storage,
      most,
      step,
      run: timed(storage),
      finish() {},
    })),
    absent: [],
  }),
})

const storage = {
  name: 'storage',
  title: 'Native storage against engine storage',
  unit: 'ns each',
  reference: 'engine',
  cases({ scale }) {
    if (storages.length < 2) return []
    const pages = TOUCHED / HOST_PAGE
    const many = 2_000_000 * scale
    return [
      storageCase('first touch of a 4 KiB page, over 64 MiB', pages, pages, touch),
      storageCase('malloc + free of 64 B', many, 1, pairs),
      storageCase('getInt32', many, 1, (each) => access(each, 'sum += target.getInt32(at)')),
      storageCase('setFloat64', many, 1, (each) => access(each, 'target.setFloat64(at, 7)')),
    ]
  },
}

export const groups = [construct, storage]
