// A heap map for a terminal.

import { BLOCK_USES, cellsOf, liveBytesOf, nameOf, show, sizesOf, USES, usesOf } from './uses.js'

const COLUMNS = 64
const ROWS = 32
const BAR = 32
/** How much of a cell is live, from a little to all of it. */
const SHADES = ['░', '▒', '▓', '█']
const MARKS = { large: '#', cached: '+', free: '·', trimmed: '_', overhead: '=', outside: 'x' }
const COLORS = { live: 34, large: 36, cached: 33, free: 32, trimmed: 90, overhead: 35, outside: 31 }

const paint = (use, text, colors) => (colors ? `\u001b[${COLORS[use]}m${text}\u001b[39m` : text)

/** A cell is shown as live if any of it is, in spans or in large blocks; else as what most of it is. */
const cellMark = (uses, colors) => {
  const total = USES.reduce((sum, use) => sum + uses[use], 0)
  if (uses.live > uses.large) {
    const shade = Math.min(Math.floor((uses.live / total) * SHADES.length), SHADES.length - 1)
    return paint('live', SHADES[shade], colors)
  }
  if (uses.large > 0) return paint('large', MARKS.large, colors)
  const most = USES.reduce((best, use) => (uses[use] > uses[best] ? use : best))
  return paint(most, MARKS[most], colors)
}

const legend = (map, colors) => {
  const uses = usesOf(map)
  const mark = (use) => paint(use, use === 'live' ? SHADES.join('') : MARKS[use], colors)
  return USES.map((use) => `${mark(use)} ${use} ${show(uses[use])}`).join('   ')
}

const grid = (map, colors) => {
  const { cellBytes, cells } = cellsOf(map, COLUMNS * ROWS)
  const lines = []
  for (let at = 0; at < cells.length; at += COLUMNS) {
    const marks = cells.slice(at, at + COLUMNS).map((uses) => cellMark(uses, colors))
    lines.push(`${(at * cellBytes).toString(16).padStart(8, '0')}  ${marks.join('')}`)
  }
  return [`Each mark is ${show(cellBytes)}.`, '', ...lines]
}

const bar = (uses, bytesOfLine, colors) =>
  BLOCK_USES.map((use) => {
    const mark = use === 'live' ? SHADES.at(-1) : MARKS[use]
    return paint(use, mark.repeat(Math.round((uses[use] / bytesOfLine) * BAR)), colors)
  }).join('')

const line = (texts) => texts.map((text) => text.padStart(10)).join('')

const table = (map, colors) => {
  const { sizes, most } = sizesOf(map)
  const lines = sizes.map((size) => {
    const { live, cached, free, uses } = size
    const counts = [live, cached, free].map((count) => count.toLocaleString('en'))
    const texts = [nameOf(size), ...counts, show(liveBytesOf(uses))]
    return `${line(texts)}  ${bar(uses, most, colors)}`.trimEnd()
  })
  return [line(['block', 'live', 'cached', 'free', 'live']), ...lines]
}

/**
 * @param {import('../../index.js').HeapArea[]} map
 * @param {boolean} colors
 * @returns {string} lines
 */
export const drawText = (map, colors) =>
  [legend(map, colors), ...grid(map, colors), '', ...table(map, colors), ''].join('\n')
