// Terminates workers, or kills processes, at random moments of every operation, for as many workers as it is told to, and counts. Ends with an
// error as soon as a heap is not whole, a block is lost, a value torn or a thread does not end.
//
//   node scripts/kill.js --workers 5000 --at-once 4 --seed 1
//   node scripts/kill.js --structures --workers 10000
//   node scripts/kill.js --processes 2000 --sole 100

import assert from 'node:assert/strict'
import { parseArgs } from 'node:util'
import LocalSharedMemory from '../index.js'
import { OPERATIONS, killWorkers } from '../__test__/fixtures/killing.mjs'
import { STRUCTURES } from '../__test__/fixtures/structure-kills.mjs'
import { killManyProcesses } from './kill-processes.js'

const PAGE = 65_536
/** Workers on one memory, at the most; then it has to be as it was, and the next one is made. */
const MOST_WORKERS = 40
const SHAPES = [
  { initial: 200, maximum: 200 },
  { initial: 200, maximum: 200, storage: 'engine' },
  { initial: 1, maximum: 600 },
  { initial: 1, maximum: 600, heapBase: PAGE },
  { initial: 2, maximum: 600, heapBase: 100_000 },
]
/** Maps are larger. */
const ROOM = 4000

const { values } = parseArgs({
  options: {
    workers: { type: 'string', default: '5000' },
    'at-once': { type: 'string', default: '4' },
    seed: { type: 'string', default: '1' },
    structures: { type: 'boolean', default: false },
    processes: { type: 'string' },
    sole: { type: 'string', default: '100' },
  },
})

const settings = (operation, round, workers) => ({
  operation,
  workers,
  atOnce: Number(values['at-once']),
  seed: Number(values.seed) * 1_000_003 + round,
})

/** A memory with a heap, and nothing in it. */
const newMemory = (descriptor) => {
  const memory = new LocalSharedMemory({ ...descriptor, shared: true })
  memory.free(memory.malloc(1))
  memory.trim()
  return memory
}

const killInHeap = async (operation, round, workers) => {
  const descriptor = SHAPES[round % SHAPES.length]
  const memory = newMemory(descriptor)
  const before = memory.stats()
  const totals = await killWorkers(memory, settings(operation, round, workers))
  if (descriptor.initial === descriptor.maximum) assert.deepEqual(memory.stats(), before)
  memory.free(memory.malloc(memory.stats().largestFreeBlock))
  return totals
}

const killInStructure = (kill, operation, round, workers) =>
  kill(
    newMemory({ ...SHAPES[round % SHAPES.length], initial: 10, maximum: ROOM }),
    settings(operation, round, workers),
  )

const inHeap = () =>
  OPERATIONS.map((operation) => [operation, (...at) => killInHeap(operation, ...at)])

const inStructures = () =>
  Object.entries(STRUCTURES).flatMap(([structure, { kill, operations }]) =>
    operations.map((operation) => [
      `${structure}: ${operation}`,
      (...at) => killInStructure(kill, operation, ...at),
    ]),
  )

const add = (row, totals) => {
  for (const [name, count] of Object.entries(totals)) row[name] = (row[name] ?? 0) + count
  row.memories = (row.memories ?? 0) + 1
}

const killManyWorkers = async () => {
  const kinds = values.structures ? inStructures() : inHeap()
  const table = Object.fromEntries(kinds.map(([title]) => [title, {}]))
  // Few workers are spread over all operations too.
  const workers = Math.min(MOST_WORKERS, Math.ceil(Number(values.workers) / kinds.length))
  let killed = 0
  for (let round = 0; killed < Number(values.workers); round++) {
    const [title, kill] = kinds[round % kinds.length]
    // oxlint-disable-next-line no-await-in-loop -- one memory after the other
    const totals = await kill(round, workers)
    add(table[title], totals)
    killed += totals.killed
  }
  console.table(table)
  return { killed }
}

const { processes, sole, seed } = values
const since = Date.now()
const totals =
  processes === undefined
    ? await killManyWorkers()
    : await killManyProcesses({
        processes: Number(processes),
        sole: Number(sole),
        seed: Number(seed),
      })
console.log({
  ...totals,
  seconds: Math.round((Date.now() - since) / 1000),
  'resident MiB': Math.round(process.memoryUsage.rss() / 2 ** 20),
})
