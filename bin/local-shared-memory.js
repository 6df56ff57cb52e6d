#!/usr/bin/env node
// The package's command: draws heap maps, and builds the addon where none is prebuilt.

import { parseArgs } from 'node:util'
import { buildAddon } from './build.js'
import { drawHeapMap } from './heap-map.js'

const HELP = `Usage:
  local-shared-memory <heap.json> [picture.svg]  draw what a program wrote with JSON.stringify(memory.heapMap())
  local-shared-memory build                      build the addon from source, with Rust, for where none is prebuilt

Options:
  -h, --help  show this
`

const OPTIONS = { help: { type: 'boolean', short: 'h' } }

const main = async () => {
  const { values, positionals } = parseArgs({ options: OPTIONS, allowPositionals: true })
  const [first, second, ...rest] = positionals
  if (values.help) return process.stdout.write(HELP)
  if (first === 'build' && second === undefined) return buildAddon(console.log)
  if (first === undefined || rest.length > 0) throw new Error(`Wrong arguments.\n\n${HELP}`)
  return drawHeapMap(first, second)
}

const fail = (error) => {
  console.error(`local-shared-memory: ${error.message}`)
  process.exitCode = 1
}

// A pipe whose reader has gone, or a device that is full: known once main has returned.
process.stdout.on('error', fail)
try {
  await main()
} catch (error) {
  fail(error)
}
