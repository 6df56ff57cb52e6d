// Sees to it, when the package is installed, that it has an addon for this machine: one from a prebuilt platform package,
// else one that cargo builds from the sources in the package. Plain Node.js: users have no development dependencies.
//
// A checkout with its development dependencies is left alone; `npm run build` builds there.

import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

const require = createRequire(import.meta.url)
const { name, napi, optionalDependencies = {} } = require('../package.json')

/** @returns {Error | undefined} why the addon cannot be loaded */
const loadError = () => {
  try {
    require('../binding.cjs')
  } catch (error) {
    return error
  }
}

const isGlibc = () => {
  process.report.excludeNetwork = true
  return process.report.getReport().header.glibcVersionRuntime !== undefined
}

/** What binding.cjs looks for on this machine, such as `linux-x64-gnu`. */
const platformArchAbi = () => {
  const { platform, arch } = process
  if (platform === 'win32') return `${platform}-${arch}-msvc`
  if (platform === 'linux') return `${platform}-${arch}-${isGlibc() ? 'gnu' : 'musl'}`
  return `${platform}-${arch}`
}

const reinstallAdvice = () => `
Prebuilt addons are optional dependencies of this package:
  ${Object.keys(optionalDependencies).join('\n  ')}
If one of them is for this machine, install again without --omit=optional, and without a package-lock.json that was made
on another platform.`

const rustAdvice = () => {
  const manifest = readFileSync(join(ROOT, 'Cargo.toml'), 'utf8')
  const [, version] = /^rust-version = "(.+)"$/m.exec(manifest)
  return `
To have the addon built from source, install Rust ${version} or later (https://rustup.rs) and a C linker, then install again.
`
}

/** Prints why there is no addon and what to do about it, and ends the installation. */
const fail = (reason) => {
  console.error(`\n${name} has no addon for ${platformArchAbi()}: ${reason}`)
  if (Object.keys(optionalDependencies).length > 0) console.error(reinstallAdvice())
  console.error(rustAdvice())
  process.exit(1)
}

/** @returns {string} path of the shared library, out of what cargo reports line by line */
const libraryIn = (messages) =>
  messages
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))
    .filter(
      ({ reason, target }) => reason === 'compiler-artifact' && target.kind.includes('cdylib'),
    )
    .flatMap(({ filenames }) => filenames)
    .find((path) => /\.(so|dylib|dll)$/.test(path))

/** Builds with cargo; returns the path of the shared library. */
const compile = (targetDir) => {
  const format = '--message-format=json-render-diagnostics'
  const args = ['build', '--lib', '--release', '--locked', '--target-dir', targetDir, format]
  const stdio = ['ignore', 'pipe', 'inherit']
  const { error, status, stdout } = spawnSync('cargo', args, { cwd: ROOT, stdio, encoding: 'utf8' })
  if (error) fail(`it was not prebuilt, and cargo cannot be run (${error.code}).`)
  if (status !== 0) fail('it was not prebuilt, and cargo could not build it: see its output above.')
  return libraryIn(stdout)
}

const build = () => {
  // Inside the package: build scripts are run there, which a system's temporary folder may forbid.
  const targetDir = mkdtempSync(join(ROOT, 'target-'))
  process.once('exit', () => rmSync(targetDir, { recursive: true, force: true }))
  copyFileSync(compile(targetDir), join(ROOT, `${napi.binaryName}.${platformArchAbi()}.node`))
  const error = loadError()
  if (error) fail(`the one that was built cannot be loaded: ${error.message}`)
}

const isCheckout = existsSync(join(ROOT, 'node_modules/@napi-rs/cli'))

if (!isCheckout && loadError()) build()
