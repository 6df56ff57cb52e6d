// What a thread keeps, over plain typed arrays in the place of a memory and of the native side's words: which blocks are
// given out, which are taken, and what is left to the native side.

import test from 'ava'
import LocalSharedMemory from '../index.js'
import binding from '../lib/native/binding.js'
import { heapOf } from '../lib/memory/blocks.js'
import { threadCacheFor } from '../lib/cache/thread-cache.js'

/** What the native side has, and the code of the cache has written out. */
const layout = binding.cacheLayout()
const {
  own: OWN,
  limits: LIMITS,
  published: PUBLISHED,
  width: WIDTH,
  end: END,
  moved: MOVED,
} = layout
const { overIdle: OVER_IDLE, overIdleBelow: OVER_IDLE_BELOW, short: SHORT, spare: SPARE } = layout
const { largeSpare: LARGE_SPARE, longSpare: LONG_SPARE, longKept: LONG_KEPT } = layout
const { refusals: REFUSALS, long: LONG, common: COMMON, stacks: STACKS } = layout
const { sizes: SIZES, largeHeads: LARGE_HEADS, leastLargeUnits: LEAST_LARGE } = layout
const { kept: KEPT, classBits: CLASS_BITS, liveLarge: LIVE_LARGE, digits: DIGIT } = layout
/** Bytes of the longest request that a class serves. */
const LONGEST = layout.largest - layout.header
const MOST_REFUSALS = 32
const DEPTH = 64
/** The class of blocks of 64 bytes: up to 512, its number is that of their grains. */
const SMALL = 4
/** The state of one that is kept. */
const KEPT_SMALL = KEPT ^ SMALL
const BYTES = 1 << 21

/** That class, and one stack of large blocks, of 64 to 71 units. */
const CLASSES = [
  { head: SMALL * 8, stride: 64, start: STACKS },
  { head: LARGE_HEADS + 8 * 8, stride: 0, longest: 72 * 1024, start: STACKS + DEPTH },
]

const makeCache = ({
  width = 4,
  most = DEPTH,
  spare = 0,
  overIdleBelow = 0,
  own = [KEPT, CLASS_BITS],
  bytes = BYTES,
} = {}) => {
  const cache = new (threadCacheFor(...own))()
  const rows = new Int32Array(65_536)
  rows[SPARE] = spare
  rows[OVER_IDLE_BELOW] = overIdleBelow
  rows[SIZES + SMALL] = CLASSES[0].head
  for (const { head, stride, longest = stride, start } of CLASSES) {
    const [empty, limits] = [(start << 16) | start, ((start + width) << 16) | stride]
    rows.set([empty, limits, longest, empty, width, start + DEPTH, 0, most], head)
  }
  cache.open(rows.buffer)
  cache.refresh(new Int32Array(bytes / 4), new ArrayBuffer(bytes / 16))
  return cache
}

/** A live block, as the native side would have made it. */
const makeLive = (cache, ptr, byteLength = 40) => {
  const { words, states } = cache
  words[ptr / 4 - 2] = byteLength
  words[ptr / 4 - 1] = 64
  words[ptr / 4 - 1 + 16] = 64
  states[ptr / 16] = SMALL
  return ptr
}

/** A block of 16 bytes that the cache keeps. */
const keepShortest = ({ words, rows, states }, ptr) => {
  const [head, slot] = [1 * 8, START + 32]
  rows.set([(slot << 16) | (slot + 1), (slot << 16) | 16], head)
  rows[slot] = ptr
  words[ptr / 4 - 1] = 16
  states[ptr / 16] = KEPT ^ 1
}

/** Bytes that may be asked for in a large block. */
const largeLength = (units) => units * 1024 - 24

const makeLarge = (cache, ptr, units, byteLength = largeLength(units)) => {
  const { words, states } = cache
  const size = units * 1024 - 16
  words[ptr / 4 - 2] = byteLength
  words[ptr / 4 - 1] = size
  words[(ptr + size) / 4 - 1] = size
  states[ptr / 16] = LIVE_LARGE
  for (let digit = 0; digit < 6; digit++)
    states[ptr / 16 + 1 + ((digit + 2) % 6)] = DIGIT + ((units >>> (4 * digit)) & 15)
  return ptr
}

const [{ head: HEAD, start: START }, { head: BIG }] = CLASSES

/** A large block that the cache keeps, alone on the stack with that head. */
const keepLarge = (cache, head, ptr, units) => {
  const slot = START + 2 * DEPTH
  makeLarge(cache, ptr, units, 0)
  cache.states[ptr / 16] = KEPT
  cache.rows.set([(slot << 16) | (slot + 1)], head)
  cache.rows[slot] = ptr
  return ptr
}

const figures = ({ rows }, head = HEAD) =>
  [rows[head + OWN] & 0xffff, rows[head + OWN] >>> 16, rows[head + LIMITS] >>> 16].map(
    (at) => at - rows[head + END] + DEPTH,
  )
const published = ({ rows }) =>
  [rows[HEAD + PUBLISHED] & 0xffff, rows[HEAD + PUBLISHED] >>> 16].map((at) => at - START)
/** A block whatever it takes, as malloc and free do it before they ask the native side. */
const pop = (cache, byteLength) => cache.pop(byteLength) || cache.popOlder(byteLength)
const push = (cache, ptr) => cache.push(ptr) || cache.pushNewer(ptr)

test('what is kept has the state that says by whom, and comes out only if it still has', (t) => {
  const cache = makeCache({ own: [-5, 0] })
  const { states } = cache
  const [small, other, large] = [1024, 2048, 16 + 64 * 1024]
  t.true(push(cache, makeLive(cache, small)))
  t.true(push(cache, makeLive(cache, other)))
  t.true(push(cache, makeLarge(cache, large, 66)))
  t.deepEqual([states[small / 16], states[other / 16], states[large / 16]], [-5, -5, -5])
  states[other / 16] = KEPT
  t.is(cache.pop(50), 0)
  t.is(cache.pop(50), small)
})

test('what is kept has the state that says of which class, and comes out only as one of that', (t) => {
  const cache = makeCache()
  const { states } = cache
  const [small, others] = [1024, [KEPT, KEPT ^ 3, KEPT ^ 5, KEPT ^ 127, SMALL, 0, LIVE_LARGE]]
  t.true(cache.push(makeLive(cache, small)))
  for (const state of others) {
    t.true(cache.push(makeLive(cache, 2048)))
    states[2048 / 16] = state
    t.is(cache.pop(50), 0)
    t.is(states[2048 / 16], state)
  }
  t.is(states[small / 16], KEPT_SMALL)
  t.is(cache.pop(50), small)
})

test('a block that was put in comes out again, the last one first', (t) => {
  const cache = makeCache()
  const ptrs = [1024, 2048, 3072].map((ptr) => makeLive(cache, ptr))
  for (const ptr of ptrs) {
    t.true(cache.push(ptr))
    t.deepEqual([cache.states[ptr / 16], cache.words[ptr / 4 - 2]], [KEPT_SMALL, 0])
  }
  for (const ptr of ptrs.toReversed()) {
    t.is(cache.pop(50), ptr)
    t.deepEqual([cache.states[ptr / 16], cache.words[ptr / 4 - 2]], [SMALL, 50])
  }
  t.is(cache.pop(50), 0)
})

test('lengths that no class serves are not popped, nor what is no length', (t) => {
  const cache = makeCache()
  cache.rows.fill(HEAD, SIZES, LARGE_HEADS)
  cache.push(makeLive(cache, 1024))
  cache.push(makeLarge(cache, 16 + 64 * 1024, 66))
  const live = makeLive(cache, 2048)
  for (const byteLength of [
    0,
    -1,
    1.5,
    NaN,
    2 ** 32 + 50,
    LONGEST + 1,
    '50',
    50n,
    undefined,
    null,
    {},
  ]) {
    t.is(cache.pop(byteLength), 0)
    t.is(cache.popOlder(byteLength), 0)
    t.is(cache.realloc(live, byteLength), 0)
  }
  t.is(cache.realloc(live, 65_000), 0)
  t.is(cache.pop(LONGEST), 1024)
  t.is(cache.pop(1), 0)
  keepShortest(cache, 4096)
  t.is(cache.pop(1), 4096)
  keepShortest(cache, 4096)
  cache.rows[SIZES + 1] = 1 * 8
  t.is(cache.realloc(live, 1), 4096)
})

test('what no class serves is no block of a class, and no large one by a way for blocks of classes', (t) => {
  const cache = makeCache()
  const live = makeLive(cache, 1024)
  keepShortest(cache, 4096)
  cache.rows.set([16], 1 * 8 + layout.longest)
  cache.rows[SHORT] = 1
  const large = keepLarge(cache, LARGE_HEADS, 16 + 8192, LEAST_LARGE + 1)
  t.is(cache.popLonger(LONGEST + 1), 0)
  t.is(cache.popSmall(LONGEST + 1), 0)
  t.is(cache.realloc(live, LONGEST + 1), 0)
  t.is(cache.popPiled(LONGEST), 0)
  t.is(cache.pop(LONGEST + 1), large)
})

test('each way to a block of a class takes the lengths of that class', (t) => {
  const older = makeCache()
  for (let index = 1; index <= 7; index++) t.true(push(older, makeLive(older, 1024 * index)))
  t.deepEqual(
    [40, 57].map((byteLength) => older.popOlder(byteLength)),
    [0, 0],
  )
  t.deepEqual(
    [41, 56].map((byteLength) => older.popOlder(byteLength) > 0),
    [true, true],
  )
  const cache = makeCache()
  const live = makeLive(cache, 1024)
  cache.rows[SIZES + 2] = HEAD
  t.deepEqual(
    [9, 24].map((byteLength) => cache.realloc(live, byteLength)),
    [live, live],
  )
  t.deepEqual(
    [8, 25].map((byteLength) => cache.realloc(live, byteLength)),
    [0, 0],
  )
})

test('the native side has put the class that serves a length where it is looked for', (t) => {
  const memory = new LocalSharedMemory(1)
  memory.malloc(1)
  const { cache } = heapOf(memory)
  const strideOf = (head) => cache.rows[head + LIMITS] & 0xffff
  for (let byteLength = 1; byteLength <= LONGEST; byteLength++) {
    const [size, head] = [byteLength + layout.header, cache.headForLength(byteLength)]
    if (strideOf(head) < size || strideOf(head - 8) >= size) t.fail(`${byteLength}: ${head}`)
  }
  t.is(cache.headForLength(LONGEST + 1), 0)
})

test('what is not plainly a live block is not pushed', (t) => {
  const spoil = [
    (cache) => (cache.states[64] = KEPT),
    (cache) => (cache.states[64] = 0),
    (cache) => (cache.states[64] = LIVE_LARGE),
    (cache) => (cache.states[64] = DIGIT),
    (cache) => {
      cache.states[64] = DIGIT
      cache.words[255] = 0
    },
    (cache) => (cache.words[254] = 0),
    (cache) => (cache.words[254] = 57),
    (cache) => (cache.words[254] = -1),
    (cache) => (cache.words[254] = -(2 ** 31)),
    (cache) => (cache.words[255] = 80),
    (cache) => (cache.words[255 + 16] = 80),
  ]
  for (const act of spoil) {
    const cache = makeCache()
    makeLive(cache, 1024)
    act(cache)
    t.false(push(cache, 1024))
    t.is(cache.headFor(1024), 0)
    t.is(cache.realloc(1024, 50), 0)
    t.deepEqual(figures(cache), [0, 0, 4])
  }
  const cache = makeCache()
  makeLive(cache, 1024)
  for (const ptr of [
    1025,
    1032,
    2 ** 32 + 1024,
    -1024,
    1024.5,
    NaN,
    BYTES,
    2 ** 31,
    '1024',
    1024n,
    undefined,
  ]) {
    t.false(push(cache, ptr))
  }
  t.true(push(cache, 1024))
})

test('the longest and the shortest length of a class are live', (t) => {
  const cache = makeCache()
  for (const byteLength of [1, 56])
    t.true(cache.push(makeLive(cache, 1024 * byteLength, byteLength)))
})

test('a kept block that is no longer kept is not given out, and is not looked at again', (t) => {
  const cache = makeCache()
  cache.push(makeLive(cache, 1024))
  cache.push(makeLive(cache, 2048))
  cache.states[2048 / 16] = SMALL
  t.is(cache.pop(50), 0)
  t.is(cache.pop(50), 1024)
})

test('a block behind the end of the memory stays where it is', (t) => {
  const cache = makeCache()
  cache.push(makeLive(cache, 1024))
  const { words } = cache
  cache.words = new Int32Array(0)
  t.is(cache.pop(50), 0)
  cache.words = words
  t.is(cache.pop(50), 1024)
})

test('a block behind the end of what a thread knows of a shared memory stays where it is', (t) => {
  const cache = makeCache()
  cache.push(makeLive(cache, 1024))
  const known = (bytes) =>
    cache.refresh(new Int32Array(new SharedArrayBuffer(bytes)), cache.states.buffer)
  known(1024)
  t.is(cache.pop(50), 0)
  known(1040)
  t.is(cache.pop(50), 1024)
})

test('a block behind the states that a thread knows stays where it is', (t) => {
  const cache = makeCache()
  const { words, rows } = cache
  const ptr = BYTES - 64
  t.true(cache.push(makeLive(cache, ptr)))
  cache.refresh(words, new ArrayBuffer(BYTES / 32))
  const before = rows[HEAD + OWN]
  t.is(pop(cache, 50), 0)
  t.is(rows[HEAD + OWN], before)
})

test('older blocks become everyone’s when there is no room, and are taken back when there is none left', (t) => {
  const cache = makeCache()
  const ptrs = Array.from({ length: 7 }, (_, index) => makeLive(cache, 1024 * (1 + index)))
  for (const ptr of ptrs) t.true(push(cache, ptr))
  t.deepEqual(figures(cache), [7, 6, 10])
  t.deepEqual(published(cache), [0, 6])
  for (const ptr of ptrs.toReversed()) t.is(pop(cache, 50), ptr)
  t.deepEqual(published(cache), [0, 0])
  t.is(pop(cache, 50), 0)
})

test('the border moves by half of the width at a turn, and by all of it on the same way', (t) => {
  const cache = makeCache()
  const ends = []
  const note = () => {
    const end = published(cache)[1]
    if (end !== ends.at(-1)) ends.push(end)
  }
  for (let index = 1; index <= 20; index++) {
    t.true(push(cache, makeLive(cache, 1024 * index)))
    note()
  }
  for (let index = 20; index >= 1; index--) {
    t.is(pop(cache, 50), 1024 * index)
    note()
  }
  t.true(push(cache, makeLive(cache, 1024)))
  t.deepEqual(ends, [0, 2, 6, 10, 14, 18, 16, 12, 8, 4, 0])
})

test('blocks that another thread has taken are not taken back', (t) => {
  const cache = makeCache()
  for (let index = 1; index <= 6; index++) push(cache, makeLive(cache, 1024 * index))
  cache.rows[HEAD + PUBLISHED] = ((START + 2) << 16) | (START + 2)
  for (const index of [6, 5, 4, 3]) t.is(pop(cache, 50), 1024 * index)
  t.is(pop(cache, 50), 0)
  t.deepEqual(figures(cache), [2, 2, 6])
})

test('blocks that another thread takes while they are looked at are not taken back', (t) => {
  const takeBack = {
    small: { head: HEAD, make: makeLive, byteLength: 50, stride: 1024 },
    large: {
      head: BIG,
      make: (cache, ptr) => makeLarge(cache, ptr + 16, 64),
      byteLength: 65_000,
      stride: 65_536,
    },
  }
  for (const [kind, { head, make, byteLength, stride }] of Object.entries(takeBack)) {
    const cache = makeCache()
    const ptrs = [1, 2, 3, 4, 5, 6].map((index) => make(cache, stride * index))
    for (const ptr of ptrs) t.true(push(cache, ptr))
    const border = cache.rows[head + PUBLISHED] >>> 16
    while ((cache.rows[head + OWN] & 0xffff) > border) t.true(pop(cache, byteLength) > 0)
    const { widen } = cache
    cache.widen = (...args) => {
      cache.rows[head + PUBLISHED] = (border << 16) | border
      return widen.apply(cache, args)
    }
    t.is(pop(cache, byteLength), 0, kind)
    cache.widen = widen
    t.is(cache.rows[head + OWN], (border << 16) | border)
    t.true(push(cache, ptrs.at(-1)) && pop(cache, byteLength) === ptrs.at(-1))
  }
})

test('a stack ends, and a class without room for own blocks takes none', (t) => {
  const cache = makeCache()
  const taken = Array.from({ length: DEPTH + 3 }, (_, index) =>
    push(cache, makeLive(cache, 1024 * (1 + index))),
  )
  t.is(taken.filter(Boolean).length, DEPTH)
  t.deepEqual(figures(cache), [DEPTH, DEPTH - 2, DEPTH])
  const closed = makeCache({ width: 0 })
  t.false(push(closed, makeLive(closed, 1024)))
})

test('blocks that are long for the heap are kept one by one, for as many bytes as there are', (t) => {
  const cache = makeCache({ width: 0 })
  const { rows } = cache
  const ptrs = [1, 2, 3, 4].map((index) => makeLive(cache, 1024 * index))
  rows[LONG_SPARE] = 3 * 64 + 63
  t.false(push(cache, ptrs[0]), 'not known to be long')
  rows[HEAD + MOVED] = LONG
  t.deepEqual(
    ptrs.map((ptr) => push(cache, ptr)),
    [true, true, true, false],
  )
  t.is(rows[LONG_SPARE], 63)
  t.deepEqual(figures(cache), [3, 0, 3])
  t.is(pop(cache, 50), ptrs[2])
  t.true(push(cache, ptrs[3]), 'the room is there')
  for (const index of [3, 1, 0]) t.is(pop(cache, 50), ptrs[index])
  t.is(pop(cache, 50), 0)
  rows[LONG_SPARE] = 1e6
  t.is(ptrs.filter((ptr) => push(cache, ptr)).length, 4)
  const more = Array.from({ length: DEPTH }, (_, index) =>
    push(cache, makeLive(cache, 1024 * (5 + index))),
  )
  t.is(more.filter(Boolean).length, DEPTH - 4, 'a stack ends')
})

test('large blocks that are long for the heap are everyone’s as soon as they are kept', (t) => {
  const cache = makeCache({ width: 0 })
  const { rows, words, states } = cache
  const ptrs = [1, 3, 5].map((index) => makeLarge(cache, 16 + index * 128 * 1024, 65 + index))
  t.false(push(cache, ptrs[0]), 'not known to be long')
  rows[BIG + MOVED] = COMMON
  const parts = () => {
    t.is(rows[BIG + OWN] >>> 16, rows[BIG + PUBLISHED] >>> 16)
    return [
      rows[BIG + PUBLISHED] & 0xffff,
      rows[BIG + PUBLISHED] >>> 16,
      rows[BIG + OWN] & 0xffff,
    ].map((at) => at - rows[BIG + END] + DEPTH)
  }
  for (const [index, ptr] of ptrs.entries()) {
    words[ptr / 4 - 3] = 7
    t.true(push(cache, ptr))
    t.deepEqual([...words.subarray(ptr / 4 - 3, ptr / 4 - 1)], [7, 0])
    t.deepEqual(parts(), [0, index + 1, index + 1])
  }
  t.is(rows[LONG_KEPT], 1 << ((BIG / 8) % 32))
  t.is(cache.pop(71 * 1024), 0)
  t.deepEqual(parts(), [0, 3, 3], 'one that is too short stays everyone’s')
  for (let times = 0; times < 3; times++) {
    for (const index of [2, 1]) t.is(cache.pop((64 + index) * 1024), ptrs[index])
    t.deepEqual(parts(), [0, 1, 1])
    for (const index of [1, 2]) t.true(push(cache, makeLarge(cache, ptrs[index], 66 + index)))
  }
  // Another thread takes all of them; and between the look at one and the step that takes it.
  const floor = rows[BIG + PUBLISHED] >>> 16
  const all = rows[BIG + PUBLISHED]
  rows[BIG + PUBLISHED] = (floor << 16) | floor
  t.is(cache.pop(66 * 1024), 0)
  t.deepEqual(parts(), [3, 3, 3])
  t.true(push(cache, makeLarge(cache, ptrs[0], 66)))
  t.deepEqual(parts(), [3, 4, 4])
  t.is(cache.pop(65 * 1024), ptrs[0])
  rows[BIG + PUBLISHED] = all
  states[ptrs[2] / 16] = LIVE_LARGE
  t.is(cache.pop(66 * 1024), 0, 'freed by two threads, and given out since')
  t.is(cache.pop(65 * 1024), ptrs[1])
  rows[BIG + END] = rows[BIG + OWN] & 0xffff
  t.false(push(cache, makeLarge(cache, ptrs[1], 67)), 'a stack ends')
  t.is(states[ptrs[1] / 16], LIVE_LARGE)
})

test('of large blocks that are long for the heap the thread has to itself what there are bytes for', (t) => {
  const cache = makeCache({ width: 0 })
  const { rows } = cache
  const ptrs = [1, 3, 5].map((index) => makeLarge(cache, 16 + index * 128 * 1024, 65))
  const [longest, floor] = [72 * 1024, rows[BIG + OWN] >>> 16]
  rows[BIG + MOVED] = COMMON
  rows[LONG_SPARE] = longest - 1
  t.true(push(cache, ptrs[0]))
  t.is(rows[BIG + OWN] >>> 16, floor + 1)
  t.is(cache.pop(64 * 1024), ptrs[0])
  rows[LONG_SPARE] = longest
  t.true(push(cache, ptrs[1]))
  t.deepEqual([rows[BIG + OWN] >>> 16, rows[BIG + WIDTH], rows[LONG_SPARE]], [floor, 1, 0])
  t.true(push(cache, ptrs[2]))
  t.is(rows[BIG + PUBLISHED] >>> 16, floor + 1)
  for (const ptr of [ptrs[2], ptrs[1]]) t.is(cache.pop(64 * 1024), ptr)
})

test('where the heap is short of room blocks of the next four classes serve', (t) => {
  const strides = [688, 752, 816, 880, 960, 1024]
  for (const [longer, stride] of strides.entries()) {
    const cache = makeCache()
    const { rows, words, states } = cache
    const slot = START + 8
    for (const [index, each] of strides.entries()) {
      rows.set([(slot << 16) | slot, (slot << 16) | each, each], (40 + index) * 8)
      rows[SIZES + each / 16] = (40 + index) * 8
    }
    const head = (40 + longer) * 8
    rows[head] += 1
    rows[slot] = 1024
    states[64] = KEPT ^ (40 + longer)
    words.set([0, stride], 254)
    t.is(cache.popLonger(670), 0, 'not short')
    rows[SHORT] = 1
    for (const none of [511, 670.5, '670', -670, 32_777, 670n, Number.NaN])
      t.is(cache.popLonger(none), 0)
    const serves = longer > 0 && longer < 5
    t.is(cache.popLonger(670), serves ? 1024 : 0, `${stride}`)
    t.deepEqual(
      [words[254], words[255], states[64]],
      serves ? [670, stride, 40 + longer] : [0, stride, KEPT ^ (40 + longer)],
    )
    cache.refresh(words, states.buffer)
    t.false(cache.isShort, 'it has grown')
  }
})

test('own parts double if that takes but half of what is to spare, and more is kept than by an idle thread when little is left', (t) => {
  const [more, spare] = [4 * 64, 2 * 4 * 64]
  const cache = makeCache({ width: 4, spare, overIdleBelow: spare - more + 1 })
  for (let index = 1; index <= 4; index++) push(cache, makeLive(cache, 1024 * index))
  t.is(cache.rows[OVER_IDLE], 0)
  t.true(push(cache, makeLive(cache, 1024 * 5)))
  t.deepEqual(
    [cache.rows[HEAD + WIDTH], cache.rows[SPARE], cache.isOverIdle],
    [8, spare - more, true],
  )
  t.deepEqual(published(cache), [0, 0])
  for (let index = 6; index <= 9; index++) push(cache, makeLive(cache, 1024 * index))
  t.deepEqual([cache.rows[HEAD + WIDTH], cache.rows[SPARE]], [8, spare - more])
  t.deepEqual(published(cache), [0, 4])
  for (const little of [spare - 1, 0, -1, -(2 ** 20)]) {
    const poor = makeCache({ width: 4, spare: little, overIdleBelow: -(2 ** 20) })
    for (let index = 1; index <= 5; index++) push(poor, makeLive(poor, 1024 * index))
    t.deepEqual([poor.rows[HEAD + WIDTH], poor.rows[SPARE], poor.isOverIdle], [4, little, false])
  }
})

test('an own part grows no wider than it may, and takes no more for it', (t) => {
  const cache = makeCache({ width: 4, most: 6, spare: 1 << 20 })
  for (let times = 0; times < 3; times++) t.is(cache.widen(HEAD), 6)
  t.deepEqual([cache.rows[SPARE], cache.rows[REFUSALS]], [(1 << 20) - 2 * 64, 0])
  t.is(cache.rows[HEAD + LIMITS] >>> 16, START + 6)
})

test('all stacks give up half of their width when there was often too little to spare', (t) => {
  const cache = makeCache({ width: 5 })
  const { rows } = cache
  for (let index = 0; index < 5; index++) push(cache, makeLive(cache, 1024 * (1 + index)))
  for (let index = 0; index < 2; index++)
    push(cache, makeLarge(cache, (1 + index) * 128 * 1024 + 16, 66))
  const spares = () => [rows[HEAD + WIDTH], rows[SPARE], rows[BIG + WIDTH], rows[LARGE_SPARE]]
  for (let refusal = 1; refusal < MOST_REFUSALS; refusal++) {
    t.is(cache.widen(HEAD), 5)
    t.is(rows[REFUSALS], refusal)
  }
  t.deepEqual(spares(), [5, 0, 5, 0])
  t.is(cache.widen(HEAD), 3)
  t.deepEqual(spares(), [3, 2 * 64, 3, 2 * 72 * 1024])
  t.is(rows[REFUSALS], 0)
  // The newest that half of it has room for stay.
  t.deepEqual(figures(cache), [5, 4, 7])
  t.deepEqual(published(cache), [0, 4])
  t.deepEqual(figures(cache, BIG), [2, 1, 4])
  for (let index = 5; index >= 1; index--) t.is(pop(cache, 50), 1024 * index)
})

test('a stack keeps room for one block, and gives up what it may take again', (t) => {
  const cache = makeCache({ width: 2 })
  const { rows } = cache
  for (let refusal = 0; refusal < 2 * MOST_REFUSALS; refusal++) {
    rows[SPARE] = 0
    cache.widen(BIG)
  }
  t.deepEqual([rows[HEAD + WIDTH], rows[BIG + WIDTH]], [1, 1])
  rows[SPARE] = 2 * 64
  t.is(cache.widen(HEAD), 2)
  t.true(push(cache, makeLive(cache, 1024)))
  t.is(pop(cache, 50), 1024)
})

test('large blocks take nothing of what classes have to spare', (t) => {
  const cache = makeCache({ width: 1, spare: 1 << 20 })
  for (const index of [0, 1]) push(cache, makeLarge(cache, 1024 + 16 + index * 66 * 1024, 66))
  t.deepEqual([cache.rows[BIG + WIDTH], cache.rows[SPARE]], [1, 1 << 20])
  cache.rows[LARGE_SPARE] = 2 * 72 * 1024
  push(cache, makeLarge(cache, 1024 + 16 + 2 * 66 * 1024, 66))
  t.deepEqual([cache.rows[BIG + WIDTH], cache.rows[LARGE_SPARE]], [2, 72 * 1024])
})

test('realloc stays, or moves within the cache with the bytes up to the shorter length', (t) => {
  const cache = makeCache()
  const { words, states } = cache
  const ptr = makeLive(cache, 1024)
  t.is(cache.realloc(ptr, 28), ptr)
  t.is(words[254], 28)
  t.is(cache.realloc(ptr, 27), 0)
  keepShortest(cache, 2048)
  words.set([1, 2, 3, 4, 5, 6, 7, 8], 256)
  t.is(cache.realloc(ptr, 6), 2048)
  t.deepEqual([...words.subarray(510, 516)], [6, 16, 1, 2, 0, 0])
  t.deepEqual([states[64], words[254], states[128]], [KEPT_SMALL, 0, 1])
  t.is(cache.pop(50), ptr)
})

test('a move that fails leaves the block, and puts back what it has taken', (t) => {
  const cache = makeCache()
  const { rows, words, states } = cache
  const [from, to, slot] = [40 * 8, 41 * 8, START + 8]
  rows.set([(slot << 16) | slot, ((slot + 1) << 16) | 688], from)
  rows.set([((slot + 8) << 16) | (slot + 9), ((slot + 9) << 16) | 752], to)
  rows[SIZES + 752 / 16] = to
  rows[slot + 8] = 4096
  words.set([680, 688], 2048 / 4 - 2)
  words[(2048 + 688) / 4 - 1] = 688
  words[4096 / 4 - 1] = 752
  states[2048 / 16] = 40
  states[4096 / 16] = KEPT ^ 41
  const before = [rows, words, states].map((array) => array.slice())
  const error = new Error('the end of the stack')
  const memcpy = () => {
    throw error
  }
  t.throws(() => cache.realloc(2048, 744, { memcpy }), { is: error })
  for (const [index, array] of [rows, words, states].entries())
    t.true(array.every((value, at) => value === before[index][at]))
  t.is(cache.realloc(2048, 744, { memcpy() {} }), 4096)
})

test('large blocks come out for lengths that they are long enough for, and not much too long', (t) => {
  const cache = makeCache()
  const ptr = 16 + 1024
  cache.words[ptr / 4 - 3] = 7
  t.true(push(cache, makeLarge(cache, ptr, 66)))
  t.deepEqual([...cache.words.subarray(ptr / 4 - 3, ptr / 4 - 1)], [7, 0])
  t.deepEqual(figures(cache, BIG), [1, 0, 4])
  t.is(pop(cache, 66 * 1024 - 23), 0)
  t.is(pop(cache, 59 * 1024 - 24), 0)
  t.is(pop(cache, 59 * 1024 - 23), ptr)
  t.deepEqual([cache.words[ptr / 4 - 2], cache.states[ptr / 16]], [59 * 1024 - 23, LIVE_LARGE])
  t.true(push(cache, ptr))
  t.is(pop(cache, 66 * 1024 - 24), ptr)
})

test('a large block serves what is half as long too, while all that do are too long by an eighth of the memory', (t) => {
  const cache = makeCache()
  const [ptr, byteLength] = [16 + 1024, 40_000]
  makeLarge(cache, ptr, 66)
  t.true(push(cache, ptr))
  for (const none of [`${byteLength}`, 40_000.5, -byteLength, 40_000n, 2 ** 32, 66 * 1024 - 23])
    t.is(cache.popLonger(none), 0)
  const most = BYTES / 8 / 1024
  for (const excess of [-5, 0, most, most + 1]) {
    cache.excess = excess
    t.is(cache.popLonger(byteLength), excess > most ? 0 : ptr, `${excess}`)
    if (excess > most) break
    t.deepEqual([cache.words[ptr / 4 - 2], cache.states[ptr / 16]], [byteLength, LIVE_LARGE])
    t.true(push(cache, ptr))
    t.is(cache.excess, Math.max(excess, 0))
  }
})

test('how much too long blocks are is known, however they are taken, put in and resized', (t) => {
  const cache = makeCache()
  const ptr = makeLarge(cache, 16 + 1024, 66)
  const room = 66 * 1024 - 24
  const check = (excess) => t.is(cache.excess, excess)
  for (const [take, units] of [
    [() => pop(cache, room), 0],
    [() => pop(cache, room - 1023), 0],
    [() => pop(cache, room - 1024), 1],
    [() => cache.popLonger(room - 20 * 1024), 20],
  ]) {
    t.true(push(cache, ptr))
    check(0)
    t.is(take(), ptr)
    check(units)
  }
  t.true(cache.resizeLarge(ptr, room - 5 * 1024))
  check(5)
  t.false(cache.resizeLarge(ptr, room - 6 * 1024))
  check(5)
  t.true(push(cache, ptr))
  check(0)
})

test('a large block serves no less than half of its row, and none that is beyond the last row', (t) => {
  const cache = makeCache({ bytes: 1 << 26 })
  for (const [index, units, isLonger] of [
    [16, 128, true],
    [17, 144, false],
  ]) {
    const head = LARGE_HEADS + index * 8
    const ptr = keepLarge(cache, head, 16 + 1024, units)
    t.is(cache.popLonger(largeLength(64)), isLonger ? ptr : 0, `${units}`)
    cache.rows.fill(0, head, head + 8)
  }
  keepLarge(cache, STACKS, 16 + 1024, layout.mostLargeUnits)
  t.is(cache.popLonger(largeLength(30_000)), 0)
})

test('a large block serves nothing much shorter where the memory is full', (t) => {
  const cache = makeCache()
  t.true(push(cache, makeLarge(cache, 16 + 1024, 66)))
  cache.rows[SHORT] = layout.full
  t.is(cache.popLonger(40_000), 0)
  cache.rows[SHORT] = 1
  t.is(cache.popLonger(40_000), 16 + 1024)
})

test('the rows of large blocks begin and end where those of the native side do', (t) => {
  const most = layout.mostLargeUnits
  const cache = makeCache({ bytes: 1024 * (most + 8) })
  const headOf = (units) => cache.headFor(makeLarge(cache, 16 + 1024, units))
  const last = STACKS - 8
  t.deepEqual([LEAST_LARGE - 1, LEAST_LARGE].map(headOf), [0, LARGE_HEADS])
  t.deepEqual([most, most + 1].map(headOf), [last, 0])
  // The last row has no next one, whose blocks are long enough for all that it serves.
  const first = ((most + 1) * 8) / 9
  t.deepEqual([first - 1, first].map(headOf), [last - 8, last])
  const ptr = keepLarge(cache, last, 16 + 1024, most)
  for (const units of [first, most]) t.is(cache.pop(largeLength(units)), 0)
  t.is(cache.pop(largeLength(first - 1) + 1), 0)
  t.is(cache.pop(largeLength(first - 1)), ptr)
})

test('a block that grows takes one of several large blocks, not the only one', (t) => {
  const cache = makeCache()
  const ptrs = [0, 1, 2].map((index) => makeLarge(cache, 16 + index * 128 * 1024, 66))
  const byteLength = 66 * 1024 - 24
  t.true(push(cache, ptrs[0]))
  t.is(cache.popPiled(byteLength), 0)
  t.true(push(cache, ptrs[1]))
  t.is(cache.popPiled(byteLength + 1), 0, 'too short')
  t.is(cache.popPiled(59 * 1024), 0, 'much too long')
  t.is(cache.popPiled(byteLength), ptrs[1])
  for (const other of [0, 1000, 32_776, 33_553_385, 2 ** 32 - 1]) t.is(cache.popPiled(other), 0)
  t.is(cache.words[ptrs[1] / 4 - 2], byteLength)
  t.true(push(cache, ptrs[2]))
  cache.rows[BIG + PUBLISHED] += 1
  t.is(cache.popPiled(byteLength), 0, 'another thread has taken one')
})

test('a large block takes another length where it is if that takes as many units', (t) => {
  const [ptr, room] = [16 + 1024, 66 * 1024 - 24]
  const lengthOf = ({ words }) => words[ptr / 4 - 2]
  const cache = makeCache()
  makeLarge(cache, ptr, 66)
  for (const byteLength of [room - 1023, room - 7, room]) {
    t.true(cache.resizeLarge(ptr, byteLength))
    t.is(lengthOf(cache), byteLength)
  }
  for (const byteLength of [0, 40, room - 1024, room + 1, 2 ** 32 - 1])
    t.false(cache.resizeLarge(ptr, byteLength))
  for (const other of [0, 1024, ptr + 1024, 'x']) t.false(cache.resizeLarge(other, room))
  t.is(lengthOf(cache), room)
  makeLarge(cache, ptr, 66, 40_000)
  t.true(cache.resizeLarge(ptr, 50_000), 'it is longer than what it was taken for')
  t.false(cache.resizeLarge(ptr, 49_999), 'some of it would be free')
  t.is(lengthOf(cache), 50_000)
  makeLarge(cache, ptr, 32)
  t.false(cache.resizeLarge(ptr, 32_744), 'a class serves it')
  t.true(push(cache, makeLarge(cache, ptr, 66)))
  t.false(cache.resizeLarge(ptr, room), 'it was freed')
})

test('a block that moves is not large, and blocks of any kind come by way of the native side', (t) => {
  const cache = makeCache()
  const ptr = makeLarge(cache, 16 + 1024, 66)
  t.true(cache.keep(ptr))
  t.is(cache.popSmall(66 * 1024 - 24), 0)
  t.is(cache.pop(66 * 1024 - 24), ptr)
  t.true(cache.keep(makeLive(cache, 1024 * 100)))
  t.is(cache.popSmall(50), 1024 * 100)
})

test('what is not plainly a live large block is not kept, and none with a damaged header given out', (t) => {
  const ptr = 16 + 1024
  const spoil = [
    (cache) => (cache.states[ptr / 16] = KEPT),
    (cache) => (cache.states[ptr / 16 + 1] += 1),
    (cache) => (cache.states[ptr / 16 + 2] += 1),
    (cache) => (cache.states[ptr / 16 + 3] += 1),
    (cache) => (cache.words[ptr / 4 - 2] = 0),
    (cache) => (cache.words[ptr / 4 - 2] = 66 * 1024),
    (cache) => (cache.words[ptr / 4 - 1] += 1024),
    (cache) => (cache.words[(ptr + 66 * 1024 - 16) / 4 - 1] += 1),
  ]
  for (const act of spoil) {
    const cache = makeCache()
    makeLarge(cache, ptr, 66)
    act(cache)
    t.false(push(cache, ptr))
  }
  const elsewhere = makeCache()
  t.false(push(elsewhere, makeLarge(elsewhere, 1024 + 32, 66)))
  for (const units of [4, 16, 31, 1152]) {
    const other = makeCache()
    for (let word = SIZES; word < LARGE_HEADS; word++) other.rows[word] = word
    const before = [...other.rows]
    t.false(push(other, makeLarge(other, ptr, units)))
    t.deepEqual([...other.rows], before)
  }
  const cache = makeCache()
  push(cache, makeLarge(cache, ptr, 66))
  cache.words[ptr / 4 - 1] += 1024
  t.is(pop(cache, 65_000), 0)
  cache.words[ptr / 4 - 1] -= 1024
  cache.states[ptr / 16] = 0
  t.is(pop(cache, 65_000), 0)
  t.deepEqual(figures(cache, BIG), [0, 0, 4])
})

test('the rows of a heap serve every length, each from its own', (t) => {
  const memory = new LocalSharedMemory(1000)
  const lengths = [1, 8, 9, 500, 512, 4096, 32_776, 32_777, 40_000, 262_144, 1_000_000, 1_047_528]
  const ptrs = lengths.map((byteLength) => memory.malloc(byteLength))
  for (const ptr of ptrs.toReversed()) memory.free(ptr)
  t.deepEqual(
    lengths.map((byteLength) => memory.malloc(byteLength)),
    ptrs,
  )
  t.deepEqual(memory.check(), [])
  t.is(
    memory.stats().requestedBytes,
    lengths.reduce((sum, byteLength) => sum + byteLength),
  )
})

test('what was closed has nothing, takes nothing, and keeps no memory', (t) => {
  const cache = makeCache()
  push(cache, makeLive(cache, 1024))
  makeLive(cache, 2048)
  t.true(cache.isOpen)
  cache.close()
  t.false(cache.isOpen)
  t.deepEqual([cache.words.length, cache.states.length], [0, 0])
  t.is(pop(cache, 50), 0)
  t.false(push(cache, 2048))
  t.is(cache.headForLength(50), 0)
})

test('blocks beyond 2 GiB are kept as others are', (t) => {
  const memory = new LocalSharedMemory({ initial: 1, maximum: 65_536, shared: true, debug: false })
  memory.malloc(2 ** 31)
  const { cache } = heapOf(memory)
  for (const byteLength of [40, 5000, 100_000]) {
    const ptrs = Array.from({ length: 100 }, () => memory.malloc(byteLength))
    const [first, ptr] = ptrs.filter((each) => each > 2 ** 31)
    memory.free(first)
    t.not(cache.headFor(ptr), 0)
    t.is(cache.isSmall(ptr), byteLength < 100_000)
    memory.free(ptr)
    t.true(cache.states[ptr / 16] < 0)
    t.is(memory.malloc(byteLength), ptr)
    t.is(memory.sizeof(ptr), byteLength)
  }
  t.deepEqual(memory.check(), [])
})
