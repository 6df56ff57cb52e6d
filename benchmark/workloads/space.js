// How much of a memory can be used: a heap that starts at one page and may grow to P is filled until it refuses.

import { contenders } from '../contenders/index.js'
import { logUniform } from '../harness/random.js'

const PAGE = 65_536
const HEADER = 8
const GRAIN = 16
const MAXIMA = [10, 100, 1000]
const SIZES = [16, 40, 100, 500, 1000, 3000, 10_000, 30_000, 50_000, 100_000, 300_000, 1_000_000]

const leastFor = (byteLength) => Math.ceil((byteLength + HEADER) / GRAIN) * GRAIN

const malloc = (heap, byteLength) => {
  try {
    return heap.malloc(byteLength) >>> 0
  } catch {
    return 0
  }
}

const fill = (heap, byteLength) => {
  const pointers = []
  for (let ptr; (ptr = malloc(heap, byteLength)) !== 0;) pointers.push(ptr)
  return pointers
}

/** Blocks of one size, of those that fit in theory. */
const ofOneSize = (heap, pages, byteLength) =>
  fill(heap, byteLength).length / Math.floor((pages * PAGE) / leastFor(byteLength))

/** After every second block was freed, blocks of half the size, of those that fit in what was freed. */
const ofHalfTheSize = (heap, pages, byteLength) => {
  const freed = fill(heap, byteLength).filter((_, index) => index % 2 === 1)
  for (const ptr of freed) heap.free(ptr)
  const half = byteLength / 2
  const inEach = Math.floor(leastFor(byteLength) / leastFor(half))
  return fill(heap, half).length / (freed.length * inEach)
}

/** Bytes of blocks of random sizes when one is refused for the first time, of the bytes there are. */
const ofRandomSizes = (heap, pages) => {
  const sizes = logUniform(pages * 4096, GRAIN, (pages * PAGE) / 100)
  let bytes = 0
  for (const byteLength of sizes) {
    if (malloc(heap, byteLength) === 0) break
    bytes += leastFor(byteLength)
  }
  return bytes / (pages * PAGE)
}

const spaceCase = (title, pages, measure) => ({
  title,
  enter: () => ({
    entrants: contenders
      .filter((contender) => contender.openSmall)
      .map((contender) => ({
        row: contender.name,
        most: 1,
        run: () => measure(contender.openSmall(pages), pages),
        finish() {},
      })),
    absent: [],
  }),
})

const sizesFor = (pages) => SIZES.filter((byteLength) => byteLength <= (pages * PAGE) / 10)

const grid = (measure) => () =>
  MAXIMA.flatMap((pages) =>
    sizesFor(pages).map((byteLength) =>
      spaceCase(`${pages} pages, ${byteLength.toLocaleString('en')} B`, pages, (heap) =>
        measure(heap, pages, byteLength),
      ),
    ),
  )

const group = {
  unit: 'parts of one',
  reference: 'AssemblyScript TLSF',
  transposed: true,
  once: true,
}

export const groups = [
  {
    ...group,
    name: 'space',
    title: 'Blocks of one size that fit before the memory is full, of those that fit in theory',
    cases: grid(ofOneSize),
  },
  {
    ...group,
    name: 'space half',
    title: 'Blocks of half the size that fit in every second block, of those that fit in theory',
    cases: grid(ofHalfTheSize),
  },
  {
    ...group,
    name: 'space random',
    title: 'Bytes of blocks of random sizes until one is refused, of those that there are',
    cases: () => MAXIMA.map((pages) => spaceCase(`${pages} pages`, pages, ofRandomSizes)),
  },
]
