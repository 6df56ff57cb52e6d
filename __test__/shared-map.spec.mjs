// SharedMap in one thread: it is a Map, with limits and times.

import test from 'ava'
import LocalSharedMemory from '../index.js'
import { SharedMap } from '../structures/index.js'
import { randomFrom } from './fixtures/random.mjs'

const PAGES = 40
const MOST = 2000

/** A heap, and the bytes that have to be free again when the map is gone. */
const newHeap = (initial = PAGES, maximum = MOST) => {
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

const bytes = (...values) => Uint8Array.from(values)

const VALUES = [
  0,
  -0,
  1.5,
  NaN,
  -Infinity,
  2 ** 53,
  '',
  'text',
  'é',
  'é'.repeat(200),
  '漢字 \ud800 \0',
  '漢'.repeat(3000),
  true,
  false,
  null,
  0n,
  -1n,
  2n ** 63n - 1n,
  2n ** 63n,
  -(2n ** 200n),
  bytes(),
  bytes(1, 2, 255),
  new Uint8Array(10_000).fill(7),
  { nested: { list: [1, 'two', 3n, undefined] } },
  new Map([['a', new Set([1])]]),
  new Date(5),
  [],
]

const KEYS = [
  ...VALUES.filter((value) => typeof value !== 'boolean' && typeof value !== 'object'),
  '0',
  '1',
  1,
  1n,
  '1n',
  'a key of more than twenty-four units',
  '漢'.repeat(100),
]

test('a value comes back as it was', (t) => {
  const map = SharedMap.create(newHeap())
  for (const [key, value] of VALUES.entries()) {
    t.is(map.set(key, value), map)
    t.deepEqual(map.get(key), value)
    t.true(map.has(key))
  }
  for (const [key, value] of VALUES.entries()) t.deepEqual(map.get(key), value)
  t.is(map.size, VALUES.length)
})

test('bytes come back as a copy that is nobody else’s', (t) => {
  const map = SharedMap.create(newHeap())
  const value = Buffer.from('abc')
  map.set('key', value)
  const first = map.get('key')
  first[0] = 0
  value[1] = 0
  t.deepEqual(map.get('key'), bytes(97, 98, 99))
  t.is(Object.getPrototypeOf(first), Uint8Array.prototype)
  t.true(first.buffer instanceof ArrayBuffer)
})

test('keys are the same where a Map says so', (t) => {
  const map = SharedMap.create(newHeap())
  const shadow = new Map()
  for (const key of KEYS) {
    t.is(map.has(key), shadow.has(key))
    map.set(key, typeof key)
    shadow.set(key, typeof key)
  }
  t.is(map.size, shadow.size)
  for (const key of KEYS) t.is(map.get(key), shadow.get(key))
  map.set(NaN, 'NaN').set(-0, 'zero')
  t.is(map.get(NaN), 'NaN')
  t.is(map.get(0), 'zero')
  t.is(map.size, shadow.size)
})

test('keys of bytes are the same by what they hold', (t) => {
  const map = SharedMap.create(newHeap())
  map.set(bytes(97, 98), 'bytes').set('ab', 'text').set(bytes(), 'none').set('', 'empty')
  t.is(map.get(Buffer.from('ab')), 'bytes')
  t.is(map.get('ab'), 'text')
  t.is(map.get(bytes()), 'none')
  t.is(map.get(''), 'empty')
  t.is(map.get(bytes(97)), undefined)
  t.is(map.get(bytes(97, 98, 0)), undefined)
  t.deepEqual([...map.keys()].filter((key) => typeof key === 'object').length, 2)
})

test('a key or a value that cannot be one is refused, and changes nothing', (t) => {
  const map = SharedMap.create(newHeap())
  map.set('key', 1)
  for (const key of [undefined, null, true, {}, [], Symbol('key'), () => 1, new Int8Array(1)]) {
    t.is(
      codeOf(() => map.get(key)),
      'ERR_INVALID_ARG_TYPE',
    )
    t.is(
      codeOf(() => map.has(key)),
      'ERR_INVALID_ARG_TYPE',
    )
    t.is(
      codeOf(() => map.set(key, 1)),
      'ERR_INVALID_ARG_TYPE',
    )
    t.is(
      codeOf(() => map.delete(key)),
      'ERR_INVALID_ARG_TYPE',
    )
    t.is(
      codeOf(() => map.increment(key)),
      'ERR_INVALID_ARG_TYPE',
    )
    t.is(
      codeOf(() => map.getOrInsert(key, 1)),
      'ERR_INVALID_ARG_TYPE',
    )
    t.is(
      codeOf(() => map.update(key, () => 1)),
      'ERR_INVALID_ARG_TYPE',
    )
  }
  for (const value of [undefined, () => 1, Symbol('value'), { act() {} }]) {
    t.is(
      codeOf(() => map.set('key', value)),
      'ERR_INVALID_ARG_TYPE',
    )
    t.is(
      codeOf(() => map.getOrInsert('other', value)),
      'ERR_INVALID_ARG_TYPE',
    )
  }
  t.is(
    codeOf(() => map.set('x'.repeat(2 ** 24), 1)),
    'ERR_OUT_OF_RANGE',
  )
  t.is(
    codeOf(() => map.update('key', 1)),
    'ERR_INVALID_ARG_TYPE',
  )
  t.is(
    codeOf(() => map.update('key', () => Symbol('value'))),
    'ERR_INVALID_ARG_TYPE',
  )
  t.is(
    codeOf(() => map.forEach(1)),
    'ERR_INVALID_ARG_TYPE',
  )
  t.deepEqual([...map], [['key', 1]])
})

const checkSame = (t, map, shadow) => {
  const entries = [...map]
  t.is(map.size, shadow.size)
  t.is(entries.length, shadow.size)
  for (const [key, value] of entries) {
    if (!shadow.has(key)) t.fail()
    t.deepEqual(value, shadow.get(key))
  }
}

/** Random operations on a map and on a Map. */
const compare = (t, map, { seed, rounds, keys, values }) => {
  const random = randomFrom(seed)
  const shadow = new Map()
  const pick = (list) => list[random(list.length)]
  const actions = [
    (key) => t.deepEqual(map.get(key), shadow.get(key)),
    (key) => t.is(map.has(key), shadow.has(key)),
    (key) => t.is(map.delete(key), shadow.delete(key)),
    (key) => {
      const value = pick(values)
      map.set(key, value)
      shadow.set(key, value)
    },
    (key) => {
      const value = pick(values)
      const expected = shadow.has(key) ? shadow.get(key) : value
      t.deepEqual(map.getOrInsert(key, value), expected)
      shadow.set(key, expected)
    },
    (key) => {
      const value = random(4) === 0 ? undefined : pick(values)
      const result = map.update(key, (before) => {
        t.deepEqual(before, shadow.get(key))
        return value
      })
      t.is(result, value)
      if (value === undefined) shadow.delete(key)
      else shadow.set(key, value)
    },
    (key) => {
      const before = shadow.has(key) ? shadow.get(key) : 0
      if (typeof before !== 'number') return
      const sum = before + 3
      t.is(map.increment(key, 3), sum)
      shadow.set(key, sum)
    },
  ]
  for (let round = 0; round < rounds; round++) {
    pick(actions)(pick(keys))
    if (random(rounds / 4) === 0) {
      map.clear()
      shadow.clear()
    }
    if (random(rounds / 10) === 0) checkSame(t, map, shadow)
  }
  checkSame(t, map, shadow)
}

const plain = VALUES.filter((value) => !Object.is(value, -0))

for (const seed of [1, 2, 3]) {
  test(`any sequence of operations does what it does to a Map (${seed})`, (t) => {
    const memory = newHeap()
    const before = memory.stats().usedBytes
    const map = SharedMap.create(memory)
    const many = Array.from({ length: 2000 }, (_, number) => [
      number,
      `key ${number}`,
      BigInt(number),
    ])
    compare(t, map, { seed, rounds: 4000, keys: KEYS, values: plain })
    map.clear()
    t.is(map.size, 0)
    compare(t, map, { seed, rounds: 8000, keys: many.flat(), values: plain })
    map.destroy()
    t.is(memory.stats().usedBytes, before)
  })
}

test('a map grows to any number of entries, and is walked whole', (t) => {
  const memory = newHeap()
  const before = memory.stats().usedBytes
  const map = SharedMap.create(memory)
  const count = 50_000
  for (let key = 0; key < count; key++) map.set(key, key * 2)
  t.is(map.size, count)
  const seen = new Map(map.entries())
  t.is(seen.size, count)
  t.true([...seen].every(([key, value]) => value === key * 2))
  t.is(new Set(map.keys()).size, count)
  let sum = 0
  map.forEach((value, key, owner) => {
    sum += value - key
    if (owner !== map) t.fail()
  })
  t.is(sum, (count * (count - 1)) / 2)
  for (let key = 0; key < count; key++) if (!map.delete(key)) t.fail()
  t.is(map.size, 0)
  t.deepEqual([...map.values()], [])
  map.destroy()
  t.is(memory.stats().usedBytes, before)
})

test('a walk meets each entry that stays once, whatever is added, taken out and changed meanwhile', (t) => {
  const map = SharedMap.create(newHeap())
  for (let key = 0; key < 500; key++) map.set(key, 'stays')
  const seen = []
  let other = 0
  for (const [key, value] of map) {
    if (value !== 'stays') continue
    seen.push(key)
    map.set(key, 'stays')
    for (let more = 0; more < 20; more++) map.set(`other ${other++}`, 'other')
    map.delete(`other ${other - 10}`)
  }
  t.is(new Set(seen).size, seen.length)
  t.deepEqual(
    seen.toSorted((a, b) => a - b),
    Array.from({ length: 500 }, (_, key) => key),
  )
})

test('keys that are chosen to collide are kept apart all the same', (t) => {
  const map = SharedMap.create(newHeap())
  // Equal in all but the length, or in all but the last unit, of every length around a whole word.
  const keys = Array.from({ length: 64 }, (_, length) => [
    '\0'.repeat(length),
    `${'a'.repeat(length)}b`,
  ])
  const all = keys.flat()
  for (const key of all) map.set(key, key.length)
  t.is(map.size, new Set(all).size)
  for (const key of all) t.is(map.get(key), key.length)
  for (const key of all) t.is(map.get(Buffer.from(key)), undefined)
})

test('increment adds to numbers and to bigints', (t) => {
  const map = SharedMap.create(newHeap())
  t.is(map.increment('number'), 1)
  t.is(map.increment('number', 0.5), 1.5)
  t.is(map.increment('number', -2), -0.5)
  t.is(map.increment('bigint', 2n ** 63n - 1n), 2n ** 63n - 1n)
  t.is(map.increment('bigint', 1n), 2n ** 63n)
  t.is(map.increment('bigint', -1n), 2n ** 63n - 1n)
  t.is(map.get('bigint'), 2n ** 63n - 1n)
  map.set('text', 'text')
  for (const [key, by] of [
    ['text', 1],
    ['number', 1n],
    ['bigint', 1],
    ['number', '1'],
    ['new', null],
  ]) {
    t.is(
      codeOf(() => map.increment(key, by)),
      'ERR_INVALID_ARG_TYPE',
    )
  }
  t.false(map.has('new'))
  t.is(map.get('text'), 'text')
})

test('an update that throws, or makes nothing that can be kept, leaves the value', (t) => {
  const map = SharedMap.create(newHeap())
  map.set('key', 'old')
  const thrown = new Error('thrown')
  const error = t.throws(() =>
    map.update('key', () => {
      throw thrown
    }),
  )
  t.is(error, thrown)
  t.is(map.get('key'), 'old')
  t.is(
    map.update('key', (old) => `${old}er`),
    'older',
  )
  t.is(
    map.update('key', () => undefined),
    undefined,
  )
  t.false(map.has('key'))
})
