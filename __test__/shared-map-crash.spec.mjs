// A thread ends before each single store that an operation of a SharedMap makes, one after the other. Each time every key has
// its old or its new value, the books are right after the next operation, and no byte is lost. The same when its process is killed
// in any of the native calls that it makes.

import test from 'ava'
import LocalSharedMemory from '../index.js'
import { prepare } from '../structures/codec.js'
import { SharedMap } from '../structures/index.js'
import { SELF } from '../structures/liveness.js'
import { wordsOf } from '../structures/structure.js'
import { unpack } from '../structures/shared-map/entries.js'
import {
  BYTES_USED,
  COUNT,
  EXPIRING,
  FRESH,
  HASH_KEY,
  LOCK,
  MOVING,
  STALE,
  UPDATING,
  DIRTY,
  EXPIRES,
  VERSION,
} from '../structures/shared-map/layout.js'
import { Table } from '../structures/shared-map/table.js'
import { newPath } from './fixtures/attached.mjs'
import { CrashingTable, endsBefore, endsWithin } from './fixtures/crashing-table.mjs'
import { cutShort } from './fixtures/cut-short.mjs'

/** A token that no thread has. */
const DEAD = 2 ** 31 - 2
const TOKEN = 2 ** 31 - 1
/** Pages of a memory in a file. */
const PAGES = 40
/** One shard, and no eviction before it is full. */
const MOST = 63
const HOUR = 3_600_000

const text = (length, letter = 'x') => letter.repeat(length)

const put = (table, key, value, ttl) => {
  prepare(value)
  table.set(key, ttl)
}

const insert = (table, key, value) => {
  prepare(value)
  return table.insert(key)
}

const own = new LocalSharedMemory(10, 2000)

const newTables = (options, memory = own) => {
  const before = memory.stats().usedBytes
  const map = SharedMap.create(memory, options)
  // The same hashes in every map, so that all of them are built alike.
  memory.arrayView(Int32Array, map.ptr + 4 * HASH_KEY, 2).fill(7)
  const open = (Kind) => new Kind(memory, map.ptr, wordsOf(map))
  return { map, before, open }
}

const contentsOf = (table) => {
  const contents = new Map()
  for (const shard of table.shards) {
    table.lock(shard)
    table.eachEntry(shard, (entry) => {
      if (!table.isExpired(entry))
        contents.set(table.readKey(entry), unpack(table.readLocked(shard, entry)))
    })
    table.unlock(shard)
  }
  return contents
}

/** A thread that has ended leaves its locks with its token, which nobody has after it. */
const bury = ({ words, shards }) => {
  for (const shard of shards) if ((words[shard + LOCK] & TOKEN) === SELF) words[shard + LOCK] = DEAD
}

const checkBooks = (t, table) => {
  const { words, floats } = table
  for (const shard of table.shards) {
    const sums = { count: 0, bytes: 0, expiring: 0 }
    table.eachEntry(shard, (entry) => {
      sums.count++
      sums.bytes += table.lengthOf(entry)
      if (table.expiryOf(entry) !== 0) sums.expiring++
    })
    t.deepEqual(sums, {
      count: words[shard + COUNT],
      bytes: floats[(shard + BYTES_USED) >>> 1],
      expiring: words[shard + EXPIRING],
    })
    for (const word of [DIRTY, FRESH, STALE, MOVING, LOCK, UPDATING]) t.is(words[shard + word], 0)
    t.is(words[shard + VERSION] & 1, 0)
  }
}

/** Or the thread lives on, and goes on itself, where the operation was cut short. */
const goOn = () => {}

/** Whether what is there now comes from `before` by changing `key`, and taking out what may go. */
const isBetween = (now, before, after, mayGo) => {
  const keys = new Set([...before.keys(), ...after.keys(), ...now.keys()])
  return [...keys].every((key) => {
    const value = now.get(key)
    return (
      value === before.get(key) || value === after.get(key) || (value === undefined && mayGo(key))
    )
  })
}

/**
 * Runs an operation as often as it has moments at which its thread may end.
 *
 * @param {object} scenario
 * @param {object} [scenario.options] of the map
 * @param {(table: Table) => void} scenario.prepare what is done before
 * @param {(table: Table) => void} scenario.act the operation
 * @param {(key: unknown) => boolean} [scenario.mayGo] keys that it may take out on the side
 * @param {(tables: object, number: number) => void} [scenario.between] what happens before others come
 * @param {LocalSharedMemory} [scenario.memory]
 * @param {Function} [scenario.ends] at which moments, as endsBefore
 * @returns {number} how many moments there were
 */
const crashEverywhere = (
  t,
  {
    options = { maxEntries: MOST },
    prepare: begin,
    act,
    mayGo = () => false,
    between,
    memory = own,
    ends = endsBefore,
    end = bury,
  },
) => {
  for (let number = 0; ; number++) {
    const tables = newTables(options, memory)
    begin(tables.open(Table))
    const before = contentsOf(tables.open(Table))
    const hasEnded = ends(number, () => act(tables.open(CrashingTable)))
    const table = tables.open(Table)
    end(table)
    between?.(tables, number)
    const now = contentsOf(table)
    const after = hasEnded ? contentsAfter(options, begin, act) : now
    t.true(isBetween(now, before, after, mayGo), `at moment ${number}`)
    checkBooks(t, table)
    for (const key of now.keys()) t.deepEqual(unpack(table.get(key)), now.get(key))
    put(table, 'one more', text(200))
    t.is(table.get('one more'), text(200))
    checkBooks(t, table)
    tables.map.destroy()
    t.is(memory.stats().usedBytes, tables.before, `at moment ${number}`)
    if (!hasEnded) return number
  }
}

const contentsAfter = (options, begin, act) => {
  const { map, open } = newTables(options)
  const table = open(Table)
  begin(table)
  act(table)
  const contents = contentsOf(table)
  map.destroy()
  return contents
}

const fill =
  (count, length = 20) =>
  (table) => {
    for (let key = 0; key < count; key++) put(table, `key ${key}`, text(length))
  }

const all =
  (...steps) =>
  (table) => {
    for (const step of steps) step(table)
  }

const SCENARIOS = {
  'set in an empty map': { prepare() {}, act: (table) => put(table, 'key', 'value') },
  'set of a new key': { prepare: fill(5), act: (table) => put(table, 'new', 'value') },
  'set of a new key, with a spare block': {
    prepare: all(fill(5), (table) => table.delete('key 1')),
    act: (table) => put(table, 'key n', text(20, 'n')),
  },
  'set with a value of the same length': {
    prepare: fill(5),
    act: (table) => put(table, 'key 1', text(20, 'n')),
  },
  'set with a longer value': {
    prepare: fill(5),
    act: (table) => put(table, 'key 1', text(500, 'n')),
  },
  'set in place of a value that is not kept as a spare': {
    prepare: fill(5, 3000),
    act: (table) => put(table, 'key 1', 'short'),
  },
  'set of a number': {
    prepare: all(fill(5), (table) => put(table, 'number', 1)),
    act: (table) => put(table, 'number', 2),
  },
  'set with a time to live': {
    prepare: all(fill(5), (table) => put(table, 'timed', 1, HOUR)),
    act: (table) => put(table, 'timed', 2, 2 * HOUR),
  },
  delete: { prepare: fill(20), act: (table) => table.delete('key 7') },
  'delete, with a spare block': {
    prepare: all(fill(20), (table) => table.delete('key 7')),
    act: (table) => table.delete('key 8'),
  },
  increment: {
    prepare: all(fill(5), (table) => table.increment('count', 1)),
    act: (table) => table.increment('count', 1),
  },
  'increment of a new key': { prepare: fill(5), act: (table) => table.increment('count', 1) },
  update: { prepare: fill(20), act: (table) => table.update('key 3', (old) => `${old}er`) },
  'update that takes out': {
    prepare: fill(20),
    act: (table) => table.update('key 3', () => undefined),
  },
  insert: { prepare: fill(5), act: (table) => insert(table, 'new', 'value') },
  clear: { prepare: fill(20), act: (table) => table.clear(), mayGo: () => true },
  eviction: {
    options: { maxEntries: 12 },
    prepare: fill(12),
    act: (table) => put(table, 'new', text(700)),
    mayGo: (key) => key !== 'new',
  },
  'eviction of bytes': {
    options: { maxBytes: 4000 },
    prepare: fill(30),
    act: (table) => put(table, 'new', text(700)),
    mayGo: (key) => key !== 'new',
  },
  'freeing everything': { prepare: fill(20), act: (table) => table.freeAll(), mayGo: () => true },
}

/** A key whose entries are in a shard, of a map that has several. */
const keyIn = (table, index) => {
  for (let key = 0; ; key++) {
    if (table.shardFor(table.key.take(key)) === table.shards[index]) return key
  }
}

SCENARIOS['eviction from another shard'] = {
  options: { maxBytes: 2 * 65_536 },
  prepare(table) {
    put(table, keyIn(table, 1), text(60_000))
    put(table, keyIn(table, 1) + 0.5, text(30_000))
  },
  act: (table) => put(table, keyIn(table, 0), text(90_000)),
  mayGo: (key) => typeof key === 'number',
}

// A bucket is added by each of these, and a segment of buckets by some.
for (const count of [16, 17, 18, 25, 31, 32, 33, 48]) {
  SCENARIOS[`set that adds a bucket to ${count}`] = {
    prepare: fill(count),
    act: (table) => put(table, 'new', 'value'),
  }
}

for (const [name, scenario] of Object.entries(SCENARIOS)) {
  test(`a thread may end before any store: ${name}`, (t) => {
    t.true(crashEverywhere(t, scenario) > 1)
  })
}

for (const [name, scenario] of Object.entries(SCENARIOS)) {
  // Within update nobody can tell a function that was cut short from one that runs.
  if (name.startsWith('update')) continue
  test(`an operation may be cut short before any store, and the thread goes on: ${name}`, (t) => {
    t.true(crashEverywhere(t, { ...scenario, end: goOn }) > 1)
  })
}

/** What takes its block from the spares, if it needs one, and leaves one there. */
const WITHOUT_CALLS = new Set([
  'set of a new key, with a spare block',
  'set of a number',
  'delete',
  'increment',
  'update that takes out',
])

if (process.platform === 'linux') {
  for (const [name, scenario] of Object.entries(SCENARIOS)) {
    test(`a process may be killed in any native call: ${name}`, (t) => {
      const path = newPath()
      const memory = LocalSharedMemory.attach(path, { initial: PAGES, maximum: PAGES })
      const cut = (call) => cutShort(path, PAGES, call)
      const ends = (number, act) => endsWithin(memory, cut, number, act)
      const calls = crashEverywhere(t, { ...scenario, memory, ends })
      t.is(calls === 0, WITHOUT_CALLS.has(name))
      t.deepEqual(memory.check(), [])
      memory.close()
    })
  }
}

test('a thread may end before any store: sweeping up what has expired', (t) => {
  const { now } = Date
  const scenario = {
    prepare(table) {
      Date.now = now
      for (let key = 0; key < 30; key++) put(table, `old ${key}`, text(20), 5)
      Date.now = () => now.call(Date) + HOUR
    },
    act: (table) => put(table, 'new', 'value'),
    mayGo: (key) => key !== 'new',
  }
  try {
    t.true(crashEverywhere(t, scenario) > 10)
  } finally {
    Date.now = now
  }
})

for (const name of [
  'set that adds a bucket to 17',
  'set with a longer value',
  'delete, with a spare block',
  'eviction',
]) {
  test(`the thread that repairs may end before any store, too: ${name}`, (t) => {
    const scenario = SCENARIOS[name]
    let repairs = 0
    for (let later = 0, isRepaired = false; !isRepaired; later++) {
      isRepaired = true
      const between = (tables) => {
        const ended = endsBefore(later, () => contentsOf(tables.open(CrashingTable)))
        if (ended) {
          isRepaired = false
          repairs++
        }
        bury(tables.open(Table))
      }
      crashEverywhere(t, { ...scenario, between })
    }
    t.true(repairs > 20)
  })
}

test('what a thread had the memory grown for is seen by one that did not know of it', (t) => {
  for (let number = 0, hasEnded = true; hasEnded; number++) {
    const small = new LocalSharedMemory(2, 40)
    const map = SharedMap.create(small, { maxEntries: MOST })
    const open = (Kind) => new Kind(small, map.ptr, wordsOf(map))
    const early = open(Table)
    fill(17)(early)
    const filler = small.malloc(small.stats().largestFreeBlock - 64)
    const { byteLimit } = early
    hasEnded = endsBefore(number, () => {
      const late = open(CrashingTable)
      for (let key = 17; key < 33; key++) put(late, `key ${key}`, text(500))
      put(late, 'large', text(100_000))
    })
    bury(open(Table))
    put(early, 'one more', text(200))
    t.is(early.get('one more'), text(200))
    t.true(early.byteLimit >= byteLimit)
    for (let key = 0; key < 17; key++) t.is(early.get(`key ${key}`), text(20))
    if (!hasEnded) t.is(early.get('large'), text(100_000))
    checkBooks(t, early)
    small.free(filler)
    map.destroy()
    t.is(small.length, 0)
  }
})

/** A map in which something happens between finding an entry and reading it. */
class InterruptedTable extends Table {
  interrupt = () => {}

  find(shard, version) {
    const entry = super.find(shard, version)
    const { interrupt } = this
    this.interrupt = () => {}
    interrupt()
    return entry
  }
}

test('a block that is used again while it is read is not believed', (t) => {
  for (const length of [20, 5000]) {
    const { map, open } = newTables({ maxEntries: MOST })
    const [reader, writer] = [open(InterruptedTable), open(Table)]
    const replace = () => {
      writer.delete('key a')
      put(writer, 'key b', text(length, 'b'))
    }
    put(writer, 'key a', text(length, 'a'))
    reader.interrupt = replace
    t.is(reader.get('key a'), undefined)
    t.is(reader.get('key b'), text(length, 'b'))
    reader.interrupt = () => put(writer, 'key b', text(length, 'c'))
    t.is(reader.get('key b'), text(length, 'c'))
    reader.interrupt = () => writer.delete('key b')
    t.false(reader.has('key b'))
    map.destroy()
  }
})

test('what others read while a store is yet to come is old or new', (t) => {
  for (const {
    options = { maxEntries: MOST },
    prepare: begin,
    act,
    mayGo = () => false,
  } of Object.values(SCENARIOS)) {
    for (let number = 0, hasEnded = true; hasEnded; number++) {
      const tables = newTables(options)
      begin(tables.open(Table))
      const reader = tables.open(Table)
      const before = contentsOf(reader)
      hasEnded = endsBefore(number, () => act(tables.open(CrashingTable)))
      const isMoving = reader.shards.some((shard) => (reader.words[shard + VERSION] & 1) !== 0)
      if (hasEnded && !isMoving) {
        const after = contentsAfter(options, begin, act)
        const now = new Map(
          [...before.keys(), ...after.keys()].map((key) => [key, unpack(reader.get(key))]),
        )
        t.true(isBetween(now, before, after, mayGo))
      }
      bury(reader)
      tables.map.destroy()
    }
  }
})

/** Fills a memory's first page with blocks of a size; the next one lies beyond. */
const fillPage = (small, byteLength) => {
  let ptr = 0
  while (ptr < 65_536) ptr = small.malloc(byteLength)
  small.free(ptr)
}

test('buckets of a thread that ended are found by one that has not seen the memory grow', (t) => {
  const [segmentBytes, entryBytes] = [64, 40]
  for (let [number, ended] = [0, true]; ended; number++) {
    const small = new LocalSharedMemory(1, 100)
    const map = SharedMap.create(small, { maxEntries: MOST })
    const open = (Kind) => new Kind(small, map.ptr, wordsOf(map))
    const other = open(Table)
    const near = small.malloc(entryBytes)
    fillPage(small, entryBytes)
    fillPage(small, segmentBytes)
    ended = endsBefore(number, () => put(open(CrashingTable), 1, 1))
    const table = open(Table)
    bury(table)
    contentsOf(table)
    t.true(other.byteLimit === 65_536 && table.byteLimit > 65_536)
    small.free(near)
    put(other, 2, 2)
    t.is(unpack(table.get(2)), 2, `before store ${number}`)
    checkBooks(t, table)
  }
})

test('what a dead owner left is put in order by who only reads', (t) => {
  const { map, open } = newTables({ maxEntries: MOST })
  const table = open(Table)
  const { words, floats } = table
  const [shard] = table.shards
  put(table, 'key', 1)
  put(table, 'late', 1, HOUR)
  floats[(table.findLocked(shard) + EXPIRES) >>> 1] = 1
  const reads = {
    'get, which marks the entry': [() => table.get('key'), 1],
    'has of a key': [() => table.has('key'), true],
    'has of none': [() => table.has('none'), false],
    'has of one that has expired': [() => table.has('late'), false],
  }
  for (const [name, [read, expected]] of Object.entries(reads)) {
    const isMoving = name.startsWith('has')
    words[shard + LOCK] = DEAD
    words[shard + UPDATING] = 1
    if (isMoving) {
      words[shard + DIRTY] = 1
      words[shard + VERSION] |= 1
    }
    t.is(read(), expected, name)
    checkBooks(t, table)
  }
  map.destroy()
})
