// Runs every program in README.md and docs/ as a user would who copies it into a file, and looks for what its comments say
// that it prints.

import { execFile } from 'node:child_process'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import test from 'ava'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const SNIPPET = /^```javascript\n(.*?)^```$/gms
const PRINTED = /console\.log\(.*\) \/\/ (.*)$/gm

const folder = mkdtempSync(join(tmpdir(), 'local-shared-memory-'))
const { LSM_DEBUG: _, ...env } = process.env

mkdirSync(join(folder, 'node_modules'))
symlinkSync(ROOT, join(folder, 'node_modules/local-shared-memory'), 'junction')
test.after.always(() => rmSync(folder, { recursive: true }))

const pages = readdirSync(join(ROOT, 'docs')).filter((name) => name.endsWith('.md'))
const snippetsIn = (path) =>
  [...readFileSync(join(ROOT, path), 'utf8').matchAll(SNIPPET)].map(([, code]) => code)

/** Runs a program in a file of its own and returns the lines that it prints. */
const run = async (name, code) => {
  const file = join(folder, name)
  writeFileSync(file, code)
  const { stdout } = await promisify(execFile)(process.execPath, [file], { cwd: folder, env })
  return stdout.split('\n')
}

/** What a program says that it prints: `…` stands for more, and a platform is named after a comma. */
const promisesOf = (code) =>
  [...code.matchAll(PRINTED)]
    .map(([, promise]) => promise.split(', on '))
    .filter(([, platform]) => platform === undefined || process.platform === 'linux')
    .map(([text]) => text)

const keeps = (line, promise) =>
  promise.endsWith('…') ? line.startsWith(promise.slice(0, -1)) : line === promise

/** The promises that no line keeps. A worker's lines may come later than its program says. */
const broken = (lines, promises) =>
  promises.filter((promise) => {
    const at = lines.findIndex((line) => keeps(line, promise))
    if (at !== -1) lines.splice(at, 1)
    return at === -1
  })

for (const path of ['README.md', ...pages.map((name) => `docs/${name}`)]) {
  for (const [index, code] of snippetsIn(path).entries()) {
    test.serial(`${path}, program ${index + 1}`, async (t) => {
      const lines = await run(`${path.replace('/', '-')}-${index}.mjs`, code)
      t.deepEqual(broken(lines, promisesOf(code)), [])
    })
  }
}
