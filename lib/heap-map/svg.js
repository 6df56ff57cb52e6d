// A heap map as an SVG.

import { BLOCK_USES, cellsOf, liveBytesOf, nameOf, show, sizesOf, USES, usesOf } from './uses.js'

const COLUMNS = 64
const ROWS = 24
const CELL = 13
const MARGIN = 24
/** Room for the names of rows. */
const LABEL = 72
const WIDTH = MARGIN + LABEL + COLUMNS * CELL + MARGIN
const LINE = 18
const BAR = 12
/** Room for what stands behind a bar. */
const COUNTS = 160
const COLORS = {
  live: '#2563a8',
  large: '#58a0c8',
  cached: '#f2a33a',
  free: '#a9d8b3',
  trimmed: '#eceef1',
  overhead: '#8b93a1',
  outside: '#dcc8e3',
}

const round = (value) => Number(value.toFixed(1))

/** Boxes and texts; all boxes of one use become one path. */
class Drawing {
  #boxes = Object.fromEntries(USES.map((use) => [use, []]))
  #texts = []

  box(use, x, y, width, height) {
    const [w, h] = [round(width), round(height)]
    if (w > 0 && h > 0) this.#boxes[use].push(`M${round(x)} ${round(y)}h${w}v${h}h-${w}z`)
  }

  text(x, y, content, anchor = 'start') {
    this.#texts.push(`<text x="${round(x)}" y="${y}" text-anchor="${anchor}">${content}</text>`)
  }

  toString(height) {
    const paths = USES.map(
      (use) => `<path fill="${COLORS[use]}" d="${this.#boxes[use].join('')}"/>`,
    )
    return [
      `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img">`,
      '<title>A heap, and what its bytes are used for</title>',
      '<style>text{font:12px sans-serif;fill:#24292f}</style>',
      `<path fill="#fff" d="M0 0h${WIDTH}v${height}h-${WIDTH}z"/>`,
      ...paths,
      ...this.#texts,
      '</svg>',
      '',
    ].join('\n')
  }
}

/** One cell, its uses on top of each other, live at the bottom. */
const drawCell = (drawing, uses, x, y) => {
  const total = USES.reduce((sum, use) => sum + uses[use], 0)
  let bottom = y + CELL - 1
  for (const use of USES) {
    const height = ((CELL - 1) * uses[use]) / total
    bottom -= height
    drawing.box(use, x, bottom, CELL - 1, height)
  }
}

/** Returns where it ends. */
const drawGrid = (drawing, map, top) => {
  const { cellBytes, cells } = cellsOf(map, COLUMNS * ROWS)
  const left = MARGIN + LABEL
  drawing.text(MARGIN, top, `The memory from its start, each square ${show(cellBytes)}`)
  for (const [index, uses] of cells.entries()) {
    const column = index % COLUMNS
    const y = top + 14 + ((index - column) / COLUMNS) * CELL
    if (column === 0) drawing.text(left - 8, y + CELL - 3, show(index * cellBytes), 'end')
    drawCell(drawing, uses, left + column * CELL, y)
  }
  return top + 14 + Math.ceil(cells.length / COLUMNS) * CELL
}

const drawLegend = (drawing, map, top) => {
  const uses = usesOf(map)
  const width = (WIDTH - 2 * MARGIN) / USES.length
  for (const [column, use] of USES.entries()) {
    const x = MARGIN + column * width
    drawing.box(use, x, top - 10, 11, 11)
    drawing.text(x + 16, top, use)
    drawing.text(x + 16, top + LINE, show(uses[use]))
  }
}

const drawBar = (drawing, uses, bytesOfLine, top) => {
  let x = MARGIN + LABEL
  for (const use of BLOCK_USES) {
    const width = (uses[use] / bytesOfLine) * (WIDTH - 2 * MARGIN - LABEL - COUNTS)
    drawing.box(use, x, top - BAR + 2, width, BAR)
    x += width
  }
}

/** Returns where it ends. */
const drawSizes = (drawing, map, top) => {
  const { sizes, most } = sizesOf(map)
  drawing.text(MARGIN, top, 'Blocks by their size, header included')
  for (const [row, size] of sizes.entries()) {
    const y = top + (row + 1) * LINE + 4
    const { live, uses } = size
    drawing.text(MARGIN + LABEL - 8, y, nameOf(size), 'end')
    drawBar(drawing, uses, most, y)
    const counts = `${live.toLocaleString('en')} live, ${show(liveBytesOf(uses))}`
    drawing.text(WIDTH - MARGIN, y, counts, 'end')
  }
  return top + (sizes.length + 1) * LINE + 8
}

/**
 * @param {import('../../index.js').HeapArea[]} map
 * @returns {string}
 */
export const drawSvg = (map) => {
  const drawing = new Drawing()
  drawLegend(drawing, map, 28)
  const bottom = drawGrid(drawing, map, 56 + LINE)
  return drawing.toString(drawSizes(drawing, map, bottom + 28))
}
