// npm run bench: measures every workload, prints the tables and writes the report.

import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { machine } from './harness/machine.js'
import { settings } from './harness/settings.js'

const builder = fileURLToPath(new URL('contenders/build.js', import.meta.url))
execFileSync(process.execPath, [builder], { stdio: 'inherit' })
const { contenders, close } = await import('./contenders/index.js')
const { groups: workloads } = await import('./workloads/index.js')
const { measure } = await import('./harness/measure.js')
const { evaluate } = await import('./report/goals.js')
const { goalTable, groupSection, markdown } = await import('./report/markdown.js')

const ONCE = { rounds: 1, target: 0 }

async function measureGroup(workload) {
  const { cases, ...group } = workload
  const parts = []
  for (const each of cases(settings))
    parts.push(await measure(workload, each, workload.once ? ONCE : settings))
  const order = contenders.map(({ name }) => name)
  const entries = parts.flatMap((part) => part.entries)
  return { ...group, order, entries, absent: parts.flatMap((part) => part.absent) }
}

const path = (name) => new URL(name, import.meta.url)
const groups = []
for (const workload of workloads.filter(({ name }) => name.includes(settings.only))) {
  const group = await measureGroup(workload)
  if (group.entries.length === 0) continue
  groups.push(group)
  console.log(`${groupSection(group)}\n`)
}
close()
const goals = evaluate(groups)
console.log(`## Goals\n\n${goalTable(goals)}`)
await write({ machine: machine(), settings, contenders: contenders.map(describe), groups, goals })

function describe({ name, version, language, locking, alignment, sizeOf }) {
  return { name, version, language, locking, alignment, sizeOf }
}

async function write(results) {
  mkdirSync(path('results'), { recursive: true })
  writeFileSync(path('results/latest.json'), `${JSON.stringify(results, null, 2)}\n`)
  if (settings.quick || settings.only) return
  const { draw } = await import('./report/plots.js')
  const plots = draw(groups)
  for (const { file, svg } of plots) writeFileSync(path(file), `${svg}\n`)
  writeFileSync(path('RESULTS.md'), markdown({ ...results, plots }))
}
