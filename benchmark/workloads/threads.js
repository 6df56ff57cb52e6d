// Several threads on one heap: blocks that stay with their thread, blocks that the next thread frees, and blocks that
// one thread takes and another frees. Rounds are interleaved over the contenders and over the number of threads alike.

import { contenders, refusal } from '../contenders/index.js'
import { logUniform, slots } from '../harness/random.js'
import { Team } from './team.js'

const KIB = 1024
const LIVE = 1_000
const WORKLOAD = { needs: ['threads'], live: LIVE }
const NANOSECONDS_TO_MILLIONS = 1e3

const column = (threads) => (threads === 1 ? '1 thread' : `${threads} threads`)
/** So many threads, each of which takes and frees blocks. */
const TEAMS = [1, 2, 4].map((threads) => ({ column: column(threads), threads, takers: threads }))

function natively(contender, kernel, stream, most, teams) {
  return teams.map((team) => ({
    row: contender.name,
    column: team.column,
    most,
    run: async (ops) =>
      (await contender.runNatively(kernel, stream, ops, team.threads)) / team.takers,
    finish() {},
  }))
}

async function inWorkers(contender, kernel, stream, most, teams) {
  const workers = await Team.start(
    contender,
    stream,
    Math.max(...teams.map(({ threads }) => threads)),
  )
  return teams.map((team) => ({
    row: contender.name,
    column: team.column,
    most,
    run: async (ops) => (await workers.run(kernel, ops, team.threads)) / team.takers,
    finish: () => workers.close(),
  }))
}

function threadsCase(kernel, most, { teams, least, largest }) {
  return {
    title: 'threads',
    async enter() {
      const stream = {
        script: slots(most, LIVE),
        sizes: logUniform(most, least, largest),
        live: LIVE,
      }
      const able = contenders.filter((contender) => !refusal(contender, WORKLOAD))
      const entrants = able.map((contender) =>
        (contender.runNatively ? natively : inWorkers)(contender, kernel, stream, most, teams),
      )
      return {
        entrants: (await Promise.all(entrants)).flat(),
        absent: contenders
          .filter((contender) => refusal(contender, WORKLOAD))
          .flatMap((contender) =>
            teams.map((team) => ({
              row: contender.name,
              column: team.column,
              why: refusal(contender, WORKLOAD),
            })),
          ),
      }
    },
  }
}

const throughput = {
  unit: 'million pairs of malloc and free a second, all threads together',
  convert: (nanoseconds) => NANOSECONDS_TO_MILLIONS / nanoseconds,
}

const group = (name, title, kernel) => ({
  name,
  title,
  ...throughput,
  base: column(1),
  cases: ({ scale }) => [
    threadsCase(kernel, 500_000 * scale, { teams: TEAMS, least: 16, largest: KIB }),
  ],
})

const pipeline = {
  name: 'threads pipeline',
  title: 'One thread takes blocks, another frees them',
  ...throughput,
  cases: ({ scale }) =>
    [
      ['16 B … 1 KiB', 16, KIB, 500_000],
      ['1 KiB … 8 KiB', KIB, 8 * KIB, 500_000],
      ['8 KiB … 32 KiB', 8 * KIB, 32 * KIB, 200_000],
      ['40 KiB … 300 KiB', 40 * KIB, 300 * KIB, 100_000],
    ].map(([title, least, largest, ops]) =>
      threadsCase('pipeline', ops * scale, {
        teams: [{ column: title, threads: 2, takers: 1 }],
        least,
        largest,
      }),
    ),
}

export const groups = [
  group('threads private', '16 B … 1 KiB, 1,000 live in each thread, own blocks', 'replace'),
  group('threads exchange', '16 B … 1 KiB, every block freed by the next thread', 'exchange'),
  pipeline,
]
