// The map of a heap: all of the memory, with the figures that stats() and allocs() give. And the pictures made of it.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text as textOf } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import LocalSharedMemory from '../index.js'
import { BLOCK_USES, sizesOf } from '../lib/heap-map/uses.js'
import { launch, reportsOf } from './fixtures/launch.mjs'
import { PAGE } from './fixtures/pages.mjs'
import { randomFrom } from './fixtures/random.mjs'

const onLinux = process.platform === 'linux' ? test : test.skip

const HEADER = 8
const BIN = fileURLToPath(new URL('../bin/local-shared-memory.js', import.meta.url))
const NO_BLOCKS = { trimmedBytes: 0, blockBytes: 0, slots: 0, live: 0, cached: 0, free: 0 }

const sum = (map, value) => map.reduce((total, area) => total + value(area), 0)

const gaps = (map, byteLength) => {
  let end = 0
  const wrong = map.filter((area) => {
    const isWrong = area.byteOffset !== end || area.byteLength <= 0
    end += area.byteLength
    return isWrong
  })
  return end === byteLength ? wrong : [...wrong, { end, byteLength }]
}

/** Compares a map with what else is known of the heap, which nobody else uses meanwhile. */
const checkMap = (t, memory) => {
  const map = memory.heapMap()
  const stats = memory.stats()
  t.deepEqual(gaps(map, memory.buffer.byteLength), [])
  const unused = sum(map, ({ kind, byteLength }) => (kind === 'free' ? byteLength : 0))
  t.is(
    sum(map, ({ live, blockBytes }) => live * blockBytes),
    stats.usedBytes,
  )
  t.is(
    sum(map, ({ cached, blockBytes }) => cached * blockBytes),
    stats.cachedBytes,
  )
  t.is(sum(map, ({ free, blockBytes }) => free * blockBytes) + unused, stats.freeBytes)
  t.is(
    sum(map, ({ live }) => live),
    stats.blockCount,
  )
  for (const { kind, byteLength, trimmedBytes, blockBytes, slots, live, cached, free } of map) {
    if (slots !== live + cached + free || slots * blockBytes > byteLength) t.fail('slots')
    if (trimmedBytes > (kind === 'free' ? byteLength : 0)) t.fail('trimmedBytes')
    const hasBlocks = kind === 'span' || kind === 'large'
    if (hasBlocks !== slots > 0) t.fail(kind)
  }
  const blocks = memory.allocs()
  let at = 0
  for (const { byteOffset, byteLength, blockBytes, live } of map) {
    for (let i = 0; i < live; i++, at++) {
      const { byteOffset: ptr, bufferSize } = blocks[at]
      if (ptr < byteOffset + HEADER || ptr >= byteOffset + byteLength) t.fail('elsewhere')
      if (bufferSize !== blockBytes) t.fail('of another size')
    }
  }
  t.is(at, blocks.length)
  return map
}

const SHAPES = {
  'one page': () => new LocalSharedMemory(1),
  growing: () => new LocalSharedMemory(1, 1000),
  'not shared': () => new LocalSharedMemory(1, 1000, false),
  'with heapBase': () =>
    new LocalSharedMemory({ initial: 3, maximum: 1000, shared: true, heapBase: 2 * PAGE + 5000 }),
  'on grown pages': () =>
    new LocalSharedMemory({ initial: 3, maximum: 1000, shared: true, heapBase: 3 * PAGE }),
  'in debug mode': () =>
    new LocalSharedMemory({ initial: 4, maximum: 1000, shared: true, debug: true }),
  'engine storage': () =>
    new LocalSharedMemory({ initial: 4, maximum: 1000, shared: true, storage: 'engine' }),
}

for (const [title, make] of Object.entries(SHAPES)) {
  test(`a map agrees with stats() and allocs(): ${title}`, (t) => {
    const memory = make()
    const random = randomFrom(3)
    const ptrs = []
    for (let round = 0; round < 12; round++) {
      for (let i = 0; i < 60; i++) {
        const size = 1 + random([40, 600, 5000, 60_000][random(4)])
        try {
          ptrs.push(memory.malloc(size, 2 ** random(13)))
        } catch (error) {
          t.is(error.code, 'ERR_OUT_OF_MEMORY')
        }
        if (random(3) === 0) memory.free(ptrs.splice(random(ptrs.length), 1)[0] ?? 0)
      }
      if (round % 4 === 3) memory.trim()
      if (round % 4 === 1 && title === 'with heapBase') memory.grow(1)
      checkMap(t, memory)
    }
    for (const ptr of ptrs) memory.free(ptr)
    checkMap(t, memory)
  })
}

test('a memory without a heap is outside of it, and stays untouched', (t) => {
  for (const shared of [true, false]) {
    const memory = new LocalSharedMemory(2, 4, shared)
    const all = { kind: 'outside', byteOffset: 0, byteLength: 2 * PAGE, ...NO_BLOCKS }
    t.deepEqual(memory.heapMap(), [all])
    t.true(new Uint8Array(memory.buffer).every((byte) => byte === 0))
    memory.grow(1)
    t.deepEqual(memory.heapMap(), [{ ...all, byteLength: 3 * PAGE }])
  }
  t.deepEqual(new LocalSharedMemory(0, 1).heapMap(), [])
})

test('a map begins with the heap, or with what lies below heapBase', (t) => {
  const whole = new LocalSharedMemory(2, 4)
  whole.malloc(100)
  t.deepEqual(whole.heapMap()[0].kind, 'table')
  const heapBase = PAGE + 4096
  const shared = new LocalSharedMemory({ initial: 2, maximum: 4, shared: true, heapBase })
  shared.malloc(100)
  const [outside, table] = shared.heapMap()
  t.deepEqual(outside, { kind: 'outside', byteOffset: 0, byteLength: heapBase, ...NO_BLOCKS })
  t.is(table.kind, 'table')
})

test('pages that others grow are outside, between those of the heap', (t) => {
  const memory = new LocalSharedMemory({ initial: 1, maximum: 100, shared: true, heapBase: PAGE })
  memory.malloc(8)
  const before = memory.buffer.byteLength
  memory.grow(2)
  memory.malloc(200_000)
  const outside = memory.heapMap().filter(({ kind }) => kind === 'outside')
  t.deepEqual(
    outside.map(({ byteOffset, byteLength }) => [byteOffset, byteLength]),
    [
      [0, PAGE],
      [before, 2 * PAGE],
    ],
  )
})

test('a large block is an area of its own', (t) => {
  const memory = new LocalSharedMemory(20)
  const ptr = memory.malloc(300_000, 4096)
  const large = memory.heapMap().find(({ kind }) => kind === 'large')
  t.like(large, { blockBytes: memory.lengthof(ptr), slots: 1, live: 1, cached: 0, free: 0 })
  t.true(large.byteOffset < ptr && ptr + 300_000 <= large.byteOffset + large.byteLength)
})

onLinux('trim() gives back the pages up to the end of the memory', (t) => {
  for (const storage of ['native', 'engine']) {
    const memory = new LocalSharedMemory({ initial: 10, maximum: 10, shared: true, storage })
    const ptr = memory.malloc(9 * PAGE)
    memory.memset(ptr, 1, 9 * PAGE)
    memory.free(ptr)
    t.true(memory.trim() > 8 * PAGE)
    const { kind, byteOffset, byteLength, trimmedBytes } = memory.heapMap().at(-1)
    t.deepEqual([kind, byteOffset + byteLength], ['free', 10 * PAGE])
    t.true(trimmedBytes > byteLength - PAGE)
  }
})

test('trim() shows, where the system can trim', (t) => {
  for (const storage of ['engine', undefined]) {
    const memory = new LocalSharedMemory({ initial: 100, maximum: 100, shared: true, storage })
    memory.free(memory.calloc(5_000_000))
    const trimmed = () => sum(memory.heapMap(), ({ trimmedBytes }) => trimmedBytes)
    const before = trimmed()
    const given = memory.trim()
    t.true(given >= (process.platform === 'linux' ? 4_900_000 : 0))
    t.true(trimmed() >= before + given)
    memory.free(memory.calloc(5_000_000))
    t.true(trimmed() <= before + PAGE)
  }
})

test('mapping changes nothing', (t) => {
  const memory = new LocalSharedMemory(4, 100)
  for (let size = 1; size < 10_000; size += 111) memory.malloc(size)
  // What is on its way between threads goes back first, as for a map.
  const stats = memory.stats()
  const bytes = memory.arrayBuffer(1, memory.buffer.byteLength - 1)
  memory.heapMap()
  t.deepEqual(memory.arrayBuffer(1, memory.buffer.byteLength - 1), bytes)
  t.deepEqual(memory.stats(), stats)
})

test('the map is whole while other threads allocate, free and grow', async (t) => {
  const memory = new LocalSharedMemory(1, 1000)
  const gate = new SharedArrayBuffer(4)
  const workers = [0, 1].map((index) =>
    launch('first-worker.mjs', { memories: [memory], gate, threads: 2, index, blocks: 3000 }),
  )
  const state = { pending: true }
  const reports = reportsOf(60_000, workers).finally(() => (state.pending = false))
  while (state.pending) {
    const map = memory.heapMap()
    const { byteLength } = map.at(-1)
    t.deepEqual(gaps(map, map.at(-1).byteOffset + byteLength), [])
    // oxlint-disable-next-line no-await-in-loop -- lets the workers' messages in
    await new Promise(setImmediate)
  }
  await reports
  const map = checkMap(t, memory)
  t.is(
    sum(map, ({ live }) => live),
    6000,
  )
})

test('a corrupted heap has no map', (t) => {
  for (const byte of [0, 1, 255]) {
    const memory = new LocalSharedMemory(1)
    memory.malloc(100)
    memory.fill(Uint8Array, byte, 16)
    t.throws(() => memory.heapMap(), { instanceOf: Error, code: 'ERR_HEAP_CORRUPTED' })
  }
})

const inFolder = async (act) => {
  const folder = await mkdtemp(join(tmpdir(), 'heap-map-'))
  try {
    return await act((name) => join(folder, name))
  } finally {
    await rm(folder, { recursive: true })
  }
}

const draw = (...args) =>
  spawnSync(process.execPath, [BIN, ...args], { encoding: 'utf8', timeout: 60_000 })

const usedMemory = () => {
  // Debug mode's guards would make other blocks of them.
  const memory = new LocalSharedMemory({ initial: 4, maximum: 100, shared: true, debug: false })
  for (let size = 1; size < 3000; size += 7) memory.free(memory.malloc(size % 2 === 0 ? size : 40))
  for (let i = 0; i < 100; i++) memory.malloc(40)
  memory.malloc(100_000)
  return memory
}

test('the command says how it is used when asked, and when used in another way', (t) => {
  const { stdout, status } = draw('--help')
  t.is(status, 0)
  t.regex(stdout, /heap\.json.*build/s)
  for (const wrong of [[], ['a', 'b', 'c'], ['--halp'], ['build', 'b']])
    t.is(draw(...wrong).status, 1)
})

test('a map is drawn to the terminal and as SVG', async (t) => {
  await inFolder(async (file) => {
    await writeFile(file('heap.json'), JSON.stringify(usedMemory().heapMap()))
    const { stdout, stderr, status } = draw(file('heap.json'))
    t.deepEqual({ stderr, status }, { stderr: '', status: 0 })
    t.false(stdout.includes('\u001b'))
    t.regex(stdout, /live .* large .* cached .* free .* trimmed .* overhead .* outside 0 B/)
    t.regex(stdout, /^00000000 {2}=/m)
    t.regex(stdout, /^ +48 B +100 /m)
    t.regex(stdout, /^ +large +1 /m)
    t.is(draw(file('heap.json'), file('heap.svg')).status, 0)
    const svg = await readFile(file('heap.svg'), 'utf8')
    t.regex(svg, /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" .*<\/svg>\n$/s)
    t.false(/NaN|undefined|Infinity/.test(svg + stdout))
    t.regex(svg, />48 B<.*>large</s)
  })
})

test('what cannot be printed ends the command with an error of its own', async (t) => {
  const command = spawn(process.execPath, [BIN, '--help'], { stdio: ['ignore', 'pipe', 'pipe'] })
  command.stdout.destroy() // Nobody reads any more, before it has started.
  const [stderr, [status]] = await Promise.all([textOf(command.stderr), once(command, 'exit')])
  t.is(status, 1)
  t.is(stderr.trim().split('\n').length, 1)
})

/** What the paths of a picture fill, in square pixels, by their colours; without the ground. */
const filled = (svg) =>
  new Map(
    [...svg.matchAll(/<path fill="(#\w{6})" d="([^"]*)"/g)].map(([, color, boxes]) => [
      color,
      sum([...boxes.matchAll(/h([\d.]+)v([\d.]+)/g)], ([, width, height]) => width * height),
    ]),
  )

const pictures = async (map) =>
  inFolder(async (file) => {
    await writeFile(file('heap.json'), JSON.stringify(map))
    draw(file('heap.json'), file('heap.svg'))
    return [filled(await readFile(file('heap.svg'), 'utf8')), draw(file('heap.json')).stdout]
  })

/** Whether boxes lie on top of each other; their numbers are rounded to a tenth. */
const overlap = (a, b) =>
  Math.min(a.right, b.right) - Math.max(a.left, b.left) > 0.2 &&
  Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 0.2

test('what is drawn lies inside the picture, and nothing on top of anything else', async (t) => {
  await inFolder(async (file) => {
    await writeFile(file('heap.json'), JSON.stringify(usedMemory().heapMap()))
    draw(file('heap.json'), file('heap.svg'))
    const svg = await readFile(file('heap.svg'), 'utf8')
    const [, width, height] = /viewBox="0 0 ([\d.]+) ([\d.]+)"/.exec(svg).map(Number)
    const paths = [...svg.matchAll(/<path fill="#\w{6}" d="([^"]*)"/g)].map(([, path]) => path)
    const boxes = [...paths.join('').matchAll(/M(\S+) (\S+)h([\d.]+)v([\d.]+)/g)].map(
      ([, x, y, w, h]) => ({ left: +x, top: +y, right: +x + +w, bottom: +y + +h }),
    )
    t.true(boxes.length > 50)
    // The bar of the large block, far wider than any cell.
    t.true(boxes.some(({ left, right }) => right - left > width / 2))
    const isInside = ({ left, top, right, bottom }) =>
      left >= 0 && top >= 0 && right <= width && bottom <= height
    t.true(boxes.every(isInside))
    t.is(
      boxes.findIndex((box, index) => boxes.slice(0, index).some((other) => overlap(box, other))),
      -1,
    )
  })
})

test('the longest bar is that of the size whose blocks take the most', (t) => {
  const { sizes, most } = sizesOf(usedMemory().heapMap())
  const bytes = sizes.map(({ uses }) => sum(BLOCK_USES, (use) => uses[use]))
  t.is(most, Math.max(...bytes))
})

test('large blocks have a tint of their own, and the longest bar where they take the most', async (t) => {
  const memory = new LocalSharedMemory({ initial: 20, maximum: 20, shared: true, debug: false })
  memory.malloc(40)
  const [smallTints, smallText] = await pictures(memory.heapMap())
  memory.malloc(1_000_000)
  const [tints, text] = await pictures(memory.heapMap())
  const grown = [...tints.keys()].filter((color) => tints.get(color) > smallTints.get(color) + 9999)
  t.is(grown.length, 1)
  t.regex(text, /^ +large +1 .* {2}#{32}$/m)
  t.regex(text, /^[\da-f]{8} .*#{32}/m)
  t.notRegex(smallText, /##/)
})

test('maps without blocks, and of a memory of 4 GiB, are drawn', async (t) => {
  await inFolder(async (file) => {
    const huge = new LocalSharedMemory(65_536)
    huge.malloc(3_000_000_000)
    for (const map of [new LocalSharedMemory(1).heapMap(), huge.heapMap()]) {
      // oxlint-disable-next-line no-await-in-loop -- one file after the other
      await writeFile(file('heap.json'), JSON.stringify(map))
      const { stdout, status } = draw(file('heap.json'))
      t.is(status, 0)
      t.false(/NaN|undefined|Infinity/.test(stdout))
      t.is(draw(file('heap.json'), file('heap.svg')).status, 0)
      // oxlint-disable-next-line no-await-in-loop -- as above
      t.false(/NaN|undefined|Infinity/.test(await readFile(file('heap.svg'), 'utf8')))
    }
  })
})

test('what holds no map is not drawn', async (t) => {
  await inFolder(async (file) => {
    const map = usedMemory().heapMap()
    const bad = [
      '',
      'null',
      '{}',
      '[]',
      '[null]',
      '[1]',
      JSON.stringify(map.slice(1)),
      JSON.stringify(map.toSpliced(1, 1)),
      JSON.stringify(map.with(0, { ...map[0], kind: 'other' })),
      JSON.stringify(map.with(0, { ...map[0], live: -1 })),
      JSON.stringify(map.with(0, { ...map[0], live: '1' })),
      JSON.stringify(map.with(0, { ...map[0], byteLength: 0 })),
      JSON.stringify(map.with(0, { ...map[0], trimmedBytes: 2 ** 32 })),
      JSON.stringify(map.with(0, { ...map[0], live: 1 })),
      JSON.stringify(map.with(0, { ...map[0], live: 1, slots: 1, blockBytes: 2 ** 32 })),
    ]
    for (const text of bad) {
      // oxlint-disable-next-line no-await-in-loop -- one file after the other
      await writeFile(file('heap.json'), text)
      const { stdout, stderr, status } = draw(file('heap.json'))
      t.deepEqual({ stdout, status }, { stdout: '', status: 1 }, text)
      t.regex(stderr, /^local-shared-memory: .*\n$/)
    }
    t.is(draw(file('missing.json')).status, 1)
    t.is(draw().status, 1)
  })
})
