// Memories that nobody can reach are released, their native side too, by programs that never return to the event loop.

import test from 'ava'
import { runChild } from './fixtures/child.mjs'
import { DEBUG } from './fixtures/debug.mjs'

const onLinux = process.platform === 'linux' ? test : test.skip

/** More than the address space holds at once, where each memory takes 10 GiB of it. */
const MANY = 15_000
/** Where each of them would hold 100 KiB at least. */
const SEVERAL = 10_000
const MOST_MEBIBYTES = 600

const run = async (t, kind, count, ...flags) => {
  const { code, signal, stdout, stderr } = await runChild('unreachable.mjs', [kind, count], {
    flags: ['--expose-gc', ...flags],
  })
  t.deepEqual({ code, signal }, { code: 0, signal: null }, stderr)
  return JSON.parse(stdout)
}

for (const [kind, count] of [
  ['native', MANY],
  ['engine', MANY],
  ['received', MANY],
  ['unshared', SEVERAL],
  ['closed', MANY],
]) {
  test.serial(`a loop makes as many memories as it likes: ${kind}`, async (t) => {
    const { resident } = await run(t, kind, DEBUG ? count / 10 : count)
    t.true(resident < MOST_MEBIBYTES, `${resident} MiB`)
  })
}

onLinux('when there is no room for another memory, those that are gone make room', async (t) => {
  t.true((await run(t, 'full', 40)).works)
})

onLinux('those that are gone make room for what is known of another heap', async (t) => {
  t.true((await run(t, 'opened', 40, '--disable-wasm-trap-handler')).works)
})

test('what can be reached stays open', async (t) => {
  t.true((await run(t, 'kept', 3000)).works)
})
