// Installs the package as users do, each time into an empty folder, and runs programs there: with a prebuilt platform
// package, with neither that nor anything built, and built from source. The packages are made by the commands of a release.
//
// Takes the addon that `npm run build` left. Not for Windows.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { NapiCli, readNapiConfig } from '@napi-rs/cli'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const PROGRAMS = join(ROOT, '__test__/fixtures/installed')
const INSTALLED = 'node_modules/local-shared-memory'
const SNIPPET = /^```javascript\n(.*?)^```$/gms

const scratch = fs.mkdtempSync(join(tmpdir(), 'local-shared-memory-'))
const WITHOUT_PROGRAMS = { ...process.env, PATH: join(scratch, 'no-programs') }

const emptyFolder = () => fs.mkdtempSync(join(scratch, 'folder-'))
const readManifest = (folder) => JSON.parse(fs.readFileSync(join(folder, 'package.json'), 'utf8'))

const run = (command, args, cwd, env = process.env) =>
  spawnSync(command, args, { cwd, env, encoding: 'utf8' })

const succeed = (...command) => {
  const { status, stdout, stderr } = run(...command)
  assert.equal(status, 0, stderr)
  return stdout
}

/** @returns {string[]} what a build has left in a folder */
const builtIn = (folder) => fs.readdirSync(folder).filter((name) => /^target|\.node$/.test(name))

const install = (folder, ...packages) => [
  'npm',
  ['install', '--prefix', folder, ...packages],
  folder,
]

/** @returns {string} path of the tarball */
const pack = (folder, ...flags) => {
  const [{ filename }] = JSON.parse(
    succeed('npm', ['pack', '--json', '--pack-destination', scratch, ...flags], folder),
  )
  return join(scratch, filename)
}

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

/** Unpacks the tarball to a folder with the addons that were built, and sets no other targets than theirs. */
const stage = async (tarball) => {
  const folder = emptyFolder()
  const artifacts = join(folder, 'artifacts')
  succeed('tar', ['-xzf', tarball, '--strip-components=1'], folder)
  fs.mkdirSync(artifacts)
  const { binaryName, targets } = await readNapiConfig(join(ROOT, 'package.json'))
  const manifest = readManifest(folder)
  manifest.napi.targets = []
  for (const { triple, platformArchABI } of targets) {
    const addon = `${binaryName}.${platformArchABI}.node`
    if (!fs.existsSync(join(ROOT, addon))) continue
    fs.copyFileSync(join(ROOT, addon), join(artifacts, addon))
    manifest.napi.targets.push(triple)
  }
  fs.writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest))
  return folder
}

/** Does what a release does, up to publishing; returns the tarballs. */
const release = async (tarball) => {
  const cwd = await stage(tarball)
  const cli = new NapiCli()
  await cli.createNpmDirs({ cwd })
  await cli.artifacts({ cwd })
  await cli.prePublish({ cwd, ghRelease: false, skipOptionalPublish: true })
  const platforms = fs.readdirSync(join(cwd, 'npm')).map((name) => join(cwd, 'npm', name))
  return [cwd, ...platforms].map((folder) => pack(folder, '--ignore-scripts'))
}

let source

before(() => {
  source = pack(ROOT)
})

after(() => fs.rmSync(scratch, { recursive: true }))

test('with a prebuilt platform package, it works, and so do the snippets of the README', async () => {
  const folder = emptyFolder()
  const packages = await release(source)
  succeed(...install(folder, ...packages))

  const installed = join(folder, INSTALLED)
  const { optionalDependencies } = readManifest(installed)
  assert.equal(Object.keys(optionalDependencies).length, packages.length - 1)
  assert.deepEqual(builtIn(installed), [])
  runPrograms(folder)
  runSnippets(folder, fs.readFileSync(join(installed, 'README.md'), 'utf8'))
})

test('where none is prebuilt, importing names the command that builds one, and that does', () => {
  const folder = emptyFolder()
  succeed(...install(folder, source))
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
  succeed(...install(folder, source))
  const command = join(folder, INSTALLED, 'bin/local-shared-memory.js')
  const { status, stderr } = run(process.execPath, [command, 'build'], folder, WITHOUT_PROGRAMS)
  assert.equal(status, 1)
  assert.match(stderr, /Rust \d+\.\d+ or later/)
  assert.deepEqual(builtIn(join(folder, INSTALLED)), [])
})
