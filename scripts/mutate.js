// Puts small faults into index.js, lib/ and structures/, one at a time, and runs the tests that should notice: `npm run mutate`, or
// `npm run mutate -- --count 200 --seed 2 --only lib/heap/heap.js`. Survivors are printed. Those that no test can notice are listed in
// mutants-equivalent.json with the reason. It works in a copy; nothing in the checkout changes.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { randomFrom } from '../__test__/fixtures/random.mjs'
import { mutantsOf } from './mutants.js'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const LEFT_OUT = new Set(['.git', 'node_modules', 'target', 'benchmark'])
const LATEST_MS = 120_000

/** The tests that should notice a fault in a file, or in those of a folder, the quickest first. */
const TESTS = {
  'index.js': ['memory', 'heap', 'hostile', 'alloc', 'errors'],
  'lib/memory/accessors.js': ['accessors', 'environments', 'errors'],
  'lib/opening/address.js': ['address'],
  'lib/base/align.js': ['alloc', 'errors'],
  'lib/opening/adopting.js': ['hostile'],
  'lib/memory/arrays.js': ['arrays', 'environments', 'hostile', 'errors'],
  'lib/memory/atomics.js': ['atomics', 'environments', 'growth'],
  'lib/opening/attach.js': ['attach'],
  'lib/native/binding.js': ['environments'],
  'lib/memory/blocks.js': ['heap', 'roots', 'errors'],
  'lib/pages/bulk.js': ['bulk'],
  'lib/memory/bytes.js': ['arrays', 'bulk', 'hostile', 'errors'],
  'lib/native/debug-heap.js': ['debug', 'check', 'structures'],
  'lib/memory/disposable.js': ['alloc', 'hostile'],
  'lib/memory/elements.js': ['arrays', 'environments', 'hostile', 'errors'],
  'lib/base/engine.js': ['hostile', 'environments', 'growth'],
  'lib/base/errors.js': [
    'roots',
    'shared',
    'structures',
    'mutex',
    'channel',
    'storage',
    'copies',
    'environments',
    'attach',
    'errors',
  ],
  'lib/native/faults.js': ['figures', 'copies', 'debug', 'errors'],
  'lib/heap/growth.js': ['growth', 'heap-base', 'realloc'],
  'lib/heap-map/heap-map.js': ['heap-map'],
  'lib/heap-map/svg.js': ['heap-map'],
  'lib/heap-map/text.js': ['heap-map'],
  'lib/heap-map/uses.js': ['heap-map'],
  'lib/heap/heap.js': ['heap', 'realloc', 'debug', 'roots', 'growth', 'environments', 'cache'],
  'lib/memory/imports.js': ['imports'],
  'lib/memory/inspect.js': ['inspect'],
  'lib/base/keep-alive.js': ['keep-alive'],
  'lib/cache/large-cache.js': ['rows', 'cache'],
  'lib/base/names.js': ['roots', 'shared'],
  'lib/native/native.js': ['memory', 'heap', 'attach'],
  'lib/base/new-block.js': ['hostile', 'imports'],
  'lib/base/once.js': ['alloc', 'hostile', 'structures'],
  'lib/opening/opening.js': ['memory', 'heap-base', 'hostile', 'storage', 'debug'],
  'lib/pages/pages.js': ['accessors', 'memory', 'growth', 'arrays', 'environments', 'unreachable'],
  'lib/memory/placing.js': ['structures'],
  'lib/heap/realloc.js': ['realloc', 'heap', 'growth', 'hostile', 'debug'],
  'lib/heap/session.js': ['heap', 'figures', 'growth', 'heap-base', 'environments', 'cache'],
  'lib/opening/shared.js': ['shared'],
  'lib/cache/rows.js': ['rows', 'cache'],
  'lib/pages/storage.js': ['storage'],
  'lib/memory/strings.js': ['strings', 'hostile'],
  'lib/cache/thread-cache.js': ['rows', 'heap', 'failure', 'cache'],
  'lib/pages/unshared.js': ['memory'],
  'structures/codec.js': ['channel', 'shared-map'],
  'structures/line.js': ['line', 'mutex', 'channel'],
  'structures/liveness.js': ['structures'],
  'structures/lock.js': ['mutex', 'structures', 'cut-short'],
  'structures/memories.js': ['structures', 'struct'],
  'structures/mutex.js': ['mutex'],
  'structures/room.js': ['structures'],
  'structures/structure.js': ['structures', 'struct', 'cut-short'],
  'structures/waiting.js': ['mutex', 'channel'],
  'structures/channel': ['channel'],
  'structures/shared-map': [
    'shared-map',
    'shared-map-limits',
    'shared-map-threads',
    'shared-map-crash',
  ],
  'structures/struct': ['struct'],
}

const testsOf = (file) => TESTS[file] ?? TESTS[dirname(file)]

const FILES = ['index.js', 'lib', 'structures'].flatMap((path) =>
  path === 'index.js'
    ? path
    : readdirSync(join(ROOT, path), { recursive: true })
        .filter((name) => name.endsWith('.js'))
        .map((name) => `${path}/${name}`),
)

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '100' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string', multiple: true, default: FILES },
    list: { type: 'boolean', default: false },
  },
})

const equivalents = JSON.parse(
  readFileSync(new URL('mutants-equivalent.json', import.meta.url), 'utf8'),
)
const isSame = (mutant) => (other) =>
  ['file', 'before', 'after'].every((name) => mutant[name] === other[name])

const allMutants = values.only.flatMap((file) =>
  mutantsOf(file, readFileSync(join(ROOT, file), 'utf8')),
)

// Of a mutant without tests a run says that it survives, and of a listed one that has changed too.
const checkLists = () => {
  const untested = allMutants.find(({ file }) => testsOf(file) === undefined)
  if (untested !== undefined) throw new Error(`${untested.file} has no tests in TESTS`)
  const gone = equivalents.find(
    (each) => values.only.includes(each.file) && !allMutants.some(isSame(each)),
  )
  if (gone !== undefined) throw new Error(`no such mutant any more: ${JSON.stringify(gone)}`)
}

const chosen = () => {
  const all = allMutants.filter((mutant) => !equivalents.some(isSame(mutant)))
  const random = randomFrom(Number(values.seed))
  const ranked = all.map((mutant) => ({ mutant, rank: random(2 ** 31) }))
  ranked.sort((a, b) => a.rank - b.rank)
  return ranked.slice(0, Number(values.count)).map(({ mutant }) => mutant)
}

const copyOfCheckout = () => {
  const copy = mkdtempSync(join(tmpdir(), 'mutate-'))
  const filter = (path) => !LEFT_OUT.has(relative(ROOT, path))
  cpSync(ROOT, copy, { recursive: true, filter })
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'), 'junction')
  return copy
}

/** Ends a process and all that it has started. */
const endAll = ({ pid }) => {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // It has ended, and so have they.
  }
}

/** Whether a test fails, or does not come to its end. */
const isNoticed = async (copy, spec) => {
  const ava = join(ROOT, 'node_modules/ava/entrypoints/cli.mjs')
  const options = { cwd: copy, stdio: 'ignore', detached: true }
  const child = spawn(process.execPath, [ava, '--fail-fast', spec], options)
  const timer = setTimeout(endAll, LATEST_MS, child)
  const [code] = await once(child, 'exit')
  clearTimeout(timer)
  endAll(child)
  return code !== 0
}

const isNoticedByAny = async (copy, [name, ...others]) => {
  if (name === undefined) return false
  return (await isNoticed(copy, `__test__/${name}.spec.mjs`)) || isNoticedByAny(copy, others)
}

const isKilled = async (copy, { file, text }) => {
  const path = join(copy, file)
  const original = readFileSync(path)
  writeFileSync(path, text)
  try {
    return await isNoticedByAny(copy, testsOf(file))
  } finally {
    writeFileSync(path, original)
  }
}

const shown = ({ file, line, before, after }) => `${file}:${line}\n  - ${before}\n  + ${after}`

checkLists()
const mutants = chosen()
if (values.list) for (const mutant of mutants) console.log(shown(mutant))
else {
  const copy = copyOfCheckout()
  let killed = 0
  try {
    for (const [index, mutant] of mutants.entries()) {
      // oxlint-disable-next-line no-await-in-loop -- one fault at a time
      if (await isKilled(copy, mutant)) killed++
      else console.log(`survives: ${shown(mutant)}`)
      if (index % 10 === 9) console.log(`${killed} of ${index + 1} killed`)
    }
  } finally {
    rmSync(copy, { recursive: true, force: true })
  }
  console.log(`${killed} of ${mutants.length} killed`)
}
