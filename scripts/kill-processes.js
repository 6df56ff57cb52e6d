// Kills processes that have one heap, and counts. Three of four are native ones, which src/tests/torture.rs starts: two thirds of
// these die at a chosen write to the heap's records, the others by a signal from outside. It also shows that the same breaks a
// heap without the undo log. The rest is Node.js with a worker each, in the heap and in the structures.

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { killProcesses, newPath } from '../__test__/fixtures/attached.mjs'
import { killInProcesses } from '../__test__/fixtures/process-kills.mjs'
import { randomFrom } from '../__test__/fixtures/random.mjs'
import { STRUCTURES } from '../__test__/fixtures/structure-kills.mjs'

const NATIVE_SHARE = 3 / 4
/** Processes on one file, when it is a structure that they have. */
const GROUP = 10

const run = promisify(execFile)

const killNative = async (processes) => {
  const env = { ...process.env, LSM_KILLS: String(processes) }
  const { stderr } = await run(
    'cargo',
    ['test', '--lib', 'tests::torture', '--', '--nocapture', '--test-threads', '1'],
    { env },
  )
  return stderr.split('\n').filter((line) => line.includes('killed'))
}

const killInAllStructures = async (processes, seed) => {
  const kinds = Object.values(STRUCTURES).flatMap(({ kill, operations }) =>
    operations.map((operation) => [kill, operation]),
  )
  let killed = 0
  for (let round = 0; killed < processes; round++) {
    const [kill, operation] = kinds[round % kinds.length]
    const how = { operation, workers: GROUP, atOnce: 1 + (round % 3), seed: seed + round }
    // oxlint-disable-next-line no-await-in-loop -- one file after the other
    killed += (await killInProcesses(kill, how)).killed
  }
  return { killed }
}

/**
 * @param {object} how
 * @param {number} how.processes
 * @param {number} how.sole how many more have the file to themselves, which the next one opens
 * @param {number} how.seed
 * @returns {Promise<object>} what was done
 */
export const killManyProcesses = async ({ processes, sole, seed }) => {
  const random = randomFrom(seed)
  const native = Math.ceil(processes * NATIVE_SHARE)
  const inHeap = Math.ceil((processes - native) / 2)
  const heap = (count, alone) => killProcesses({ path: newPath(), processes: count, random, alone })
  return {
    native: await killNative(native),
    'Node.js, heap': await heap(inHeap, false),
    'Node.js, structures': await killInAllStructures(processes - native - inHeap, seed),
    'Node.js, sole process': await heap(sole, true),
  }
}
