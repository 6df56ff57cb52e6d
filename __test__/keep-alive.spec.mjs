// A thread that only awaits another one lives until it is notified, and no longer.

import test from 'ava'
import LocalSharedMemory from '../index.js'
import { runChild } from './fixtures/child.mjs'
import { launch, within } from './fixtures/launch.mjs'

const LATEST = 60_000

test('a worker that only awaits a notification lives until it comes', async (t) => {
  const memory = new LocalSharedMemory(1, 2)
  const ptr = memory.calloc(8)
  const { worker, end } = launch('awaiting-worker.mjs', { memory, ptr })
  await within(LATEST, 'the wait', new Promise((resolve) => worker.once('message', resolve)))
  // Time enough for an event loop that has nothing to do to end.
  await new Promise((resolve) => setTimeout(resolve, 300))
  t.is(memory.notify(Int32Array, ptr / 4), 1)
  const { code, report, error } = await within(LATEST, 'the end', end)
  t.is(error, undefined)
  t.deepEqual([code, report], [0, 'ok'])
})

test('a process that only awaits a wait without an answer ends when that is timed out', async (t) => {
  const { code, stdout } = await runChild('awaiting-process.mjs', [])
  t.deepEqual([code, stdout.trim()], [0, 'timed-out then ok'])
})
