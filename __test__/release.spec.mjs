// What a release consists of, in all the places where it is written down: the version, the platforms, the versions of Node.js
// and Rust, the steps of the workflow, the files of the tarball.

import { execSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import { parse } from 'yaml'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const PUBLISHED = [
  '.cargo/config.toml',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'Cargo.lock',
  'Cargo.toml',
  'LICENSE',
  'README.md',
  'SECURITY.md',
  'binding.cjs',
  'build.rs',
  'index.cjs',
  'index.d.cts',
  'index.d.ts',
  'index.js',
  'index.mjs',
  'package.json',
]

const PUBLISHED_FOLDERS = ['bin', 'docs', 'examples', 'lib', 'structures']
const UNPUBLISHED = new Set(['node_modules', 'package-lock.json', '.npmrc', '.gitignore'])
/** In tarballs of a checkout, not in a release. */
const ADDON = /^local-shared-memory\.[\w-]+\.node$/

const read = (name) => readFileSync(`${ROOT}/${name}`, 'utf8')
const sorted = (values) => [...values].toSorted()
const filesIn = (folder) =>
  readdirSync(`${ROOT}/${folder}`, { withFileTypes: true })
    .filter(({ name }) => !UNPUBLISHED.has(name))
    .flatMap((entry) => {
      const path = `${folder}/${entry.name}`
      return entry.isDirectory() ? filesIn(path) : [path]
    })

/** The figures that documents refer to. */
const results = readdirSync(`${ROOT}/benchmark`)
  .filter((name) => /\.(md|svg)$/.test(name))
  .map((name) => `benchmark/${name}`)

const README = read('README.md').replaceAll(/\s+/g, ' ')
const manifest = JSON.parse(read('package.json'))
const { jobs, concurrency } = parse(read('.github/workflows/CI.yml'))
const stepsOf = ({ steps }) => steps.map(({ run = '' }) => run)

test('all files name one version', (t) => {
  const lock = JSON.parse(read('package-lock.json'))
  const own = /^name = "local-shared-memory"\nversion = "(.+)"$/m
  const versions = {
    lock: lock.version,
    'root of the lock': lock.packages[''].version,
    'Cargo.toml': own.exec(read('Cargo.toml'))[1],
    'Cargo.lock': own.exec(read('Cargo.lock'))[1],
    'CHANGELOG.md': /^## \[(\d.*?)\]/m.exec(read('CHANGELOG.md'))[1],
    'binding.cjs': /bindingPackageVersion !== '(.+?)'/.exec(read('binding.cjs'))[1],
  }
  for (const [file, version] of Object.entries(versions)) t.is(version, manifest.version, file)
})

test('every target is built and tested', (t) => {
  const targets = sorted(manifest.napi.targets)
  t.deepEqual(sorted(jobs.build.strategy.matrix.include.map(({ target }) => target)), targets)
  t.deepEqual(sorted(jobs.test.strategy.matrix.platform.map(({ target }) => target)), targets)
})

test('the lines of Node.js that are supported are those that are tested', (t) => {
  const { node: supported } = manifest.engines
  const { node: tested } = jobs.test.strategy.matrix
  const lines = [...supported.matchAll(/[\^=](\d+)/g)].map(([, major]) => Number(major))
  t.deepEqual(lines, tested.slice(0, lines.length))
  t.true(read('scripts/matrix.js').includes(`[${tested.join(', ')}].map(node)`))
  t.true(README.includes(supported))
})

test('the README asks for the version of Rust that Cargo.toml does', (t) => {
  const [, version] = /^rust-version = "(.+)"$/m.exec(read('Cargo.toml'))
  t.true(README.includes(`Rust ${version} or later`))
})

test('the workflow runs scripts that exist', (t) => {
  const commands = [...Object.values(jobs).flatMap(stepsOf), read('.ci/run')].join('\n')
  const scripts = [...commands.matchAll(/npm run ([\w:]+)/g)].map(([, script]) => script)
  t.true(scripts.length > 4)
  t.deepEqual(
    scripts.filter((script) => !(script in manifest.scripts)),
    [],
  )
})

test('the workflow runs no longer than it has to, with actions that nobody can change', (t) => {
  const used = Object.values(jobs).flatMap(({ steps }) => steps.map(({ uses }) => uses))
  for (const action of used.filter(Boolean)) t.regex(action, /@[0-9a-f]{40}$/)
  for (const job of Object.values(jobs)) t.true(job['timeout-minutes'] <= 60)
  t.true(concurrency['cancel-in-progress'].includes("!startsWith(github.ref, 'refs/tags/')"))
})

test('nothing is published before all else has passed, and then with provenance', (t) => {
  const { publish, ...others } = jobs
  t.deepEqual(sorted(publish.needs), sorted(Object.keys(others)))
  t.is(publish.permissions['id-token'], 'write')
  t.true(publish.steps.at(-1).env.NPM_CONFIG_PROVENANCE)
  t.true(manifest.publishConfig.provenance)
  t.false(read('.github/workflows/CI.yml').includes('secrets.'))
})

test('the addons are published in the platform packages only', (t) => {
  const steps = stepsOf(jobs.publish)
  const put = steps.findIndex((step) => step.startsWith('npx napi artifacts'))
  t.true(steps[put].endsWith('&& rm local-shared-memory.*.node'))
  t.true(put < steps.indexOf('npm publish'))
})

/** What declares a module of Rust in a file of its own that only tests have: its name. */
const TEST_MODULE = /#\[cfg\(test\)\]\n(?:#\[.*\]\n)*mod (\w+);/g

/** Those modules, as paths without an ending. They lie in the folder of the module that declares them. */
const testModules = () =>
  filesIn('src').flatMap((path) => {
    const folder = path.replace(/(\/mod|\/lib)?\.rs$/, '')
    return [...read(path).matchAll(TEST_MODULE)].map(([, name]) => `${folder}/${name}`)
  })

test('the tarball holds what is needed to load, build and understand the package, and no more', (t) => {
  const output = execSync('npm pack --dry-run --json --ignore-scripts', {
    cwd: ROOT,
    stdio: 'pipe',
  })
  const [{ files }] = JSON.parse(output)
  const tests = testModules()
  const isTest = (path) =>
    tests.some((name) => path === `${name}.rs` || path.startsWith(`${name}/`))
  const source = filesIn('src').filter((path) => !isTest(path))
  t.true(source.length > 20 && tests.length > 2)
  t.deepEqual(
    sorted(files.map(({ path }) => path).filter((path) => !ADDON.test(path))),
    sorted([...PUBLISHED, ...results, ...PUBLISHED_FOLDERS.flatMap(filesIn), ...source]),
  )
})

test('nothing runs when the package is installed', (t) => {
  const hooks = ['preinstall', 'install', 'postinstall', 'prepare']
  t.deepEqual(
    hooks.filter((hook) => hook in manifest.scripts),
    [],
  )
})
