// What the bytes of a heap map are used for: of each area, of equal cells, of each size of block.

/**
 * What a byte can be used for. `live` are the live blocks of spans, `large` those with pages of their own; `overhead` is the
 * heap's records, and what is left over of spans and large blocks.
 */
export const USES = ['live', 'large', 'cached', 'free', 'trimmed', 'overhead', 'outside']
/** The uses that blocks can have, in the order of a bar. */
export const BLOCK_USES = ['live', 'large', 'cached', 'free']

const LEAST_CELL = 4096

const sumOf = (uses) => USES.reduce((sum, use) => sum + uses[use], 0)
const noUses = () => Object.fromEntries(USES.map((use) => [use, 0]))

const addTo = (uses, more, share = 1) => {
  for (const use of USES) uses[use] += more[use] * share
}

/** Bytes of each use in an area. */
const usesOfArea = ({ kind, byteLength, trimmedBytes, blockBytes, live, cached, free }) => {
  if (kind === 'outside') return { ...noUses(), outside: byteLength }
  if (kind === 'free')
    return { ...noUses(), free: byteLength - trimmedBytes, trimmed: trimmedBytes }
  const blocks = { cached: cached * blockBytes, free: free * blockBytes }
  const uses = { ...noUses(), ...blocks, [kind === 'large' ? 'large' : 'live']: live * blockBytes }
  return { ...uses, overhead: byteLength - sumOf(uses) }
}

/**
 * @param {import('../../index.js').HeapArea[]} map
 * @returns {object} bytes of each use
 */
export const usesOf = (map) => {
  const uses = noUses()
  for (const area of map) addTo(uses, usesOfArea(area))
  return uses
}

const byteLengthOf = (map) => map.reduce((sum, { byteLength }) => sum + byteLength, 0)

/**
 * Cuts the memory into equal cells. What an area is used for is spread evenly over it.
 *
 * @param {import('../../index.js').HeapArea[]} map
 * @param {number} most cells
 * @returns {{ cellBytes: number, cells: object[] }} the bytes of a cell, a power of two, and for each cell the bytes of
 * each use
 */
export const cellsOf = (map, most) => {
  const byteLength = byteLengthOf(map)
  let cellBytes = LEAST_CELL
  while (byteLength > cellBytes * most) cellBytes *= 2
  const cells = Array.from({ length: Math.ceil(byteLength / cellBytes) }, noUses)
  for (const area of map) {
    const uses = usesOfArea(area)
    const end = area.byteOffset + area.byteLength
    for (let at = area.byteOffset; at < end;) {
      const index = Math.floor(at / cellBytes)
      const next = Math.min(end, (index + 1) * cellBytes)
      addTo(cells[index], uses, (next - at) / area.byteLength)
      at = next
    }
  }
  return { cellBytes, cells }
}

/** Large blocks count as one size, beyond all others. */
const LARGE = Infinity

/**
 * Adds up the blocks of each size.
 *
 * @param {import('../../index.js').HeapArea[]} map
 * @returns {{ sizes: { blockBytes: number, live: number, cached: number, free: number, uses: object }[], most: number }}
 * by ascending size; and the most bytes that the blocks of one size take
 */
export const sizesOf = (map) => {
  const sizes = new Map()
  for (const area of map.filter(({ slots }) => slots > 0)) {
    const blockBytes = area.kind === 'large' ? LARGE : area.blockBytes
    const size = sizes.get(blockBytes) ?? {
      blockBytes,
      live: 0,
      cached: 0,
      free: 0,
      uses: noUses(),
    }
    for (const blocks of ['live', 'cached', 'free']) size[blocks] += area[blocks]
    addTo(size.uses, usesOfArea(area))
    sizes.set(blockBytes, size)
  }
  const ascending = [...sizes.values()].toSorted((a, b) => a.blockBytes - b.blockBytes)
  const bytes = ascending.map(({ uses }) => sumOf(uses) - uses.overhead)
  return { sizes: ascending, most: Math.max(...bytes) }
}

/** Bytes of live blocks, of whatever kind. */
export const liveBytesOf = ({ live, large }) => live + large

/** What the blocks of a size are called. */
export const nameOf = ({ blockBytes }) => (blockBytes === LARGE ? 'large' : `${blockBytes} B`)

const UNITS = ['B', 'KiB', 'MiB', 'GiB']

/** A number of bytes for people: 1536 is '1.5 KiB'. */
export const show = (bytes) => {
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024
    unit++
  }
  return `${Number(value.toFixed(1)).toLocaleString('en')} ${UNITS[unit]}`
}
