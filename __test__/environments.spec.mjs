// Where the package can be loaded: other realms, flags of Node.js that take something away, processes that the first one
// starts. It works there, or says what is missing.

import { fork } from 'node:child_process'
import cluster from 'node:cluster'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import LocalSharedMemory from '../index.js'
import { runChild } from './fixtures/child.mjs'
import { within } from './fixtures/launch.mjs'

const FORKED = fileURLToPath(new URL('fixtures/forked.mjs', import.meta.url))
const NODE = process.versions.bun === undefined && process.versions.deno === undefined
const onNode = NODE ? test : test.skip

const report = async (t, fixture, flags) => {
  const { code, stdout, stderr } = await runChild(fixture, [], { flags })
  t.is(code, 0, stderr)
  return JSON.parse(stdout)
}

onNode(
  'one heap from the main environment, a vm context as Jest makes it, and a worker',
  async (t) => {
    t.deepEqual(await report(t, 'realms.mjs', ['--experimental-vm-modules']), {
      anotherRealm: true,
      faults: 0,
      live: 0,
      same: true,
      byteLength: 200_000,
      blocks: 1,
      disposed: ['locked', 'behind it'],
    })
  },
)

onNode(
  'on an engine that takes no buffers from outside, every call asks the native side',
  async (t) => {
    t.deepEqual(await report(t, 'no-lending.mjs', []), {
      value: 7,
      lengths: [100_000, 5000, 60_000],
      usedBytes: 0,
      cachedBytes: 0,
    })
  },
)

onNode(
  'on an engine that shows late what another thread has grown, nothing is refused',
  async (t) => {
    t.deepEqual(await report(t, 'lagging.mjs', ['--experimental-vm-modules']), {
      getUint8: 0,
      setFloat64: 1,
      store: 7,
      load: 0,
      set: 2,
      memset: 5,
      arrayView: 10,
      beyond: 'ERR_OUT_OF_RANGE',
      storeBeyond: 'ERR_OUT_OF_RANGE',
      setBeyond: 'ERR_OUT_OF_RANGE',
      sizeof: 300_000,
      lengthof: true,
      free: 1,
      allocs: 2,
      stats: 2,
      trim: true,
      heapMap: true,
      check: 0,
      setRoot: true,
      malloc: 200_000,
      realloc: 9,
      grow: 3_000_000,
    })
  },
)

for (const flags of [[], ['--frozen-intrinsics'], ['--disallow-code-generation-from-strings']]) {
  onNode(`the package works with ${flags[0] ?? 'no flags'}`, async (t) => {
    const { live, storage } = await report(t, 'import-report.mjs', flags)
    t.is(live, 0)
    t.is(storage, new LocalSharedMemory(1).storage)
  })
}

onNode('without addons, importing says so', async (t) => {
  t.deepEqual(await report(t, 'import-report.mjs', ['--no-addons']), {
    code: 'ERR_ADDON_UNAVAILABLE',
    caused: true,
  })
})

onNode('with an addon of another version, importing says so', async (t) => {
  const other = fileURLToPath(new URL('fixtures/other-addon.cjs', import.meta.url))
  t.deepEqual(await report(t, 'import-report.mjs', ['--require', other]), {
    code: 'ERR_ADDON_UNAVAILABLE',
    caused: true,
  })
})

onNode('without WebAssembly, importing says so', async (t) => {
  t.deepEqual(await report(t, 'import-report.mjs', ['--jitless']), {
    code: 'ERR_WEBASSEMBLY_NOT_SUPPORTED',
    caused: false,
  })
})

test('import and require give one class', (t) => {
  const Required = createRequire(import.meta.url)('../index.js')
  t.is(Required, LocalSharedMemory)
  const memory = new Required(1)
  t.is(LocalSharedMemory.from(memory), memory)
})

/** What a child process answers when it is given a memory, as far as the channel carries that. */
const answerOf = async (child, memory) => {
  const end = once(child, 'exit')
  await within(30_000, 'a child', once(child, 'message'))
  child.send({ memory })
  const answer = once(child, 'message')
  const [[message], [code]] = await within(30_000, 'a child', Promise.all([answer, end]))
  return { ...message, exit: code }
}

const OWN_HEAP = { code: 'ERR_INVALID_ARG_TYPE', before: 0, after: 1, root: null, exit: 0 }

test.serial(
  'a process that is forked has heaps of its own, and never a half of this one’s',
  async (t) => {
    const memory = LocalSharedMemory.shared('board', { initial: 1, maximum: 10 })
    memory.setRoot('greeting', memory.mallocString('hello'))
    const { blockCount } = memory.stats()
    t.deepEqual(await answerOf(fork(FORKED), memory), OWN_HEAP)
    const advanced = fork(FORKED, { serialization: 'advanced' })
    t.throws(() => advanced.send({ memory }))
    t.deepEqual(await answerOf(advanced, { bytes: 'none' }), OWN_HEAP)
    t.is(memory.stats().blockCount, blockCount)
  },
)

onNode.serial('so has a process of a cluster', async (t) => {
  cluster.setupPrimary({ exec: FORKED, execArgv: [] })
  const memory = LocalSharedMemory.shared('board', { initial: 1, maximum: 10 })
  const { blockCount } = memory.stats()
  const workers = [cluster.fork(), cluster.fork()]
  const answers = workers.map((worker) => answerOf(worker, memory))
  t.deepEqual(await Promise.all(answers), [OWN_HEAP, OWN_HEAP])
  t.is(memory.stats().blockCount, blockCount)
})
