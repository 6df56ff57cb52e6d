// Builds the addon for this machine with cargo, from the sources in the package, and puts it where the loader looks first.
// Plain Node.js: users have no development dependencies.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

const require = createRequire(import.meta.url)
const { napi } = require('../package.json')

const rustAdvice = () => {
  const manifest = readFileSync(join(ROOT, 'Cargo.toml'), 'utf8')
  const [, version] = /^rust-version = "(.+)"$/m.exec(manifest)
  return `It takes Rust ${version} or later and a C linker: install them, then run this again.`
}

/** Runs cargo in the package; returns what it printed. Its progress and its complaints are shown. */
const cargo = (...args) => {
  const stdio = ['ignore', 'pipe', 'inherit']
  const { error, status, stdout } = spawnSync('cargo', args, { cwd: ROOT, stdio, encoding: 'utf8' })
  if (error) throw new Error(`cargo cannot be run (${error.code}). ${rustAdvice()}`)
  if (status !== 0) throw new Error(`cargo failed: see its output above. ${rustAdvice()}`)
  return stdout
}

/** What the loader looks for, such as `linux-x64-gnu`: the machine as Node.js names it, and cargo's C library. */
const platformArchAbi = () => {
  const { platform, arch } = process
  const [, abi] = /^host: .*-(\w+)$/m.exec(cargo('-vV'))
  return platform === 'linux' || platform === 'win32'
    ? `${platform}-${arch}-${abi}`
    : `${platform}-${arch}`
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
  return libraryIn(
    cargo('build', '--lib', '--release', '--locked', '--target-dir', targetDir, format),
  )
}

/**
 * Builds the addon and loads it.
 *
 * @param {(line: string) => void} say receives what is going on
 * @throws {Error} when it cannot be built or loaded: the message says what to do
 */
export const buildAddon = (say) => {
  const addon = `${napi.binaryName}.${platformArchAbi()}.node`
  say(`Building ${addon} in ${ROOT} with cargo. This takes a minute or two.`)
  // Inside the package: build scripts are run there, which a system's temporary folder may forbid.
  const targetDir = mkdtempSync(join(ROOT, 'target-'))
  try {
    // Renamed, so that processes which have loaded an earlier one keep it.
    renameSync(compile(targetDir), join(ROOT, addon))
  } finally {
    rmSync(targetDir, { recursive: true, force: true })
  }
  require(`../${addon}`)
  say('Done: it has been built, and it loads.')
}
