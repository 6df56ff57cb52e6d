// Several threads on one heap: blocks that stay with their thread, and blocks that the next thread
// frees. Rounds are interleaved over the contenders and over the number of threads alike.

import { contenders, refusal } from '../contenders/index.js'
import { logUniform, slots } from '../harness/random.js'
import { Team } from './team.js'

const THREADS = [1, 2, 4]
const LIVE = 1_000
const WORKLOAD = { needs: ['threads'], live: LIVE }
const NANOSECONDS_TO_MILLIONS = 1e3

const column = (threads) => (threads === 1 ? '1 thread' : `${threads} threads`)

function natively(contender, kernel, stream, most) {
  return THREADS.map((threads) => ({
    row: contender.name,
    column: column(threads),
    most,
    run: async (ops) => (await contender.runNatively(kernel, stream, ops, threads)) / threads,
    finish() {},
  }))
}

async function inWorkers(contender, kernel, stream, most) {
  const team = await Team.start(contender, stream, Math.max(...THREADS))
  return THREADS.map((threads) => ({
    row: contender.name,
    column: column(threads),
    most,
    run: async (ops) => (await team.run(kernel, ops, threads)) / threads,
    finish: () => team.close(),
  }))
}

function threadsCase(kernel, most) {
  return {
    title: 'threads',
    async enter() {
      const stream = {
        script: slots(most, LIVE),
        sizes: logUniform(most, 16, 1024),
        live: LIVE,
      }
      const able = contenders.filter((contender) => !refusal(contender, WORKLOAD))
      const entrants = able.map((contender) =>
        (contender.runNatively ? natively : inWorkers)(contender, kernel, stream, most),
      )
      return {
        entrants: (await Promise.all(entrants)).flat(),
        absent: contenders
          .filter((contender) => refusal(contender, WORKLOAD))
          .flatMap((contender) =>
            THREADS.map((threads) => ({
              row: contender.name,
              column: column(threads),
              why: refusal(contender, WORKLOAD),
            })),
          ),
      }
    },
  }
}

const group = (name, title, kernel) => ({
  name,
  title,
  unit: 'million pairs of malloc and free a second, all threads together',
  convert: (nanoseconds) => NANOSECONDS_TO_MILLIONS / nanoseconds,
  base: column(1),
  cases: ({ scale }) => [threadsCase(kernel, 500_000 * scale)],
})

export const groups = [
  group('threads private', '16 B … 1 KiB, 1,000 live in each thread, own blocks', 'replace'),
  group('threads exchange', '16 B … 1 KiB, every block freed by the next thread', 'exchange'),
]
