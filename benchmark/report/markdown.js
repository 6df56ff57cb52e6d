// The report: the machine, the contenders, a table for each group, and the goals.

import { figure, signed, table } from './format.js'
import { REFERENCE } from '../harness/measure.js'

const FEWER = 4

/**
 * The whole report.
 * @param {object} results - what `run.js` collected
 * @returns {string} Markdown
 */
export function markdown({ machine, settings, contenders, groups, goals, plots }) {
  return [
    '# Benchmark results',
    about(machine, settings),
    '## Contenders',
    contenderTable(contenders),
    ...plots.map(({ title, file }) => `![${title}](${file})`),
    ...groups.map(groupSection),
    '## Goals',
    goalTable(goals),
    '',
  ].join('\n\n')
}

/**
 * One group's section, as it is also printed while the benchmark runs.
 * @param {object} group
 * @returns {string} Markdown
 */
export function groupSection(group) {
  const notes = []
  const body = group.transposed ? casesAsRows(group, notes) : casesAsColumns(group, notes)
  return [`## ${group.title}`, caption(group), body, notes.map(footnote).join('\n')]
    .filter(Boolean)
    .join('\n\n')
}

/**
 * The table of goals.
 * @param {object[]} goals
 * @returns {string} Markdown
 */
export function goalTable(goals) {
  const rows = goals.map(({ what, reach, measured, reached }) => {
    const verdict = reached === undefined ? 'not measured' : reached ? 'yes' : '**no**'
    return [what, reach, measured ?? '—', verdict]
  })
  return table(['what', 'goal', 'measured', 'reached'], rows)
}

function about({ date, cpu, cores, memoryGiB, system, node }, { rounds }) {
  return [
    `${cpu}, ${cores} cores, ${memoryGiB} GiB, ${system}, Node.js ${node}, ${date}.`,
    `Each figure is the median of ${rounds} interleaved rounds, with its quartiles in brackets.`,
  ].join('\n')
}

function contenderTable(contenders) {
  const head = ['contender', 'version', 'in', 'threads', 'alignment', 'size look-up']
  const rows = contenders.map(({ name, version, language, locking, alignment, sizeOf }) => [
    name,
    version,
    language,
    locking,
    alignment ?? 16,
    sizeOf ?? 'no',
  ])
  return table(head, rows)
}

function caption({ unit, reference = REFERENCE, base, difference }) {
  const ratio = difference ? 'the difference' : 'the ratio'
  return [
    `In ${unit}.`,
    reference && `After it ${ratio} to ${reference} in the same rounds.`,
    base && `× ${base}: the throughput over the contender's own with ${base}.`,
  ]
    .filter(Boolean)
    .join(' ')
}

const unique = (values) => [...new Set(values)]

function casesAsColumns(group, notes) {
  const all = [...group.entries, ...group.absent]
  const columns = unique(group.entries.map(({ column }) => column))
  const rows = unique(sorted(all, group.order).map((each) => each.row)).map((name) => [
    name,
    ...columns.map((column) => cell(find(all, name, column), group, notes)),
  ])
  return table(['', ...columns], rows)
}

function casesAsRows(group, notes) {
  const names = unique(group.entries.map((each) => each.row))
  const rows = unique(group.entries.map(({ column }) => column)).map((column) => [
    column,
    ...names.map((name) => cell(find(group.entries, name, column), group, notes)),
  ])
  return table(['', ...names], rows)
}

const sorted = (entries, order) =>
  entries.toSorted((one, other) => order.indexOf(one.row) - order.indexOf(other.row))

const find = (entries, name, column) =>
  entries.find((each) => each.row === name && each.column === column)

function cell(entry, group, notes) {
  if (!entry) return ''
  if (entry.why) return `—${mark(notes, `${entry.row}: ${entry.why}`)}`
  const { median, low, high, ops, most } = entry
  const text = `${figure(median)} (${figure(low)}–${figure(high)})${comparison(entry, group)}`
  if (ops * FEWER > most) return text
  return text + mark(notes, `slow, so fewer operations in a round: a quarter or less`)
}

function comparison({ row: name, column, ratio, scaling, difference }, { reference, base }) {
  const isReference = name === (reference ?? REFERENCE)
  const parts = []
  if (difference !== undefined && !isReference) parts.push(signed(difference))
  else if (ratio !== undefined && !isReference) parts.push(`${figure(ratio)}×`)
  if (scaling !== undefined && column !== base) parts.push(`${figure(scaling)}× ${base}`)
  return parts.map((part) => ` · ${part}`).join('')
}

function mark(notes, text) {
  if (!notes.includes(text)) notes.push(text)
  return `<sup>${notes.indexOf(text) + 1}</sup>`
}

const footnote = (text, index) => `${index + 1}. ${text}`
