// Accessors and Atomics methods against the raw calls that they stand for, in the same loop.

import { ours } from '../contenders/index.js'
import { loop } from '../harness/loop.js'

const BYTES = 4096

const types = [
  'Int8',
  'Uint8',
  'Int16',
  'Uint16',
  'Int32',
  'Uint32',
  'Float32',
  'Float64',
  'BigInt64',
  'BigUint64',
  ...('getFloat16' in DataView.prototype ? ['Float16'] : []),
]

const isBig = (type) => type.startsWith('Big')

function add(type, value) {
  if (!isBig(type)) return `sum += ${value}`
  return `sum = BigInt.as${type === 'BigInt64' ? 'Int' : 'Uint'}N(64, sum + ${value})`
}

const getters = types.map((type) => ({
  title: `get${type}`,
  zero: isBig(type) ? '0n' : '0',
  raw: add(type, `view.get${type}(at, true)`),
  own: add(type, `target.get${type}(at)`),
}))

const setters = types.map((type) => ({
  title: `set${type}`,
  raw: `view.set${type}(at, ${isBig(type) ? '7n' : '7'}, true)`,
  own: `target.set${type}(at, ${isBig(type) ? '7n' : '7'})`,
}))

/** A case of one expression against another; `target` and `view` are what they are about. */
export function accessCase({ title, zero, raw, own }, most, target, view, base) {
  const entrant = (row, expression) => {
    const timed = loop(expression, zero)
    return { row, most, run: (ops) => timed(target, view, base, ops), finish() {} }
  }
  return {
    title,
    enter: () => ({ entrants: [entrant('raw', raw), entrant(ours.name, own)], absent: [] }),
  }
}

const atomics = {
  add: '1',
  sub: '1',
  and: '255',
  or: '1',
  xor: '1',
  exchange: '1',
  compareExchange: '1, 2',
  load: '',
  store: '1',
  notify: '1',
}

const integers = [Int8Array, Uint8Array, Int16Array, Uint16Array, Uint32Array, BigInt64Array]

function atomicCase(method, values, Type, most, target) {
  const { BYTES_PER_ELEMENT: size, name } = Type
  const big = isBig(name)
  const rest = values && `, ${big ? values.replaceAll(/\d+/g, '$&n') : values}`
  const index = `at >>> ${Math.log2(size)}`
  const read = (call) => (big ? `sum = ${call}` : `sum += ${call}`)
  const expressions = {
    title: `${method} (${name})`,
    zero: big ? '0n' : '0',
    raw: read(`Atomics.${method}(view, ${index}${rest})`),
    own: read(`target.${method}(${name}, ${index}${rest})`),
  }
  return accessCase(expressions, most, target, new Type(target.buffer), target.malloc(BYTES))
}

function viewCase(most, target) {
  const block = target.malloc(BYTES)
  const view = target.arrayView(Int32Array, block, BYTES / 4)
  const raw = 'sum += Atomics.add(view, at >>> 2, 1)'
  const own = 'sum += target.add(view, at >>> 2, 1)'
  return accessCase({ title: 'add (an arrayView)', raw, own }, most, target, view, 0)
}

const BLOCK_SIZES = [64, 1024, 16 * 1024, 1024 * 1024]

function bytesCases(most, target) {
  const view = new Uint8Array(target.buffer)
  return BLOCK_SIZES.flatMap((size) => {
    const block = target.malloc(2 * size)
    const [title, ops] = [`${size.toLocaleString('en')} B`, Math.ceil(most / (16 + size / 64))]
    const copy = {
      title: `memcpy, ${title}`,
      raw: `view.copyWithin(base, base + ${size}, base + ${2 * size})`,
      own: `target.memcpy(base, base + ${size}, ${size})`,
    }
    const fill = {
      title: `memset, ${title}`,
      raw: `view.fill(i, base, base + ${size})`,
      own: `target.memset(base, i, ${size})`,
    }
    return [copy, fill].map((each) => accessCase(each, ops, target, view, block))
  })
}

const shared = { unit: 'ns per call', transposed: true, reference: 'raw' }

export const groups = [
  {
    ...shared,
    name: 'accessors',
    title: 'get and set against DataView',
    difference: true,
    cases({ scale }) {
      if (!ours) return []
      const memory = ours.open()
      const view = new DataView(memory.buffer)
      const base = memory.malloc(BYTES)
      const most = 8_000_000 * scale
      return [...getters, ...setters].map((each) => accessCase(each, most, memory, view, base))
    },
  },
  {
    ...shared,
    name: 'bytes',
    title: 'memcpy and memset against copyWithin and fill',
    cases: ({ scale }) => (ours ? bytesCases(20_000_000 * scale, ours.open()) : []),
  },
  {
    ...shared,
    name: 'atomics',
    title: 'Atomics methods against Atomics',
    cases({ scale }) {
      if (!ours) return []
      const memory = ours.open()
      const most = 2_000_000 * scale
      return [
        ...Object.entries(atomics).map(([method, values]) =>
          atomicCase(method, values, Int32Array, most, memory),
        ),
        ...integers.map((Type) => atomicCase('add', '1', Type, most, memory)),
        viewCase(most, memory),
      ]
    },
  },
]
