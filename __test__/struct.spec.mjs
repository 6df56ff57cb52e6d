// struct: fields lie as C lays them out, read and write what they should and nothing else, by property and by pointer.

import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import test from 'ava'
import LocalSharedMemory from '../index.js'
import { struct } from '../structures/index.js'
import { specialised } from '../structures/struct/specialised.js'
import { randomFrom } from './fixtures/random.mjs'
import { launch, reportsOf } from './fixtures/launch.mjs'
import { INVALID_TYPE, OUT_OF_RANGE } from './fixtures/refusals.mjs'

const LATEST = 60_000

/** Bytes and values of each number: the least, the greatest, and what comes of one more than that. */
const NUMBERS = {
  i8: [1, -(2 ** 7), 2 ** 7 - 1],
  u8: [1, 0, 2 ** 8 - 1],
  i16: [2, -(2 ** 15), 2 ** 15 - 1],
  u16: [2, 0, 2 ** 16 - 1],
  i32: [4, -(2 ** 31), 2 ** 31 - 1],
  u32: [4, 0, 2 ** 32 - 1],
  i64: [8, -(2n ** 63n), 2n ** 63n - 1n],
  u64: [8, 0n, 2n ** 64n - 1n],
  f32: [4, -1.5, 2 ** 100],
  f64: [8, -Number.MAX_VALUE, Number.MIN_VALUE],
}
if ('Float16Array' in globalThis) NUMBERS.f16 = [2, -65_504, 0.5]
const INTEGERS = Object.keys(NUMBERS).filter((name) => !name.startsWith('f'))

const newMemory = (shared = true) => new LocalSharedMemory(2, 100, shared)

test('a struct lies as C lays it out', (t) => {
  const Inner = struct({ flag: 'bool', weight: 'f32' })
  const Outer = struct({
    tag: 'u8',
    price: 'f64',
    name: 'utf8(5)',
    count: 'atomic u16',
    inner: Inner,
    sizes: 'i64[2]',
    last: 'bool',
  })
  // struct inner { bool flag; float weight; };
  // struct outer { uint8_t tag; double price; char name[5]; _Atomic uint16_t count; struct inner inner; int64_t sizes[2]; bool last; };
  t.deepEqual(Inner.offsets, { flag: 0, weight: 4 })
  t.deepEqual([Inner.byteLength, Inner.alignBytes], [8, 4])
  t.deepEqual(Outer.offsets, {
    tag: 0,
    price: 8,
    name: 16,
    count: 22,
    inner: 24,
    sizes: 32,
    last: 48,
  })
  t.deepEqual([Outer.byteLength, Outer.alignBytes], [56, 8])
})

/** A random description, with the bytes and the alignment of each field. */
const randomFields = (random) => {
  const names = Object.keys(NUMBERS)
  const kinds = [
    (name, bytes) => [name, bytes, bytes],
    (name, bytes, count) => [`${name}[${count}]`, bytes * count, bytes],
    (name, bytes, count) => [`utf8(${count})`, count, 1],
    () => ['bool', 1, 1],
  ]
  return Array.from({ length: 1 + random(12) }, (_, index) => {
    const name = names[random(names.length)]
    return [`field${index}`, ...kinds[random(4)](name, NUMBERS[name][0], 1 + random(9))]
  })
}

test('a struct takes over one that overlaps with it', (t) => {
  const Inner = struct({ first: 'u32', second: 'u32', third: 'u32' })
  const Outer = struct({ before: 'u32', inner: Inner, after: 'u32' })
  for (const shared of [true, false]) {
    const memory = new LocalSharedMemory(1, 10, shared)
    for (const [from, expected] of [
      [0, [1, 1, 2, 3, 5]],
      [8, [1, 3, 4, 5, 5]],
    ]) {
      const outer = Outer.create(memory)
      const words = memory.arrayView(Uint32Array, outer.ptr)
      words.set([1, 2, 3, 4, 5])
      outer.inner = Inner.at(memory, outer.ptr + from)
      t.deepEqual([...words], expected)
    }
  }
})

test('each field lies at the first place behind the others that its alignment allows', (t) => {
  const random = randomFrom(1)
  for (let round = 0; round < 500; round++) {
    const fields = randomFields(random)
    const { offsets, byteLength, alignBytes } = struct(
      Object.fromEntries(fields.map(([name, type]) => [name, type])),
    )
    let [end, align] = [0, 1]
    for (const [name, , bytes, alignment] of fields) {
      t.is(offsets[name] % alignment, 0)
      t.true(offsets[name] >= end && offsets[name] < end + alignment)
      end = offsets[name] + bytes
      align = Math.max(align, alignment)
    }
    t.is(alignBytes, align)
    t.true(byteLength % align === 0 && byteLength >= end && byteLength < end + align)
  }
})

/** A text of at most so many bytes. */
const randomText = (random, room) => {
  const units = Array.from({ length: 1 + random(room) }, () => ['x', 'ä', '漢', '😀'][random(4)])
  while (Buffer.byteLength(units.join('')) > room) units.pop()
  return units.join('')
}

const randomValue = (random, type) => {
  const [, name, array, room] = /^(\w+)(?:\[(\d+)\]|\((\d+)\))?/.exec(type)
  if (name === 'bool') return random(2) === 1
  if (name === 'utf8') return randomText(random, Number(room))
  const one = () => NUMBERS[name][1 + random(2)]
  return array === undefined ? one() : Array.from({ length: Number(array) }, one)
}

const plain = (value) => (ArrayBuffer.isView(value) ? [...value] : value)

test('each field holds what was written to it last, and no byte outside is touched', (t) => {
  const random = randomFrom(2)
  const memory = newMemory()
  for (let round = 0; round < 200; round++) {
    const fields = randomFields(random)
    const Random = struct(Object.fromEntries(fields.map(([name, type]) => [name, type])))
    const guard = 16
    const block = memory.malloc(Random.byteLength + 2 * guard)
    memory.memset(block, 0xaa, Random.byteLength + 2 * guard)
    const view = Random.at(memory, block + guard)
    const values = new Map()
    for (let write = 0; write < 3 * fields.length; write++) {
      const [name, type] = fields[random(fields.length)]
      const value = randomValue(random, type)
      view[name] = value
      values.set(name, value)
      for (const [written, expected] of values) t.deepEqual(plain(view[written]), expected)
    }
    const bytes = new Uint8Array(memory.arrayBuffer(block))
    const used = new Set(
      fields.flatMap(([name, , length]) =>
        Array.from({ length }, (_, at) => guard + Random.offsets[name] + at),
      ),
    )
    t.true(bytes.every((byte, at) => used.has(at) || byte === 0xaa))
    memory.free(block)
  }
})

test('numbers become what the typed array of their kind makes of them, little-endian', (t) => {
  const memory = newMemory()
  for (const [name, [, least, greatest]] of Object.entries(NUMBERS)) {
    const One = struct({ pad: 'u8', value: name })
    const one = One.create(memory)
    for (const value of [least, greatest]) {
      one.value = value
      t.is(one.value, value)
    }
    if (typeof greatest === 'number' && !name.startsWith('f')) {
      one.value = greatest + 1
      t.is(one.value, least)
      one.value = 1.9
      t.is(one.value, 1)
    }
    if (typeof greatest === 'bigint') {
      one.value = greatest + 1n
      t.is(one.value, least)
    }
  }
  const word = struct({ value: 'u32' }).create(memory)
  word.value = 0x01020304
  t.is(memory.getUint32(word.ptr), 0x01020304)
})

test('a text ends at its first NUL or with its room', (t) => {
  const memory = newMemory()
  const Named = struct({ name: 'utf8(6)', behind: 'u8' })
  const named = Named.create(memory)
  named.behind = 7
  for (const text of ['', 'abc', 'abcdef', 'äöü', '漢字', '😀!']) {
    named.name = text
    t.is(named.name, text)
  }
  t.throws(() => (named.name = 'abcdefg'), OUT_OF_RANGE)
  t.throws(() => (named.name = '漢字x'), OUT_OF_RANGE)
  t.is(named.name, '😀!')
  named.name = 'a\0b'
  t.is(named.name, 'a')
  named.name = 'x'
  t.deepEqual([...new Uint8Array(memory.arrayBuffer(named.ptr, 6))], [120, 0, 0, 0, 0, 0])
  t.is(named.behind, 7)
})

test('an array is live, and takes as many values as it has room for', (t) => {
  const memory = newMemory()
  const Sizes = struct({ sizes: 'u16[3]', next: 'u16' })
  const it = Sizes.create(memory)
  const { sizes } = it
  it.sizes = [1, 2, 3]
  t.deepEqual([...sizes], [1, 2, 3])
  sizes[1] = 9
  t.deepEqual([...it.sizes], [1, 9, 3])
  it.sizes = [5]
  t.deepEqual([...it.sizes], [5, 9, 3])
  t.throws(() => (it.sizes = [1, 2, 3, 4]), OUT_OF_RANGE)
  t.throws(() => (it.sizes = [1n]), INVALID_TYPE)
  t.is(it.next, 0)
})

test('an array that is refused leaves the field as it was', (t) => {
  const memory = newMemory()
  const Sizes = struct({ sizes: 'u16[4]', sums: 'i64[2]' })
  const it = Sizes.create(memory)
  const { sizes } = Sizes.fields(memory)
  it.sizes = [1, 2, 3, 4]
  it.sums = [1n, 2n]
  const throwing = {
    length: 3,
    0: 9,
    1: 8,
    get 2() {
      throw new Error('a getter')
    },
  }
  const wrong = [[9, 8, 7n, 6], [9, 8, Symbol('no number')], throwing, new BigInt64Array(4)]
  const noArrays = [5, true, 1n, 'zz', '', Symbol('none'), null, undefined, {}, new Date(0)]
  for (const bad of [...wrong, ...noArrays, new DataView(new ArrayBuffer(8)), () => 1]) {
    t.throws(() => (it.sizes = bad), INVALID_TYPE)
    t.throws(() => sizes.set(it.ptr, bad), INVALID_TYPE)
    t.deepEqual([...it.sizes], [1, 2, 3, 4])
  }
  for (const bad of [[9n, 5], [9], new Float64Array(2)]) {
    t.throws(() => (it.sums = bad), INVALID_TYPE)
    t.deepEqual([...it.sums], [1n, 2n])
  }
  for (const bad of [{ length: 2 ** 40, 0: 9 }, new Uint8Array(5), new Set([1, 2, 3, 4, 5])]) {
    t.throws(() => (it.sizes = bad), OUT_OF_RANGE)
    t.deepEqual([...it.sizes], [1, 2, 3, 4])
  }
})

test('an array takes typed arrays, array-likes and iterables', (t) => {
  const memory = newMemory(false)
  const it = struct({ sizes: 'u16[3]' }).create(memory)
  const growing = {
    length: 2,
    0: 5,
    get 1() {
      memory.grow(1)
      return 6
    },
  }
  const taken = (values) => {
    it.sizes = values
    return Array.from(it.sizes)
  }
  t.deepEqual(taken(new Float32Array([1.5, -1])), [1, 65_535, 0])
  t.deepEqual(taken(new Set([7, 8, 9])), [7, 8, 9])
  t.deepEqual(taken(it.sizes.subarray(1)), [8, 9, 9])
  t.deepEqual(taken(growing), [5, 6, 9])
})

test('a struct in a struct is live, and is copied from another', (t) => {
  const memory = newMemory()
  const Point = struct({ x: 'f32', y: 'f32' })
  const Line = struct({ id: 'u8', from: Point, to: Point })
  const line = Line.create(memory)
  const { from } = line
  from.x = 1.5
  line.to = line.from
  line.from.x = 2
  t.deepEqual([line.from.x, line.to.x, line.to.y], [2, 1.5, 0])
  const elsewhere = Point.create(newMemory())
  elsewhere.y = 4
  line.from = elsewhere
  t.deepEqual([line.from.x, line.from.y], [0, 4])
  for (const bad of [undefined, {}, { x: 1, y: 2 }, line, Object.create(Point.prototype)])
    t.throws(() => (line.to = bad), INVALID_TYPE)
})

test('an array of structs', (t) => {
  const memory = newMemory()
  const Item = struct({ id: 'u8', price: 'f64' })
  const one = Item.array(memory, 1)
  t.is(one.length, 1)
  memory.free(one.ptr)
  const items = Item.array(memory, 5)
  t.deepEqual([items.length, items.byteLength], [5, 80])
  t.is(memory.sizeof(items.ptr), 80)
  for (const [index, item] of [...items].entries()) item.price = index
  t.is(items.at(3).price, 3)
  t.is(items.ptrAt(3), items.ptr + 48)
  const same = Item.arrayAt(memory, items.ptr, 5)
  t.deepEqual(
    [...same].map(({ price }) => price),
    [0, 1, 2, 3, 4],
  )
  for (const bad of [-1, 5, 1.5, NaN]) t.throws(() => items.at(bad), OUT_OF_RANGE)
  for (const bad of ['1', undefined]) t.throws(() => items.ptrAt(bad), INVALID_TYPE)
  for (const bad of [0, -1, 1.5, 2 ** 40]) {
    t.throws(() => Item.array(memory, bad), OUT_OF_RANGE)
    t.throws(() => Item.arrayAt(memory, items.ptr, bad), OUT_OF_RANGE)
  }
  t.throws(() => Item.arrayAt(memory, items.ptr, 200_000), OUT_OF_RANGE)
  memory.free(items.ptr)
  t.is(memory.length, 0)
})

test('a class can extend one', (t) => {
  const memory = newMemory()
  class Account extends struct({ cents: 'i64', owner: 'utf8(8)' }) {
    get euros() {
      return Number(this.cents) / 100
    }
  }
  const account = Account.create(memory)
  account.cents = 250n
  t.true(account instanceof Account)
  t.is(account.euros, 2.5)
  t.is(Account.at(memory, account.ptr).euros, 2.5)
  t.is(Account.array(memory, 2).at(1).euros, 0)
  const Bank = struct({ first: Account })
  t.is(Bank.at(memory, account.ptr).first.euros, 2.5)
})

for (const shared of [true, false]) {
  test(`fields by pointer do what Atomics does, in a memory that is ${shared ? '' : 'not '}shared`, (t) => {
    const memory = newMemory(shared)
    for (const name of INTEGERS) {
      for (const type of [name, `atomic ${name}`]) {
        const Words = struct({ before: 'u8', word: type, after: 'u8' })
        const words = Words.array(memory, 3)
        const { ptr } = words.at(1)
        const { word } = Words.fields(memory)
        const number = name.endsWith('64') ? BigInt : Number
        t.is(word.offset, Words.offsets.word)
        t.is(word.add(ptr, number(5)), number(0))
        t.is(word.sub(ptr, number(1)), number(5))
        t.is(word.or(ptr, number(3)), number(4))
        t.is(word.and(ptr, number(6)), number(7))
        t.is(word.xor(ptr, number(7)), number(6))
        t.is(word.exchange(ptr, number(9)), number(1))
        t.is(word.compareExchange(ptr, number(8), number(2)), number(9))
        t.is(word.compareExchange(ptr, number(9), number(2)), number(9))
        t.is(word.load(ptr), number(2))
        t.is(word.store(ptr, number(3)), number(3))
        t.is(word.get(ptr), number(3))
        word.set(ptr, number(4))
        t.is(words.at(1).word, number(4))
        words.at(1).word = number(6)
        t.is(word.load(ptr), number(6))
        for (const other of [words.at(0), words.at(2)]) t.is(other.word, number(0))
        t.deepEqual([words.at(1).before, words.at(1).after], [0, 0])
        if (Words.alignBytes > 1) t.throws(() => word.add(ptr + 1, number(1)), OUT_OF_RANGE)
        for (const bad of [0, -8, NaN, 2 ** 32 - 8]) {
          t.throws(() => word.add(bad, number(1)), OUT_OF_RANGE)
          t.throws(() => word.get(bad), OUT_OF_RANGE)
        }
        t.throws(() => word.add('16', number(1)), INVALID_TYPE)
        t.throws(() => word.add(ptr, name.endsWith('64') ? 1 : 1n), INVALID_TYPE)
        memory.free(words.ptr)
      }
    }
  })
}

test('fields that are not integers are read and written by pointer', (t) => {
  const memory = newMemory()
  const All = struct({ price: 'f64', name: 'utf8(8)', on: 'bool', sizes: 'u8[2]' })
  const { ptr } = All.create(memory)
  const { price, name, on, sizes } = All.fields(memory)
  price.set(ptr, 1.5)
  name.set(ptr, 'name')
  on.set(ptr, true)
  sizes.set(ptr, [1, 2])
  t.deepEqual(
    [price.get(ptr), name.get(ptr), on.get(ptr), ...sizes.get(ptr)],
    [1.5, 'name', true, 1, 2],
  )
  t.is(price.add, undefined)
})

test('threads add to one field, and wait on another', async (t) => {
  const [threads, rounds] = [3, 20_000]
  const memory = newMemory()
  const Counter = struct({ name: 'utf8(4)', hits: 'atomic u32', turn: 'i32' })
  const counter = Counter.create(memory)
  const { hits, turn } = Counter.fields(memory)
  const launched = Array.from({ length: threads }, () =>
    launch('struct-worker.mjs', { memory, ptr: counter.ptr, rounds }),
  )
  t.is(turn.wait(counter.ptr, 1), 'not-equal')
  const { value } = turn.waitAsync(counter.ptr, 0, LATEST)
  await value
  await reportsOf(LATEST, launched)
  t.is(hits.load(counter.ptr), threads * rounds)
  t.is(counter.hits, threads * rounds)
})

// For the next test.
const read = (all) => [
  all.id,
  all.big,
  all.on,
  all.hits,
  all.turn,
  all.name,
  [...all.sizes],
  all.inner.x,
]
const write = (all, value) => {
  all.id = value
  all.big = BigInt(value)
  all.on = value % 2 === 1
  all.hits = value
  all.turn = BigInt(value)
  all.name = `n${value}`
  all.sizes = [value, value]
  all.inner.x = value
}
const expected = (value) => [
  value,
  BigInt(value),
  value % 2 === 1,
  value,
  BigInt(value),
  `n${value}`,
  [value, value],
  value,
]

for (const shared of [true, false]) {
  test(`what is there stays good while the memory grows: ${shared ? '' : 'not '}shared`, (t) => {
    const memory = newMemory(shared)
    const All = struct({
      id: 'u32',
      big: 'i64',
      on: 'bool',
      hits: 'atomic i32',
      turn: 'atomic u64',
      name: 'utf8(8)',
      sizes: 'u16[2]',
      inner: struct({ x: 'f32' }),
    })
    const readers = Array.from({ length: 9 }, () => All.create(memory))
    const writers = Array.from({ length: 9 }, () => All.create(memory))
    for (const all of readers) write(all, 1)
    const fields = All.fields(memory)
    memory.malloc(1_000_000)
    const names = Object.keys(All.offsets)
    for (const [index, all] of readers.entries()) {
      if (index < 8)
        t.deepEqual(plain(all[names[index]]), index === 7 ? all.inner : expected(1)[index])
      t.deepEqual(read(all), expected(1))
    }
    for (const [index, all] of writers.entries()) {
      if (index < 7) all[names[index]] = expected(3)[index]
      if (names[index] === 'on') t.is(memory.getUint8(all.ptr + All.offsets.on), 1)
      write(all, 3)
      t.deepEqual(read(All.at(memory, all.ptr)), expected(3))
    }
    t.is(fields.hits.add(readers[0].ptr, 2), 1)
    const later = All.at(memory, memory.calloc(1, All.byteLength))
    write(later, 4)
    t.deepEqual(read(later), expected(4))
  })
}

test('a value of another type is refused, and nothing is written', (t) => {
  const memory = newMemory()
  const All = struct({
    id: 'u32',
    big: 'u64',
    on: 'bool',
    name: 'utf8(8)',
    hits: 'atomic u8',
    turn: 'atomic i64',
    x: 'f32',
  })
  const all = All.create(memory)
  const bytes = () => [...new Uint8Array(memory.arrayBuffer(all.ptr))]
  const before = bytes()
  const good = {
    id: 'number',
    big: 'bigint',
    on: 'boolean',
    name: 'string',
    hits: 'number',
    turn: 'bigint',
    x: 'number',
  }
  for (const value of [undefined, null, 1, 1n, 'a', true, {}, Symbol('s')]) {
    for (const [name, type] of Object.entries(good)) {
      // oxlint-disable-next-line valid-typeof -- its name
      if (typeof value !== type) t.throws(() => (all[name] = value), INVALID_TYPE)
    }
  }
  t.deepEqual(bytes(), before)
})

test('a place where no such struct can be is refused', (t) => {
  const memory = newMemory()
  const Wide = struct({ wide: 'f64' })
  for (const bad of [0, -8, 1.5, NaN, 12, 2 * 65_536, 2 ** 32])
    t.throws(() => Wide.at(memory, bad), OUT_OF_RANGE)
  const { count } = struct({ count: 'i32' }).fields(memory)
  for (const bad of [undefined, null, '16', 16n, Symbol('none'), { valueOf: () => t.fail() }]) {
    t.throws(() => Wide.at(memory, bad), INVALID_TYPE)
    t.throws(() => count.get(bad), INVALID_TYPE)
    t.throws(() => count.set(bad, 0), INVALID_TYPE)
    t.throws(() => count.add(bad, 0), INVALID_TYPE)
  }
  const alike = [Object.create(memory), new Proxy(memory, {})]
  for (const bad of [undefined, {}, new WebAssembly.Memory({ initial: 1 }), ...alike]) {
    t.throws(() => Wide.at(bad, 16), INVALID_TYPE)
    t.throws(() => Wide.create(bad), INVALID_TYPE)
    t.throws(() => Wide.array(bad, 1), INVALID_TYPE)
    t.throws(() => Wide.arrayAt(bad, 16, 1), INVALID_TYPE)
    t.throws(() => Wide.fields(bad), INVALID_TYPE)
  }
  t.notThrows(() => Wide.at(memory, 2 * 65_536 - 8))
})

test('a description that makes no sense is refused', (t) => {
  for (const bad of [undefined, null, 1, 'u8']) t.throws(() => struct(bad), INVALID_TYPE)
  const TYPES = [
    'u33',
    '',
    'U8',
    'atomic f64',
    'atomic bool',
    'utf8(0)',
    'utf8()',
    'utf8(-1)',
    'u8[0]',
    'u8[]',
    'u8[01]',
  ]
  const MORE = [
    'bool[2]',
    'utf8(2)[2]',
    'u8[99999999999]',
    'toString',
    'u8\n',
    1,
    null,
    undefined,
    {},
    () => {},
    Map,
  ]
  for (const bad of [...TYPES, ...MORE])
    t.throws(() => struct({ field: bad }), OUT_OF_RANGE, inspect(bad))
  if (!('Float16Array' in globalThis)) t.throws(() => struct({ field: 'f16' }), OUT_OF_RANGE)
  for (const name of ['ptr', 'memory', 'constructor', '__proto__', '', '1', 'a b', 'a;b']) {
    t.throws(() => struct({ [name]: 'u8' }), OUT_OF_RANGE, name)
  }
  t.throws(() => struct({}), OUT_OF_RANGE)
  t.throws(() => struct({ a: 'u8[4294967295]', b: 'u8' }), OUT_OF_RANGE)
})

test('it shows itself', (t) => {
  const memory = newMemory()
  class Order extends struct({ id: 'u32', name: 'utf8(8)' }) {}
  const order = Order.create(memory)
  order.id = 3
  order.name = 'three'
  t.is(inspect(order), `Order { ptr: ${order.ptr}, id: 3, name: 'three' }`)
  t.is(inspect([[[order]]], { depth: 2 }), '[ [ [ [Order] ] ] ]')
  t.regex(inspect([[order]], { depth: 2 }), /id: 3/)
  t.regex(
    inspect(Order.array(memory, 2)),
    /^StructArray \{ ptr: \d+, length: 2, byteLength: 24 \}$/,
  )
})

test('it works where no code may be compiled at run time', (t) => {
  const { href } = new URL('../index.js', import.meta.url)
  const program = `
    import LocalSharedMemory from '${href}'
    import { struct } from '${new URL('../structures/index.js', import.meta.url)}'
    const One = struct({ on: 'bool', id: 'u32', big: 'i64', hits: 'atomic u16' })
    const one = One.create(new LocalSharedMemory(1, 1))
    Object.assign(one, { on: true, id: 7, big: 8n, hits: 9 })
    console.log(one.on, one.id, one.big, one.hits)`
  const flags = ['--disallow-code-generation-from-strings', '--input-type=module', '-e', program]
  const cwd = fileURLToPath(new URL('.', import.meta.url))
  t.is(execFileSync(process.execPath, flags, { cwd, encoding: 'utf8' }), 'true 7 8n 9\n')
})

test('a field works where a tool has put names of its file into the source of its accessor', (t) => {
  let calls = 0
  const count = () => calls++
  const made = specialised((by) => {
    count()
    return (value) => value * by
  }, 3)
  t.is(made(5), 15)
  t.is(calls, 1)
})

test('the methods of a field have names', (t) => {
  const memory = new LocalSharedMemory()
  const { count } = struct({ count: 'u32' }).fields(memory)
  t.is(count.add.name, 'add')
  t.is(count.compareExchange.name, 'compareExchange')
})

test('a struct within a struct is assigned after a memory that is not shared has grown', (t) => {
  const memory = newMemory(false)
  const Inner = struct({ count: 'u32' })
  const Outer = struct({ tag: 'u32', inner: Inner })
  const [inner, outer] = [Inner.create(memory), Outer.create(memory)]
  inner.count = 7
  memory.malloc(1_000_000)
  outer.inner = inner
  t.is(outer.inner.count, 7)
})

test('what the constructor of a derived struct throws leaves no block behind', (t) => {
  class Broken extends struct({ count: 'u32' }) {
    constructor(memory, ptr) {
      super(memory, ptr)
      throw new Error('broken')
    }
  }
  const memory = newMemory()
  t.throws(() => Broken.create(memory), { message: 'broken' })
  t.is(memory.stats().blockCount, 0)
})
