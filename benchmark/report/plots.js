// The plots, drawn as SVG.

import * as Plot from '@observablehq/plot'
import { parseHTML } from 'linkedom'

const FRAME = { width: 800, height: 440, marginTop: 40, marginLeft: 60, marginRight: 180 }
const STYLE = { background: 'white', color: 'black', fontSize: '12px' }
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
  x: { type: 'log', label: 'live blocks', grid: true, tickFormat: '~s', ticks: 5 },
  y: { type: 'log', label: 'ns per pair', grid: true, tickFormat: '~s' },
}
const threads = {
  x: { type: 'point', label: 'threads' },
  y: { type: 'log', label: 'million pairs a second', grid: true, tickFormat: '~r' },
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

function plot(points, title, axes) {
  const peers = [...new Set(points.map(({ contender }) => contender))].filter(
    (name) => name !== OURS,
  )
  const color = {
    stroke: 'contender',
    strokeWidth: ({ contender }) => (contender === OURS ? 3 : 1),
  }
  const svg = Plot.plot({
    document,
    ...FRAME,
    ...axes,
    style: STYLE,
    color: { domain: [OURS, ...peers], range: ['black', ...COLORS] },
    marks: [
      Plot.ruleX(points, { x: 'x', y1: 'low', y2: 'high', stroke: 'contender' }),
      Plot.lineY(points, { x: 'x', y: 'median', z: 'contender', ...color, marker: 'circle' }),
      ...legend(points),
      Plot.text([title], { frameAnchor: 'top', dy: -30, fontWeight: 'bold' }),
    ],
  })
  svg.setAttribute('xmlns', 'http://www.w3.org/2000/svg')
  return svg.outerHTML
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
