// Terminates workers at random moments of every operation, for as many workers as it is told to, and counts. Ends with an
// error as soon as a heap is not whole, a block is lost or a thread does not end.
//
//   node scripts/kill.js --workers 5000 --at-once 4 --seed 1

import assert from 'node:assert/strict'
import { parseArgs } from 'node:util'
import LocalSharedMemory from '../index.js'
import { OPERATIONS, killWorkers } from '../__test__/fixtures/killing.mjs'

const PAGE = 65_536
/** Workers on one memory; then it has to be as it was, and the next one is made. */
const WORKERS = 40
const SHAPES = [
  { initial: 200, maximum: 200 },
  { initial: 200, maximum: 200, storage: 'engine' },
  { initial: 1, maximum: 600 },
  { initial: 1, maximum: 600, heapBase: PAGE },
  { initial: 2, maximum: 600, heapBase: 100_000 },
]

const { values } = parseArgs({
  options: {
    workers: { type: 'string', default: '5000' },
    'at-once': { type: 'string', default: '4' },
    seed: { type: 'string', default: '1' },
  },
})

const table = Object.fromEntries(
  OPERATIONS.map((operation) => [
    operation,
    { killed: 0, operations: 0, noted: 0, 'in hand': 0, memories: 0 },
  ]),
)

const killSome = async (operation, round) => {
  const descriptor = SHAPES[round % SHAPES.length]
  const memory = new LocalSharedMemory({ ...descriptor, shared: true })
  memory.free(memory.malloc(1))
  memory.trim()
  const before = memory.stats()
  const { killed, operations, noted, inHand } = await killWorkers(memory, {
    operation,
    workers: WORKERS,
    atOnce: Number(values['at-once']),
    seed: Number(values.seed) * 1_000_003 + round,
  })
  if (descriptor.initial === descriptor.maximum) assert.deepEqual(memory.stats(), before)
  memory.free(memory.malloc(memory.stats().largestFreeBlock))
  const row = table[operation]
  row.killed += killed
  row.operations += operations
  row.noted += noted
  row['in hand'] += inHand
  row.memories++
  return killed
}

const since = Date.now()
let killed = 0
for (let round = 0; killed < Number(values.workers); round++) {
  // oxlint-disable-next-line no-await-in-loop -- one memory after the other
  killed += await killSome(OPERATIONS[round % OPERATIONS.length], round)
}
console.table(table)
console.log({
  killed,
  seconds: Math.round((Date.now() - since) / 1000),
  'resident MiB': Math.round(process.memoryUsage.rss() / 2 ** 20),
})
