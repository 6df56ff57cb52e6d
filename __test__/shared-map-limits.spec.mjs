// SharedMap with an end: of time, of entries, of bytes, of the memory.

import test from 'ava'
import LocalSharedMemory from '../index.js'
import { SharedMap } from '../structures/index.js'
import { SELF } from '../structures/liveness.js'
import { FIRST_STRIPE, STRIPE_OWNER } from '../structures/shared-map/layout.js'
import { wordsOf } from '../structures/structure.js'
import { randomFrom } from './fixtures/random.mjs'

/** A token that no thread has. */
const DEAD = 2 ** 31 - 2

const newMemory = (initial = 40, maximum = 2000) => {
  const memory = new LocalSharedMemory(initial, maximum)
  memory.free(memory.malloc(1))
  return memory
}

const codeOf = (act) => {
  try {
    act()
    return 'nothing thrown'
  } catch (error) {
    return error.code
  }
}

/** Runs a function at times of its own: `wait` lets so many ms pass. Nothing else may run meanwhile. */
const withClock = (act) => {
  const { now } = Date
  let time = now.call(Date)
  Date.now = () => time
  try {
    act((milliseconds) => (time += milliseconds))
  } finally {
    Date.now = now
  }
}

test('an entry expires after the time of the map, or of its own', (t) => {
  withClock((wait) => {
    const map = SharedMap.create(newMemory(), { ttl: 100 })
    map
      .set('usual', 1)
      .set('short', 2, { ttl: 10 })
      .set('never', 3, { ttl: Infinity })
      .set('as usual', 4, {})
    wait(9.5)
    t.deepEqual([map.get('usual'), map.get('short'), map.get('never')], [1, 2, 3])
    wait(0.5)
    t.deepEqual([map.get('usual'), map.get('short'), map.get('never')], [1, undefined, 3])
    t.false(map.has('short'))
    t.false(map.delete('short'))
    t.deepEqual([...map.keys()].toSorted(), ['as usual', 'never', 'usual'])
    wait(90)
    t.deepEqual([...map], [['never', 3]])
    t.is(map.getOrInsert('usual', 5), 5)
    t.is(map.increment('as usual'), 1)
    t.is(
      map.update('short', (old) => (old === undefined ? 6 : 7)),
      6,
    )
    wait(100)
    t.deepEqual([...map], [['never', 3]])
  })
})

test('increment and update keep the time of an entry, set begins it anew', (t) => {
  withClock((wait) => {
    const map = SharedMap.create(newMemory(), { ttl: 100 })
    map.increment('counted')
    map.set('updated', 'a')
    map.set('set', 'a')
    map.set('number', 1)
    wait(60)
    t.is(map.increment('counted'), 2)
    t.is(map.update('updated', (old) => `${old}b`.repeat(100)).length, 200)
    map.set('set', 'b')
    map.set('number', 2)
    wait(60)
    t.deepEqual([...map].toSorted(), [
      ['number', 2],
      ['set', 'b'],
    ])
    t.is(map.increment('counted'), 1)
  })
})

test('what has expired is found and freed while others are added', (t) => {
  withClock((wait) => {
    const memory = newMemory()
    const map = SharedMap.create(memory)
    const count = 3000
    for (let key = 0; key < count; key++) map.set(`old ${key}`, 'x'.repeat(60), { ttl: 5 })
    wait(5)
    t.is(map.size, count)
    for (let key = 0; key < 3 * count; key++) map.set(key, key)
    t.is(map.size, 3 * count)
    t.is(map.stats().expiries, count)
  })
})

test('a time that is none is refused', (t) => {
  const memory = newMemory()
  const map = SharedMap.create(memory)
  for (const ttl of [0, -1, NaN]) {
    t.is(
      codeOf(() => map.set('key', 1, { ttl })),
      'ERR_OUT_OF_RANGE',
    )
    t.is(
      codeOf(() => SharedMap.create(memory, { ttl })),
      'ERR_OUT_OF_RANGE',
    )
  }
  for (const ttl of ['1', null, 1n]) {
    t.is(
      codeOf(() => map.set('key', 1, { ttl })),
      'ERR_INVALID_ARG_TYPE',
    )
    t.is(
      codeOf(() => SharedMap.create(memory, { ttl })),
      'ERR_INVALID_ARG_TYPE',
    )
  }
  for (const limit of ['maxEntries', 'maxBytes']) {
    for (const value of [0, -1, 1.5, NaN, 2 ** 32]) {
      t.is(
        codeOf(() => SharedMap.create(memory, { [limit]: value })),
        'ERR_OUT_OF_RANGE',
      )
    }
    t.is(
      codeOf(() => SharedMap.create(memory, { [limit]: '1' })),
      'ERR_INVALID_ARG_TYPE',
    )
  }
  t.is(map.size, 0)
})

/** Sets keys until there is no room, or something was evicted; returns those that the map has. */
const fill = (map, value) => {
  const { evictions } = map.stats()
  for (let key = map.size; map.stats().evictions === evictions; key++) {
    if (codeOf(() => map.set(key, value)) !== 'nothing thrown') break
  }
  return [...map.keys()]
}

for (const maxEntries of [1, 2, 3, 100, 1000, 5000]) {
  test(`a map never has more than ${maxEntries} entries, and all of them before it evicts`, (t) => {
    const map = SharedMap.create(newMemory(), { maxEntries })
    for (let key = 0; key < maxEntries; key++) map.set(key, key)
    t.deepEqual([map.size, map.stats().evictions], [maxEntries, 0])
    for (let key = 0; key < maxEntries; key++) map.set(key, `${key}`)
    t.deepEqual([map.size, map.stats().evictions], [maxEntries, 0])
    for (let key = 0; key < 2 * maxEntries; key++) {
      map.set(`more ${key}`, key)
      if (map.size > maxEntries || map.get(`more ${key}`) !== key) t.fail()
    }
    t.deepEqual([map.size, map.stats().evictions], [maxEntries, 2 * maxEntries])
  })
}

const READING = {
  get: (map, key) => map.get(key),
  getOrInsert: (map, key) => map.getOrInsert(key, 0),
  increment: (map, key) => map.increment(key),
  update: (map, key) => map.update(key, (value = 0) => value + 1),
  'update to text': (map, key) => map.update(key, (value = '') => `${value}`),
}

for (const [title, read] of Object.entries(READING)) {
  test(`what is read stays, what is not goes first: ${title}`, (t) => {
    const maxEntries = 2000
    const map = SharedMap.create(newMemory(), { maxEntries })
    const random = randomFrom(1)
    for (let key = 0; key < 200; key++) map.set(`read ${key}`, key)
    let kept = 0
    for (let key = 0; key < 20_000; key++) {
      map.set(key, key)
      const other = `read ${random(200)}`
      if (map.has(other)) kept++
      read(map, other)
    }
    t.true(kept >= 19_500, `${kept} of 20000 were kept`)
  })
}

for (const [maxBytes, length] of [
  [1000, 50],
  [100_000, 500],
  [3_000_000, 20_000],
]) {
  test(`the blocks of a map never take more than ${maxBytes} bytes`, (t) => {
    const memory = newMemory()
    const map = SharedMap.create(memory, { maxBytes })
    const before = memory.stats().usedBytes
    const random = randomFrom(length)
    for (let key = 0; key < 2000; key++) {
      map.set(key, 'x'.repeat(random(length)))
      if (map.stats().bytes > maxBytes || !map.has(key)) t.fail()
      if (random(3) === 0) map.set(random(key + 1), new Uint8Array(random(length)))
      if (map.stats().bytes > maxBytes) t.fail()
    }
    const { bytes, evictions, size } = map.stats()
    t.true(evictions > 0 && size > 1 && bytes > maxBytes / 2)
    t.true(memory.stats().usedBytes - before >= bytes)
    for (const byteLength of [maxBytes, 2 ** 31]) {
      const large = new Uint8Array(byteLength)
      t.is(
        codeOf(() => map.set('large', large)),
        'ERR_OUT_OF_RANGE',
      )
    }
    t.is(map.size, size)
  })
}

test('values that others are evicted for are found, and no byte is lost', (t) => {
  const memory = newMemory()
  const random = randomFrom(5)
  for (let round = 0; round < 20; round++) {
    const map = SharedMap.create(memory, { maxBytes: 6000 })
    for (let each = 0; each < 500; each++) {
      const [key, value] = [random(40), 'x'.repeat(20 + random(500))]
      t.is(map.set(key, value).get(key), value)
    }
    t.is([...map.keys()].length, map.size)
    map.destroy()
  }
  t.is(memory.length, 0)
})

test('bytes are those of the blocks, counted the same however they came to be', (t) => {
  const memory = newMemory()
  const map = SharedMap.create(memory)
  const random = randomFrom(5)
  for (let round = 0; round < 5000; round++) {
    const key = random(300)
    if (random(3) === 0) map.delete(key)
    else map.set(key, 'x'.repeat(random(400)))
  }
  const { bytes, size } = map.stats()
  let entries = 0
  for (const { bufferSize } of memory.allocs()) entries += bufferSize
  t.true(bytes <= entries)
  for (const key of map.keys()) map.delete(key)
  t.deepEqual([map.stats().bytes, map.stats().size], [0, 0])
  t.true(size > 0 && bytes > 0)
})

test('hits and misses are counted', (t) => {
  const map = SharedMap.create(newMemory())
  map.set('key', 1)
  for (let round = 0; round < 5; round++) map.get('key')
  for (let round = 0; round < 3; round++) map.get('none')
  map.getOrInsert('key', 2)
  map.getOrInsert('new', 2)
  map.has('key')
  const { hits, misses, evictions, expiries } = map.stats()
  t.deepEqual(
    { hits, misses, evictions, expiries },
    { hits: 6, misses: 4, evictions: 0, expiries: 0 },
  )
})

test('a thread counts on where one that has ended had counted', (t) => {
  const map = SharedMap.create(newMemory())
  map.get('none')
  const words = wordsOf(map)
  words[FIRST_STRIPE + STRIPE_OWNER] = DEAD
  SharedMap.at(map.memory, map.ptr).get('none')
  t.is(words[FIRST_STRIPE + STRIPE_OWNER], SELF)
  t.is(map.stats().misses, 2)
})

test('a map in a memory that is full throws, and is as it was', (t) => {
  const memory = newMemory(4, 4)
  const before = memory.stats().usedBytes
  const map = SharedMap.create(memory)
  const shadow = new Map()
  let refused = 0
  const random = randomFrom(3)
  for (let round = 0; refused < 200; round++) {
    const [key, value] = [`key ${random(4000)}`, 'x'.repeat(random(300))]
    try {
      map.set(key, value)
      shadow.set(key, value)
    } catch (error) {
      t.is(error.code, 'ERR_OUT_OF_MEMORY')
      refused++
    }
  }
  t.is(
    codeOf(() => map.set('large', new Uint8Array(10 ** 6))),
    'ERR_OUT_OF_MEMORY',
  )
  t.is(
    codeOf(() => map.update('key 1', () => 'x'.repeat(10 ** 6))),
    'ERR_OUT_OF_MEMORY',
  )
  t.is(
    codeOf(() => map.getOrInsert('large', 'x'.repeat(10 ** 6))),
    'ERR_OUT_OF_MEMORY',
  )
  t.is(map.size, shadow.size)
  for (const [key, value] of shadow) if (map.get(key) !== value) t.fail()
  for (const key of shadow.keys()) t.true(map.delete(key))
  map.set('again', 1)
  t.is(map.get('again'), 1)
  map.destroy()
  t.is(memory.stats().usedBytes, before)
})

test('a map with a limit makes room in a memory that is full', (t) => {
  const memory = newMemory(4, 4)
  const map = SharedMap.create(memory, { maxEntries: 10 ** 6 })
  for (let key = 0; key < 5000; key++) map.set(key, 'x'.repeat(200))
  t.is(map.get(4999)?.length, 200)
  t.true(map.stats().evictions > 0 && map.size > 500)
})

test('a map keeps no blocks in a memory that has been full', (t) => {
  const memory = newMemory(1, 4)
  const map = SharedMap.create(memory, { maxEntries: 10_000 })
  for (let key = 0; key < 2000; key++) map.set(key, 'x'.repeat((key * 7) % 400))
  t.true(map.stats().evictions > 0)
  const { cachedBytes } = memory.stats()
  map.clear()
  t.true(memory.stats().cachedBytes <= cachedBytes)
})

test('a value that no eviction makes room for has nothing evicted', (t) => {
  const memory = newMemory(4, 4)
  const map = SharedMap.create(memory, { maxEntries: 10 ** 6 })
  for (let key = 0; key < 100; key++) map.set(key, 'x'.repeat(100))
  for (const key of [7, 'new']) {
    t.is(
      codeOf(() => map.set(key, new Uint8Array(300_000))),
      'ERR_OUT_OF_MEMORY',
    )
  }
  t.deepEqual([map.size, map.stats().evictions], [100, 0])
  for (let key = 0; key < 100; key++) t.is(map.get(key), 'x'.repeat(100))
})

test('a key keeps its value when there is no room for another, whatever was evicted for that', (t) => {
  const memory = newMemory(4, 4)
  const before = memory.stats().usedBytes
  const map = SharedMap.create(memory, { maxEntries: 10 ** 6 })
  const codes = new Set()
  for (let round = 0; round < 30; round++) {
    fill(map, 'x'.repeat(500))
    const old = map.get('key')
    const value = 'y'.repeat(50_000 + ((round * 7919) % 150_000))
    const code = codeOf(() => map.set('key', value))
    t.is(map.get('key'), code === 'nothing thrown' ? value : old)
    codes.add(code)
  }
  t.deepEqual(codes, new Set(['nothing thrown', 'ERR_OUT_OF_MEMORY']))
  map.destroy()
  t.is(memory.stats().usedBytes, before)
})

test('what waits to become entries makes room for a long one', (t) => {
  const map = SharedMap.create(newMemory(4, 4))
  for (const key of fill(map, 'x'.repeat(500))) map.delete(key)
  map.set('long', 'y'.repeat(60_000))
  t.is(map.get('long'), 'y'.repeat(60_000))
})

test('a map of which the header alone is too much is not made', (t) => {
  const memory = newMemory(1, 1)
  const blocks = []
  while (codeOf(() => blocks.push(memory.malloc(1000))) === 'nothing thrown');
  const before = memory.stats()
  t.is(
    codeOf(() => SharedMap.create(memory)),
    'ERR_OUT_OF_MEMORY',
  )
  t.is(
    codeOf(() => SharedMap.open(memory, 'name')),
    'ERR_OUT_OF_MEMORY',
  )
  t.is(memory.getRoot('name'), undefined)
  t.is(memory.stats().usedBytes, before.usedBytes)
})
