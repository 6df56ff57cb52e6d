// Threads and processes that end in the middle of anything: the heap stays whole, no block is lost, nothing hangs.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import LocalSharedMemory from '../index.js'
import { runChild } from './fixtures/child.mjs'
import { OPERATIONS, killWorkers } from './fixtures/killing.mjs'
import { launch, reportsOf, within } from './fixtures/launch.mjs'
import { HAS_PLACES, placesOfMemories } from './fixtures/memory-places.mjs'
import { PAGE } from './fixtures/pages.mjs'
import { randomFrom } from './fixtures/random.mjs'

const WORKERS = 9

const SHAPES = {
  'a memory of fixed size': { initial: 200, maximum: 200 },
  'a memory that grows': { initial: 1, maximum: 600 },
  'a memory with heapBase': { initial: 1, maximum: 600, heapBase: PAGE },
}
const TITLES = Object.keys(SHAPES)

for (const [index, operation] of OPERATIONS.entries()) {
  const title = TITLES[index % TITLES.length]
  test.serial(`workers are killed in the middle of ${operation}, in ${title}`, async (t) => {
    const descriptor = { ...SHAPES[title], shared: true }
    const memory = new LocalSharedMemory(descriptor)
    const keep = memory.malloc(100)
    memory.trim()
    const before = memory.stats()
    const totals = await killWorkers(memory, {
      operation,
      workers: WORKERS,
      seed: index,
      kept: [keep],
    })
    t.log(totals)
    t.is(totals.killed, WORKERS)
    if (descriptor.initial === descriptor.maximum) t.deepEqual(memory.stats(), before)
    memory.free(keep)
    memory.free(memory.malloc(memory.stats().largestFreeBlock))
    t.is(memory.length, 0)
  })
}

/** Terminates a worker while it opens a heap. Returns where its memory lay. */
const killWhileOpening = async (descriptor, random) => {
  const before = placesOfMemories()
  const opened = new SharedArrayBuffer(4)
  const { worker, end } = launch('killed-opening-worker.mjs', { descriptor, opened })
  const least = 10 + random(200)
  // oxlint-disable-next-line no-await-in-loop -- until it is
  while (Atomics.load(new Int32Array(opened), 0) < least) await new Promise(setImmediate)
  const places = placesOfMemories().filter((place) => !before.includes(place))
  worker.terminate()
  const { error } = await within(30_000, 'the end', end)
  if (error !== undefined) throw error
  return places
}

test.serial(
  'a worker that is killed while it opens a heap leaves no claim on its address',
  async (t) => {
    const [enough, most, memories, heapBase] = [4, 20, 4, 40_000]
    const descriptor = { initial: 1, maximum: 2, shared: true, heapBase }
    const random = randomFrom(1)
    let reused = 0
    for (let killed = 0; killed < most && reused < enough; killed++) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const before = await killWhileOpening(descriptor, random)
      // The next worker maps the same things in the same order, so that a memory of it comes to lie where that one's lay.
      // oxlint-disable-next-line no-await-in-loop
      const [{ ptrs, places }] = await reportsOf(30_000, [
        launch('successor-worker.mjs', { memories }),
      ])
      t.is(ptrs.length, memories)
      t.true(ptrs.every((ptr) => ptr < heapBase))
      if (before.some((place) => places.includes(place))) reused += 1
    }
    if (HAS_PLACES) t.is(reused, enough)
  },
)

/** How a process ends, and with what. */
const ENDS = {
  'exit from main': { code: 7 },
  'exit from main in an exit handler that allocates': { code: 8 },
  'exit from a worker': { code: 0 },
  'an error in main': { code: 1, stderr: /the end of main/ },
  'an error in a worker': { code: 1, stderr: /the end of a worker/ },
  'an error in a worker that main handles': { code: 0 },
  'a rejection in main': { code: 1, stderr: /the end of main/ },
  'workers that are still starting': { code: 7 },
  'workers that are terminated': { code: 0 },
  'a signal': { code: null, signal: 'SIGTERM' },
  'nothing left to do': { code: 0 },
}

for (const [how, { code, signal = null, stderr = /^$/ }] of Object.entries(ENDS)) {
  test.serial(`a process in the middle of traffic ends by ${how}`, async (t) => {
    for (let run = 0; run < 2; run++) {
      // oxlint-disable-next-line no-await-in-loop -- one by one
      const child = await runChild('ending-process.mjs', [how, String(run)])
      t.deepEqual([child.code, child.signal], [code, signal], child.stderr)
      t.regex(child.stderr, stderr)
      t.notRegex(child.stderr, /panicked|FATAL/)
    }
  })
}

/** Fills what is freed, so that whoever uses it then does not get far. Of glibc. */
const FREED_IS_FILLED = { MALLOC_PERTURB_: '165', GLIBC_TUNABLES: 'glibc.malloc.tcache_count=0' }
const HAS_GLIBC = process.report.getReport().header.glibcVersionRuntime !== undefined

const onGlibc = HAS_GLIBC ? test.serial : test.serial.skip

onGlibc(
  'a thread that ends while its heaps are collected uses nothing that was freed',
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'collecting-'))
    t.teardown(() => rmSync(folder, { recursive: true }))
    const addon = join(folder, 'collecting.node')
    const source = fileURLToPath(new URL('fixtures/collecting.c', import.meta.url))
    execFileSync('cc', ['-shared', '-fPIC', '-o', addon, source])
    const options = { flags: ['--expose-gc'], env: FREED_IS_FILLED }
    const child = await runChild('collected-at-end.mjs', [addon], options)
    t.deepEqual([child.code, child.signal], [0, null], child.stderr)
    t.is(child.stdout, 'ended\n')
  },
)
