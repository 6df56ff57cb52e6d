// Installs the package as users do, each time into an empty folder, and runs programs there: with a prebuilt platform
// package, built from source by cargo, and with neither. The packages are made by the commands that a release uses.
//
// Takes the addon that `npm run build` left. Not for Windows.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { NapiCli, readNapiConfig } from '@napi-rs/cli'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const PROGRAMS = join(ROOT, '__test__/fixtures/installed')
const INSTALLED = 'node_modules/local-shared-memory'
const INSTALL_SCRIPT = join(INSTALLED, 'scripts/install.js')
const SNIPPET = /^```javascript\n(.*?)^```$/gms

const scratch = fs.mkdtempSync(join(tmpdir(), 'local-shared-memory-'))
const WITHOUT_CARGO = { ...process.env, PATH: join(scratch, 'bin') }

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
const pack = (folder) => {
  const [{ filename }] = JSON.parse(
    succeed('npm', ['pack', '--json', '--pack-destination', scratch], folder),
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

/** Puts the programs that an installation needs, and no compiler, on the PATH of WITHOUT_CARGO. */
const linkTools = () => {
  const folders = process.env.PATH.split(delimiter)
  fs.mkdirSync(WITHOUT_CARGO.PATH)
  for (const tool of ['node', 'npm', 'sh']) {
    const path = folders.map((folder) => join(folder, tool)).find(fs.existsSync)
    fs.symlinkSync(path, join(WITHOUT_CARGO.PATH, tool))
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
  return [cwd, ...platforms].map(pack)
}

let source

before(() => {
  linkTools()
  source = pack(ROOT)
})

after(() => fs.rmSync(scratch, { recursive: true }))

test('a prebuilt platform package needs no compiler, and the snippets of the README run', async () => {
  const folder = emptyFolder()
  const packages = await release(source)
  succeed(...install(folder, ...packages), WITHOUT_CARGO)

  const installed = join(folder, INSTALLED)
  const { optionalDependencies } = readManifest(installed)
  assert.equal(Object.keys(optionalDependencies).length, packages.length - 1)
  assert.deepEqual(builtIn(installed), [])
  runPrograms(folder)
  runSnippets(folder, fs.readFileSync(join(installed, 'README.md'), 'utf8'))
})

test('cargo builds the addon where none is prebuilt, and only then', () => {
  const folder = emptyFolder()
  succeed(...install(folder, source))
  const [addon, ...others] = builtIn(join(folder, INSTALLED))
  assert.match(addon, /\.node$/)
  assert.deepEqual(others, [])
  runPrograms(folder)
  succeed(process.execPath, [INSTALL_SCRIPT], folder, WITHOUT_CARGO)
})

test('without cargo the installation fails, and says what to install', () => {
  const folder = emptyFolder()
  const { status, stderr } = run(...install(folder, source), WITHOUT_CARGO)
  assert.notEqual(status, 0)
  assert.match(stderr, /install Rust \d+\.\d+ or later/)
  assert.equal(fs.existsSync(join(folder, INSTALLED)), false)
})

test('where no script was run, importing names the one to run', () => {
  const folder = emptyFolder()
  succeed(...install(folder, '--ignore-scripts', source))
  fs.cpSync(PROGRAMS, folder, { recursive: true })
  for (const program of fs.readdirSync(PROGRAMS)) {
    const { status, stderr } = run(process.execPath, [program], folder)
    assert.equal(status, 1)
    assert.match(stderr, /code: 'ERR_ADDON_UNAVAILABLE'/)
    assert.ok(stderr.includes(INSTALL_SCRIPT))
  }
  assert.equal(run(process.execPath, [INSTALL_SCRIPT], folder, WITHOUT_CARGO).status, 1)
})
