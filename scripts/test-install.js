// Installs the package as users do, each time into an empty folder, and runs programs there: with a prebuilt platform
// package and each package manager, with neither that nor anything built, and built from source.
//
// Takes the addon that `npm run build` left.

import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import {
  pack,
  readManifest,
  release,
  ROOT,
  run,
  succeed,
  withoutAddon,
  writeProject,
} from './packages.js'

const PROGRAMS = join(ROOT, '__test__/fixtures/installed')
const INSTALLED = 'node_modules/local-shared-memory'
const SNIPPET = /^```javascript\n(.*?)^```$/gms

/** Each with the arguments that install what package.json asks for. */
const PACKAGE_MANAGERS = {
  npm: ['npm', 'install'],
  pnpm: ['npx', '--yes', 'pnpm@12', 'install'],
  yarn: ['npx', '--yes', '@yarnpkg/cli-dist@4', 'install'],
}
const YARN_SETTINGS = { nodeLinker: 'node-modules', enableImmutableInstalls: false }

const scratch = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'local-shared-memory-')))

/** On Windows variables are the same in any case. */
const withoutPath = Object.entries(process.env).filter(([name]) => !/^path$/i.test(name))
const WITHOUT_PROGRAMS = { ...Object.fromEntries(withoutPath), PATH: join(scratch, 'no-programs') }

const emptyFolder = () => fs.mkdtempSync(join(scratch, 'folder-'))

/** @returns {string[]} what a build has left in a folder */
const builtIn = (folder) => fs.readdirSync(folder).filter((name) => /^target|\.node$/.test(name))

const install = (folder, ...packages) =>
  succeed('npm', ['install', '--prefix', folder, ...packages], folder)

const runPrograms = (folder) => {
  fs.cpSync(PROGRAMS, folder, { recursive: true })
  for (const program of fs.readdirSync(PROGRAMS)) succeed(process.execPath, [program], folder)
}

const runSnippets = (folder, markdown) => {
  const snippets = [...markdown.matchAll(SNIPPET)]
  assert.notEqual(snippets.length, 0)
  for (const [, code] of snippets) {
    fs.writeFileSync(join(folder, 'snippet.mjs'), code)
    succeed(process.execPath, ['snippet.mjs'], folder)
  }
}

let source
let sourceOnly
let packages

before(async () => {
  source = pack(ROOT, scratch)
  sourceOnly = withoutAddon(source, scratch)
  packages = await release(source, scratch)
})

after(() => fs.rmSync(scratch, { recursive: true, maxRetries: 3 }))

for (const [name, [command, ...args]] of Object.entries(PACKAGE_MANAGERS)) {
  test(`with a prebuilt platform package, installed by ${name}, it works`, () => {
    const folder = emptyFolder()
    writeProject(folder, packages)
    fs.writeFileSync(join(folder, '.yarnrc.yml'), JSON.stringify(YARN_SETTINGS))
    succeed(command, args, folder)

    const installed = join(folder, INSTALLED)
    const { optionalDependencies } = readManifest(installed)
    assert.equal(Object.keys(optionalDependencies).length, packages.length - 1)
    assert.deepEqual(builtIn(installed), [])
    runPrograms(folder)
    runSnippets(folder, fs.readFileSync(join(installed, 'README.md'), 'utf8'))
  })
}

/** What a program's comments say that its lines print. */
const printedBy = (code) =>
  [...code.matchAll(/console\.log\(.*\) \/\/ (.*)$/gm)].map(([, text]) => text)

test('from a tarball of a checkout in an empty folder, the first program of the README does what it says', (t) => {
  const folder = emptyFolder()
  const start = Date.now()
  install(folder, source)
  const README = fs.readFileSync(join(folder, INSTALLED, 'README.md'), 'utf8')
  const [[, code]] = README.matchAll(SNIPPET)
  fs.writeFileSync(join(folder, 'example.mjs'), code)
  const output = succeed(process.execPath, ['example.mjs'], folder)
  t.diagnostic(`${((Date.now() - start) / 1000).toFixed(1)} s from an empty folder to its output`)
  assert.notEqual(printedBy(code).length, 0)
  for (const text of printedBy(code)) assert.ok(output.includes(`${text}\n`), output)
})

test('examples without packages of their own run where they are installed', () => {
  const folder = emptyFolder()
  install(folder, source)
  const examples = join(folder, INSTALLED, 'examples')
  const text = join(folder, INSTALLED, 'README.md')
  for (const [program, ...args] of [
    ['word-count.js', text],
    ['channel/main.js'],
    ['rate-limiter/main.js'],
  ])
    succeed(process.execPath, [join(examples, program), ...args], folder)
})

test('where none is prebuilt, importing names the command that builds one, and that does', () => {
  const folder = emptyFolder()
  install(folder, sourceOnly)
  assert.deepEqual(builtIn(join(folder, INSTALLED)), [])
  fs.cpSync(PROGRAMS, folder, { recursive: true })
  for (const program of fs.readdirSync(PROGRAMS)) {
    const { status, stderr } = run(process.execPath, [program], folder)
    assert.equal(status, 1)
    assert.match(stderr, /code: 'ERR_ADDON_UNAVAILABLE'/)
    assert.match(stderr, /npx local-shared-memory build/)
    assert.ok(stderr.split('\n').length < 25, stderr)
  }
  succeed('npx', ['local-shared-memory', 'build'], folder)
  const [addon, ...others] = builtIn(join(folder, INSTALLED))
  assert.match(addon, /\.node$/)
  assert.deepEqual(others, [])
  runPrograms(folder)

  fs.writeFileSync(join(folder, INSTALLED, addon), 'no addon')
  const [program] = fs.readdirSync(PROGRAMS)
  const { stderr } = run(process.execPath, [program], folder)
  assert.match(stderr, /code: 'ERR_ADDON_UNAVAILABLE',\s+\[cause\]/)
})

test('without cargo nothing is built, and the command says what to install', () => {
  const folder = emptyFolder()
  install(folder, sourceOnly)
  const command = join(folder, INSTALLED, 'bin/local-shared-memory.js')
  const { status, stderr } = run(process.execPath, [command, 'build'], folder, WITHOUT_PROGRAMS)
  assert.equal(status, 1)
  assert.match(stderr, /Rust \d+\.\d+ or later/)
  assert.deepEqual(builtIn(join(folder, INSTALLED)), [])
})
