// The plots, drawn as SVG.

import * as Plot from '@observablehq/plot'
import { parseHTML } from 'linkedom'

const FRAME = {
  width: 800,
  height: 440,
  marginTop: 44,
  marginBottom: 42,
  marginLeft: 64,
  marginRight: 180,
}
/** Of axes: in the middle of them, where no title is. */
const LABEL = { labelAnchor: 'center', labelArrow: 'none' }
const STYLE = { background: 'white', color: 'black', fontSize: '12px' }
const SVG = 'http://www.w3.org/2000/svg'
const LINE_HEIGHT = 18
const OURS = 'local-shared-memory'
const COLORS = [
  '#4e79a7',
  '#e15759',
  '#59a14f',
  '#b07aa1',
  '#f28e2b',
  '#9c755f',
  '#17a2b8',
  '#d4a017',
  '#d37295',
  '#7f7f7f',
  '#bab0ac',
]
const { document } = parseHTML('<!doctype html><html><body></body></html>')

const blocks = {
  x: { type: 'log', ...LABEL, label: 'live blocks', grid: true, tickFormat: '~s', ticks: 5 },
  y: { type: 'log', ...LABEL, label: 'ns per pair', grid: true, tickFormat: '~s' },
}
const threads = {
  x: { type: 'point', label: 'threads', ...LABEL },
  y: { type: 'log', ...LABEL, label: 'million pairs a second', grid: true, tickFormat: '~r' },
}

const plots = [
  {
    group: 'replace random',
    file: 'live.svg',
    title: 'malloc + free of 64 B against live blocks, random order',
    axes: blocks,
  },
  {
    group: 'threads private',
    file: 'threads-private.svg',
    title: 'Throughput against threads, each with blocks of its own',
    axes: threads,
  },
  {
    group: 'threads exchange',
    file: 'threads-exchange.svg',
    title: 'Throughput against threads, every block freed by another thread',
    axes: threads,
  },
]

/**
 * Draws every plot that there are figures for.
 * @param {object[]} groups
 * @returns {{ file: string, title: string, svg: string }[]}
 */
export function draw(groups) {
  return plots.flatMap(({ group: name, file, title, axes }) => {
    const group = groups.find((each) => each.name === name)
    return group ? [{ file, title, svg: plot(group.entries.map(point), title, axes) }] : []
  })
}

const point = ({ row, column, median, low, high }) => ({
  contender: row,
  x: Number.parseInt(column.replaceAll(',', ''), 10),
  median,
  low,
  high,
})

const isOurs = ({ contender }) => contender === OURS
const isPeer = ({ contender }) => contender !== OURS

/** Our line is broad, transparent and below all others, so that it hides none of them. */
function plot(points, title, axes) {
  const peers = [...new Set(points.filter(isPeer).map(({ contender }) => contender))]
  const line = { x: 'x', y: 'median', stroke: 'contender' }
  const svg = Plot.plot({
    document,
    ...FRAME,
    ...axes,
    style: STYLE,
    color: { domain: [OURS, ...peers], range: ['black', ...COLORS] },
    marks: [
      Plot.lineY(points.filter(isOurs), { ...line, strokeWidth: 7, strokeOpacity: 0.35 }),
      Plot.dot(points.filter(isOurs), { ...line, fill: 'contender', r: 3 }),
      Plot.ruleX(points, { x: 'x', y1: 'low', y2: 'high', stroke: 'contender' }),
      Plot.lineY(points.filter(isPeer), { ...line, strokeWidth: 1.5, marker: 'circle' }),
      ...legend(points),
      Plot.text([title], { frameAnchor: 'top', dy: -30, fontWeight: 'bold' }),
    ],
  })
  svg.setAttribute('xmlns', SVG)
  svg.prepend(ground())
  return svg.outerHTML
}

/** A style's background is lost where a picture is made of pixels. */
function ground() {
  const rect = document.createElementNS(SVG, 'rect')
  for (const [name, value] of Object.entries({ width: '100%', height: '100%', fill: 'white' }))
    rect.setAttribute(name, value)
  return rect
}

/** The names in the order in which the lines end, from the top. */
function legend(points) {
  const last = new Map(points.map((each) => [each.contender, each.median]))
  const names = [...last.keys()].toSorted((one, other) => last.get(other) - last.get(one))
  return names.map((name, index) =>
    Plot.text([name], {
      frameAnchor: 'top-right',
      textAnchor: 'start',
      fill: () => name,
      fontWeight: name === OURS ? 'bold' : 'normal',
      dx: 16,
      dy: index * LINE_HEIGHT,
      text: (each) => each,
    }),
  )
}
