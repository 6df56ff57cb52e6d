// SharedMap in one thread: it is a Map, with limits and times.

import { inspect } from 'node:util'
import { createContext, runInContext } from 'node:vm'
import test from 'ava'
import LocalSharedMemory from '../index.js'
import { Tag } from '../structures/codec.js'
import { Mutex, SharedMap } from '../structures/index.js'
import { halfSipHash } from '../structures/shared-map/hash.js'
import { Key } from '../structures/shared-map/key.js'
import {
  BUCKETS,
  FIRST_SHARD,
  HASH_KEY,
  LOCK,
  SHARD_BITS,
  SHARD_WORDS,
  VALUE_TAG_SHIFT,
} from '../structures/shared-map/layout.js'
import { wordsOf } from '../structures/structure.js'
import { destroying } from './fixtures/destroying.mjs'
import { randomFrom } from './fixtures/random.mjs'

const PAGES = 40
/** What the first buckets of a part take, header included. */
const BUCKETS_BYTES = 80
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

test('a value takes the place of one of any other kind', (t) => {
  const map = SharedMap.create(newHeap())
  const keys = [5, 'key', 'a key of some words']
  for (const before of VALUES) {
    for (const after of VALUES) {
      for (const key of keys) map.set(key, before).set(key, after)
      t.deepEqual([...map.values()], [after, after, after])
    }
  }
  t.is(map.size, keys.length)
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

const lying = (property, get) => Object.defineProperty(bytes(1, 2), property, { get })

test('a key of bytes is the bytes that there are, whatever it says of itself', (t) => {
  const map = SharedMap.create(newHeap())
  class Longer extends Uint8Array {
    get length() {
      return 2 ** 30
    }

    static get [Symbol.species]() {
      return Float64Array
    }
  }
  const liars = [
    Longer.of(1, 2),
    lying('length', () => 5),
    lying('subarray', () => () => [300]),
    lying('buffer', t.fail),
  ]
  for (const key of liars) {
    map.set('before', 'a longer key')
    map.set(key, 'found')
    t.is(map.get(bytes(1, 2)), 'found')
    t.true(map.delete(key))
  }
  for (const detached of [bytes(1, 2), Longer.of(1, 2)]) {
    structuredClone(detached.buffer, { transfer: [detached.buffer] })
    map.set(detached, detached)
    t.is(map.size, 2)
    t.deepEqual(map.get(bytes()), bytes())
  }
})

test('what comes in the place of options is refused', (t) => {
  const map = SharedMap.create(newHeap())
  for (const options of [null, 5000, 'text', () => 1]) {
    t.is(
      codeOf(() => SharedMap.create(map.memory, options)),
      'ERR_INVALID_ARG_TYPE',
    )
    t.is(
      codeOf(() => map.set('key', 1, options)),
      'ERR_INVALID_ARG_TYPE',
    )
  }
  t.is(map.size, 0)
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
  const module = new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]))
  for (const value of [undefined, () => 1, Symbol('value'), { act() {} }, module]) {
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

test('null is a value that getOrInsert finds: it does not look at the other one then, and takes no lock', (t) => {
  const map = SharedMap.create(newHeap())
  map.set('nothing', null)
  t.is(map.getOrInsert('nothing', undefined), null)
  t.is(
    map.update('key', () => map.getOrInsert('nothing', 1)),
    null,
  )
})

test('a map of any size is cleared', (t) => {
  const map = SharedMap.create(newHeap())
  for (let key = 0; key < 50_000; key++) map.set(key, key)
  map.clear()
  t.deepEqual([map.size, [...map]], [0, []])
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

const READS = {
  get: (map) => map.get('key'),
  has: (map) => map.has('key'),
  size: (map) => map.size,
  stats: (map) => map.stats(),
}

const CHANGES = {
  set: (map) => map.set('key', 'new'),
  'set of another key': (map) => map.set('other', 'new'),
  delete: (map) => map.delete('key'),
  clear: (map) => map.clear(),
  getOrInsert: (map) => map.getOrInsert('missing', 1),
  increment: (map) => map.increment('count'),
  update: (map) => map.update('key', () => 'new'),
  entries: (map) => [...map.entries()],
  keys: (map) => [...map.keys()],
  values: (map) => [...map.values()],
  iterator: (map) => [...map],
  forEach: (map) => map.forEach(() => {}),
  destroy: (map) => map.destroy(),
}

const cutShort = (code, globals, isEnough) => {
  const context = createContext(globals)
  for (let cuts = 0; !isEnough(cuts);) {
    try {
      runInContext(code, context, { timeout: 2 })
    } catch {
      cuts++
    }
  }
}

test('what the timeout of vm has cut short is put in order by whoever comes next, its own thread too', (t) => {
  const memory = newHeap()
  const map = SharedMap.create(memory)
  const isLocked = () =>
    wordsOf(map)
      .subarray(FIRST_SHARD)
      .some((word, at) => at % SHARD_WORDS === LOCK && word !== 0)
  let locked = 0
  // A part that is locked is left for the next round, and found by the set of all keys.
  cutShort('for (let at = 0; ; at++) map.set(at % 500, at)', { map }, (cuts) => {
    if (isLocked()) locked++
    for (let key = 0; key < 500; key++) map.set(key, -key)
    return locked === 3 || cuts === 2000
  })
  for (let key = 0; key < 500; key++) t.is(map.get(key), -key)
  t.is([...map].length, 500)
  t.false(isLocked())
  map.destroy()
  t.is(memory.length, 0)
})

test('a function of update that the timeout of vm has cut short stands in no way of its thread', (t) => {
  const memory = newHeap()
  for (const [name, change] of Object.entries(CHANGES)) {
    const [map, other] = [SharedMap.create(memory), SharedMap.create(memory)]
    map.set('key', 'old').set('count', 1)
    const calls = { count: 0 }
    const code = 'map.update("key", () => { for (calls.count++; ; ); })'
    cutShort(code, { map, calls }, () => calls.count > 0)
    t.is(map.get('key'), 'old')
    t.is(
      codeOf(() => change(other)),
      'nothing thrown',
      name,
    )
    t.is(
      codeOf(() => change(map)),
      'nothing thrown',
      name,
    )
    if (name !== 'destroy') map.destroy()
    if (name !== 'destroy') other.destroy()
  }
  t.is(memory.length, 0)
})

test('what is cut short where debug mode asks for the stack is put in order, too', (t) => {
  const memory = new LocalSharedMemory({ initial: 10, maximum: 100, shared: true, debug: true })
  const map = SharedMap.create(memory)
  const calls = { count: 0 }
  const { prepareStackTrace } = Error
  Error.prepareStackTrace = () => {
    for (calls.count++; ;);
  }
  try {
    cutShort('map.set("key", "value")', { map }, () => calls.count > 0)
  } finally {
    Error.prepareStackTrace = prepareStackTrace
  }
  t.is(
    codeOf(() => map.set('key', 'other')),
    'nothing thrown',
  )
  t.is(map.get('key'), 'other')
  map.destroy()
  t.is(memory.length, 0)
})

test('code that makes stacks in debug mode does not come between two steps of an operation', (t) => {
  const memory = new LocalSharedMemory({ initial: 10, maximum: 100, shared: true, debug: true })
  const map = SharedMap.create(memory)
  const { prepareStackTrace } = Error
  const codes = new Set()
  Error.prepareStackTrace = () => {
    memory.free(memory.malloc(8))
    codes.add(codeOf(() => map.delete('key')))
    return ''
  }
  try {
    map.set('key', 'value')
  } finally {
    Error.prepareStackTrace = prepareStackTrace
  }
  t.true(codes.has('ERR_DEADLOCK'))
  t.false(codes.has('nothing thrown'))
  t.is(map.get('key'), 'value')
})

test('a function of update may read maps, and must not change or go over one', (t) => {
  const memory = newHeap()
  const [map, other] = [SharedMap.create(memory), SharedMap.create(memory)]
  map.set('key', 'old')
  other.set('key', 'other')
  map.update('key', (old) => {
    t.is(map.get('key'), old)
    t.is(other.get('key'), 'other')
    for (const read of Object.values(READS)) read(map)
    for (const change of Object.values(CHANGES)) {
      t.is(
        codeOf(() => change(map)),
        'ERR_DEADLOCK',
      )
      t.is(
        codeOf(() => change(other)),
        'ERR_DEADLOCK',
      )
    }
    return 'updated'
  })
  t.deepEqual([...map], [['key', 'updated']])
  t.deepEqual([...other], [['key', 'other']])
})

test('a key of bytes is what it was when update was called, whatever becomes of the bytes meanwhile', (t) => {
  const map = SharedMap.create(newHeap(), { ttl: 60_000 })
  class Bytes extends Uint8Array {}
  for (let at = 0; at < 50; at++) {
    const key = (at % 2 === 0 ? Uint8Array : Bytes).of(at, 1)
    if (at % 3 === 0) map.set(Uint8Array.of(at, 1), 'old')
    const change = (value) => {
      key[1] = 2
      return value
    }
    t.is(
      map.update(key, (old) => change(old ?? 'new')),
      at % 3 === 0 ? 'old' : 'new',
    )
    t.is(map.get(Uint8Array.of(at, 1)), at % 3 === 0 ? 'old' : 'new')
    t.false(map.has(key))
  }
  t.is(map.size, 50)
  for (const key of map.keys()) t.true(map.has(key))
})

test('getters of a value run before anything changes, and of one that update made, as its function does', (t) => {
  const map = SharedMap.create(newHeap())
  map.set('key', 'old')
  const seen = []
  const value = (act) => ({
    get got() {
      seen.push(act())
      return 1
    },
  })
  map.set(
    'key',
    value(() => map.get('key')),
  )
  t.deepEqual(map.get('key'), { got: 1 })
  map.set(
    'key',
    value(() => map.set('within', 2).size),
  )
  t.deepEqual([map.get('key'), map.get('within')], [{ got: 1 }, 2])
  map.update('key', () => value(() => codeOf(() => map.set('key', 3))))
  t.deepEqual(map.get('key'), { got: 1 })
  t.deepEqual(seen, ['old', 2, 'ERR_DEADLOCK'])
  const deadlocked = () => map.update('key', () => value(() => map.set('key', 3)))
  t.is(codeOf(deadlocked), 'ERR_DEADLOCK')
  t.deepEqual(map.get('key'), { got: 1 })
})

test('a getter that destroys the map is not followed by a write to what was its block', (t) => {
  const memory = newHeap()
  const before = memory.length
  const acts = [
    (map) => map.set('key', destroying(map, 'got')),
    (map) => map.set('key', 1, destroying(map, 'ttl')),
    (map) => map.getOrInsert('key', destroying(map, 'got')),
  ]
  for (const act of acts) {
    t.is(
      codeOf(() => act(SharedMap.create(memory))),
      'ERR_NOT_A_STRUCTURE',
    )
    t.is(memory.length, before)
  }
})

test('no code is run that the buffer of a key brings', (t) => {
  const map = SharedMap.create(newHeap())
  for (const name of ['resizable', 'growable']) {
    const getter = { get: () => t.fail(name) }
    const Buffer = Object.defineProperty(
      class extends ArrayBuffer {}.prototype,
      name,
      getter,
    ).constructor
    const keys = [new ArrayBuffer(8), new Buffer(8)].map((buffer) => new Uint8Array(buffer).fill(7))
    Object.defineProperty(keys[0].buffer, name, getter)
    for (const key of keys) {
      map.set(key, key)
      t.deepEqual(map.get(bytes(7, 7, 7, 7, 7, 7, 7, 7)), bytes(7, 7, 7, 7, 7, 7, 7, 7))
    }
  }
})

test('a map of a heap that was closed is cleared and destroyed by nobody who has closed it', (t) => {
  const memory = newHeap()
  const map = SharedMap.open(memory, 'map')
  const other = LocalSharedMemory.from(structuredClone(memory))
  for (let key = 0; key < MOST; key++) map.set(key, key)
  const before = other.allocs().length
  memory.close()
  t.is(
    codeOf(() => map.clear()),
    'ERR_HEAP_CLOSED',
  )
  t.is(
    codeOf(() => map.destroy()),
    'ERR_HEAP_CLOSED',
  )
  const same = SharedMap.open(other, 'map')
  t.is(same.size, MOST)
  t.is(other.allocs().length, before)
  same.destroy()
  t.is(other.length, 0)
})

test('what was destroyed is refused by every method', (t) => {
  const memory = newHeap()
  const map = SharedMap.open(memory, 'map')
  const again = SharedMap.open(memory, 'map')
  map.set('key', 1)
  const walk = map.entries()
  map.set('other', 1)
  const started = map.keys()
  started.next()
  map.destroy()
  for (const act of Object.values({ ...READS, ...CHANGES })) {
    t.is(
      codeOf(() => act(map)),
      'ERR_NOT_A_STRUCTURE',
    )
    t.is(
      codeOf(() => act(again)),
      'ERR_NOT_A_STRUCTURE',
    )
  }
  t.is(
    codeOf(() => [...walk]),
    'ERR_NOT_A_STRUCTURE',
  )
  t.is(memory.getRoot('map'), undefined)
  t.is(
    codeOf(() => SharedMap.at(memory, map.ptr)),
    'ERR_INVALID_POINTER',
  )
})

test('a map is found by its pointer and its name, and by its options only', (t) => {
  const memory = newHeap()
  const options = { ttl: 1000, maxEntries: 10, maxBytes: 10_000 }
  const map = SharedMap.open(memory, 'map', options)
  map.set('key', 1)
  t.is(SharedMap.open(memory, 'map', options).get('key'), 1)
  t.is(SharedMap.at(memory, map.ptr).get('key'), 1)
  for (const other of [
    undefined,
    {},
    { ...options, ttl: 1 },
    { ...options, maxBytes: undefined },
  ]) {
    t.is(
      codeOf(() => SharedMap.open(memory, 'map', other)),
      'ERR_STRUCTURE_MISMATCH',
    )
  }
  const mutex = Mutex.create(memory)
  t.is(
    codeOf(() => SharedMap.at(memory, mutex.ptr)),
    'ERR_NOT_A_STRUCTURE',
  )
  t.is(
    codeOf(() => SharedMap.at(memory, memory.calloc(1000))),
    'ERR_NOT_A_STRUCTURE',
  )
})

test('the block of an entry waits for the next one, unless it is longer than 2 KiB', (t) => {
  for (const [byteLength, waits] of [
    [2016, true],
    [2017, false],
  ]) {
    const memory = newHeap()
    const map = SharedMap.create(memory)
    map.set('k', true)
    const before = memory.length
    map.set('k', new Uint8Array(byteLength))
    map.set('k', true)
    t.is(memory.length > before, waits)
  }
})

test('it shows itself in a line', (t) => {
  const map = SharedMap.create(newHeap())
  map.set('key', 'x'.repeat(200))
  const line = inspect(map)
  t.false(line.includes('\n'))
  t.true(line.startsWith(`SharedMap { ptr: ${map.ptr}, size: 1, bytes: `))
  t.is(inspect({ map }, { depth: 0 }), '{ map: [SharedMap] }')
  t.regex(inspect(Object.create(map)), /SharedMap/)
  t.regex(inspect(new Proxy(map, {})), /SharedMap/)
  map.destroy()
  t.is(inspect(map), `SharedMap { ptr: ${map.ptr}, state: 'destroyed' }`)
})

test('a map works in debug mode, and nothing is found wrong with its blocks', (t) => {
  const memory = new LocalSharedMemory({ initial: 40, maximum: 200, shared: true, debug: true })
  const map = SharedMap.create(memory, { maxEntries: 100 })
  for (let key = 0; key < 300; key++) map.set(key, 'x'.repeat(key))
  for (let key = 0; key < 300; key += 2) map.delete(key)
  t.deepEqual(memory.check(), [])
  map.destroy()
  t.deepEqual(memory.leaks(), [])
})

test('the hash is HalfSipHash-1-3', (t) => {
  // The first vectors of the Linux kernel's own test: the bytes 0, 1, 2 … of each length, the key 0 to 7.
  const expected = [
    0x5814c896, 0xe7e864ca, 0xbc4b0e30, 0x01539939, 0x7e059ea6, 0x88e3d89b, 0xa0080b65, 0x9d38d9d6,
    0x577999b1, 0xc839caed, 0xe4fa32cf, 0x959246ee, 0x6b28096c, 0x66dd9cd6, 0x16658a7c, 0xd0257b04,
  ]
  const hashes = expected.map((_, length) => {
    const key = new Uint8Array(64)
    for (let at = 0; at < length; at++) key[at] = at
    return halfSipHash(0x03020100, 0x07060504, new Int32Array(key.buffer), length) >>> 0
  })
  t.deepEqual(hashes, expected)
})

test('no two maps hash alike', (t) => {
  const memory = newHeap()
  const keysOf = () => {
    const { ptr } = SharedMap.create(memory)
    return [...memory.arrayView(Int32Array, ptr + 4 * HASH_KEY, 2)]
  }
  t.is(new Set(Array.from({ length: 20 }, keysOf).flat()).size, 40)
})

test('a flood of keys that collide is kept apart, however slowly', (t) => {
  const memory = newHeap()
  const map = SharedMap.create(memory)
  const hasher = new Key(...memory.arrayView(Int32Array, map.ptr + 4 * HASH_KEY, 2))
  // Whoever knew the key could find these: all in one bucket, until there are 2^12 of them in a shard.
  const colliding = []
  for (let key = 0; colliding.length < 100; key++)
    if ((hasher.take(key) & 0x3ffff) === 0) colliding.push(key)
  for (const key of colliding) map.set(key, key)
  for (let key = 0; key < 5000; key++) map.increment(`other ${key}`)
  for (const key of colliding) t.is(map.get(key), key)
  t.is(map.size, 5100)
  t.is(new Set(map.keys()).size, 5100)
  for (const key of colliding) t.true(map.delete(key))
  t.is(map.size, 5000)
})

test('an operation that runs out of stack leaves the map whole', (t) => {
  const map = SharedMap.create(newHeap(), { maxEntries: 40 })
  const shadow = new Map()
  let round = 0
  const deeper = (act) => {
    try {
      deeper(act)
    } catch {
      // As far down as it goes, and on the way up again, there is more stack each time.
    }
    act()
  }
  const act = () => {
    const key = round++ % 30
    const value = 'x'.repeat(round % 200)
    shadow.set(key, [...(shadow.get(key) ?? [undefined]), value].slice(-100))
    map.set(key, value)
  }
  t.notThrows(() => deeper(() => round < 3000 && act()))
  for (let key = 0; key < 30; key++) t.true(shadow.get(key).includes(map.get(key)))
  map.set('after', 1)
  t.is(map.get('after'), 1)
  t.is([...map].length, map.size)
})

test('whatever is written over a map, no method hangs, and what is thrown has a code', (t) => {
  for (let seed = 0; seed < 15; seed++) {
    const random = randomFrom(seed)
    const memory = newHeap(20, 40)
    const map = SharedMap.create(memory, seed % 2 === 0 ? {} : { maxEntries: 50 })
    for (let key = 0; key < 60; key++) map.set(key, 'x'.repeat(random(60)))
    const blocks = memory.allocs()
    for (let times = 0; times < 30; times++) {
      const { byteOffset, byteLength } = blocks[random(blocks.length)]
      const words = memory.arrayView(Int32Array, byteOffset, Math.floor(byteLength / 4))
      // Not over the header, nor over locks: those are what they seem to be.
      const at = random(words.length)
      const isLock =
        byteOffset === map.ptr && (at < 16 || at % SHARD_WORDS === FIRST_SHARD % SHARD_WORDS)
      if (!isLock) words[at] = [random(2 ** 32), byteOffset, -1, 0, random(64)][random(5)]
    }
    for (let times = 0; times < 200; times++) {
      const key = random(80)
      const acts = [
        () => map.get(key),
        () => map.set(key, times),
        () => map.delete(key),
        () => [...map],
        () => map.clear(),
      ]
      const code = codeOf(acts[random(20) < 3 ? random(5) : random(3)])
      t.regex(code, /^(nothing thrown|ERR_[A-Z_]+)$/)
    }
  }
})

test('an entry of more bytes than a pointer has is refused, and nothing is written anywhere', (t) => {
  const memory = newHeap(10, 100)
  const map = SharedMap.create(memory)
  const keys = ['key', 'another one of the map']
  for (const key of keys) map.set(key, 1)
  const others = Array.from({ length: 100 }, () => memory.malloc(8))
  for (let index = 0; index < others.length; index += 2) memory.free(others[index])
  const value = new Uint8Array(2 ** 32 - 32)
  const { usedBytes } = memory.stats()
  for (const key of [...keys, 'a new one']) {
    t.throws(() => map.set(key, value), { code: 'ERR_OUT_OF_RANGE' })
    t.throws(() => map.update(key, () => value), { code: 'ERR_OUT_OF_RANGE' })
  }
  t.deepEqual(
    keys.map((key) => map.get(key)),
    [1, 1],
  )
  t.is(map.size, 2)
  t.true(memory.stats().usedBytes <= usedBytes + BUCKETS_BYTES)
  t.deepEqual(memory.check(), [])
})

test('a map whose number of shards was written over is refused, however it is asked for', (t) => {
  const memory = newHeap(10, 100)
  const map = SharedMap.open(memory, 'map')
  const shardBits = memory.getInt32(map.ptr + 4 * SHARD_BITS)
  for (const bits of [shardBits + 1, shardBits - 1, 0, 26, 31, -1]) {
    memory.setInt32(map.ptr + 4 * SHARD_BITS, bits)
    t.throws(() => SharedMap.at(memory, map.ptr), { code: 'ERR_HEAP_CORRUPTED' })
    t.throws(() => SharedMap.open(memory, 'map'), { code: 'ERR_HEAP_CORRUPTED' })
  }
  memory.setInt32(map.ptr + 4 * SHARD_BITS, shardBits)
  t.is(SharedMap.at(memory, map.ptr).set('key', 1).get('key'), 1)
})

test('a number of buckets that is none is an error with a code for whoever changes the map', (t) => {
  for (const count of [-1, -(2 ** 31), 2 ** 31 - 1]) {
    const memory = newHeap(10, 100)
    const map = SharedMap.create(memory, { maxEntries: 100 })
    for (let key = 0; key < 60; key++) map.set(key, key)
    const words = wordsOf(map)
    for (let shard = FIRST_SHARD; shard < words.length; shard += SHARD_WORDS) {
      words[shard + BUCKETS] = count
    }
    for (let key = 0; key < 80; key++) {
      const code = codeOf(() => map.set(key, key))
      t.true(['nothing thrown', 'ERR_HEAP_CORRUPTED'].includes(code))
    }
    t.throws(() => [...map], { code: 'ERR_HEAP_CORRUPTED' })
  }
})

test('a key that would lie beyond the memory is an error of the map', (t) => {
  for (const [key, tag] of [
    ['a key in Latin-1', Tag.Latin1],
    ['κλειδί', Tag.Utf16],
    [new Uint8Array(9), Tag.Bytes],
  ]) {
    const memory = newHeap(1, 1)
    const map = SharedMap.create(memory)
    map.set(key, true)
    const words = new Int32Array(memory.buffer)
    const byteLength = key.length * (tag === Tag.Utf16 ? 2 : 1)
    words[words.indexOf((byteLength << 8) | (Tag.True << VALUE_TAG_SHIFT) | tag)] |= 0xffffff00
    t.throws(() => [...map.keys()], { code: 'ERR_HEAP_CORRUPTED' })
    t.throws(() => [...map], { code: 'ERR_HEAP_CORRUPTED' })
  }
})

test('a number that would lie beyond the memory is an error, and no value', (t) => {
  const memory = newHeap(1, 1)
  const map = SharedMap.create(memory, { maxEntries: 10 })
  map.set(1, 2.5)
  t.deepEqual([...map.values()], [2.5])
  const words = new Int32Array(memory.buffer)
  const meta = words.indexOf((8 << 8) | (Tag.Number << VALUE_TAG_SHIFT) | Tag.Number)
  words[meta] |= 0xffffff00
  t.throws(() => [...map.values()], { code: 'ERR_HEAP_CORRUPTED' })
})

test('a memory of 4 GiB has maps, and may become so long while it has one', (t) => {
  const memory = new LocalSharedMemory(10, 65_536)
  const early = SharedMap.create(memory)
  early.set('before', 1)
  memory.grow(65_536 - memory.buffer.byteLength / 65_536)
  const low = memory.malloc(4_200_000_000)
  memory.setUint8(2 ** 32 - 1, 0)
  const map = SharedMap.create(memory, { maxEntries: 100 })
  for (const it of [early, map]) {
    for (let key = 0; key < 200; key++) it.set(key, `${key}`)
    t.is(it.get(199), '199')
    t.true(it.delete(199))
    t.false(it.has(199))
    t.is([...it].length, it.size)
  }
  t.is(early.get('before'), 1)
  early.set('far', 'x'.repeat(1_000_000))
  t.is(early.get('far').length, 1_000_000)
  early.set('more', 1)
  t.is(map.size, 99)
  for (const it of [early, map]) it.destroy()
  memory.free(low)
  t.is(memory.length, 0)
})
