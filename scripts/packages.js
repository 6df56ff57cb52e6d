// Makes the packages of a release, by the commands that a release uses, from the addon that `npm run build` left.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { NapiCli, readNapiConfig } from '@napi-rs/cli'

export const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** npm and its like are scripts on Windows, which need a shell to run them. */
const SHELL = process.platform === 'win32'

/** Runs a command to its end. */
export const run = (command, args, cwd, env = process.env) =>
  spawnSync(command, args, {
    cwd,
    env,
    encoding: 'utf8',
    shell: SHELL && command !== process.execPath,
  })

/** The same for one that must succeed; returns what it printed. */
export const succeed = (...command) => {
  const { status, stdout, stderr, error } = run(...command)
  assert.equal(
    status,
    0,
    `${command.slice(0, 2).flat().join(' ')}\n${error ?? ''}${stdout}${stderr}`,
  )
  return stdout
}

export const readManifest = (folder) =>
  JSON.parse(fs.readFileSync(join(folder, 'package.json'), 'utf8'))

/**
 * @param {string} folder the package
 * @param {string} scratch where the tarball goes
 * @param {string[]} flags of `npm pack`
 * @returns {string} path of the tarball
 */
export const pack = (folder, scratch, ...flags) => {
  const args = ['pack', '--json', '--pack-destination', scratch, ...flags]
  const [{ filename }] = JSON.parse(succeed('npm', args, folder))
  return join(scratch, filename)
}

const unpack = (tarball, scratch) => {
  const folder = fs.mkdtempSync(join(scratch, 'unpacked-'))
  succeed('tar', ['-xzf', tarball, '--strip-components=1'], folder)
  return folder
}

/** Unpacks the tarball to a folder with the addons that were built, and sets no other targets than theirs. */
const stage = async (tarball, scratch) => {
  const folder = unpack(tarball, scratch)
  const artifacts = join(folder, 'artifacts')
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

/** Addons in the package itself are for tarballs of a checkout: a release has them in its platform packages. */
const removeAddons = (folder) => {
  const addons = fs.readdirSync(folder).filter((name) => name.endsWith('.node'))
  for (const name of addons) fs.rmSync(join(folder, name))
}

/**
 * Packs the package without the addon that `npm run build` left in it, as it is where none is prebuilt.
 *
 * @param {string} tarball the package as it is packed in the checkout
 * @param {string} scratch where the tarball goes
 * @returns {string} path of the other tarball
 */
export const withoutAddon = (tarball, scratch) => {
  const folder = unpack(tarball, scratch)
  removeAddons(folder)
  return pack(folder, folder, '--ignore-scripts')
}

/**
 * Does what a release does, up to publishing.
 *
 * @param {string} tarball the package as it is packed in the checkout
 * @param {string} scratch where the tarballs go
 * @returns {Promise<string[]>} paths of the tarballs: the package, then its platform packages
 */
export const release = async (tarball, scratch) => {
  const cwd = await stage(tarball, scratch)
  const cli = new NapiCli()
  await cli.createNpmDirs({ cwd })
  await cli.artifacts({ cwd })
  removeAddons(cwd)
  await cli.prePublish({ cwd, ghRelease: false, skipOptionalPublish: true })
  const platforms = fs.readdirSync(join(cwd, 'npm')).map((name) => join(cwd, 'npm', name))
  // Elsewhere than the tarball, whose name the package's has too.
  return [cwd, ...platforms].map((folder) => pack(folder, folder, '--ignore-scripts'))
}

const file = (tarball) => `file:${tarball}`

/**
 * Makes a folder a user's project which depends on the package. Package managers find the platform package, which no registry
 * has, by an override; each has its own word for that.
 *
 * @param {string} folder
 * @param {string[]} packages what `release` returned
 * @param {object} [dependencies] others
 */
export const writeProject = (folder, [main, ...platforms], dependencies = {}) => {
  const { name, version } = readManifest(ROOT)
  const suffix = `-${version}.tgz`
  const nameOf = (tarball) => tarball.slice(tarball.lastIndexOf(name), -suffix.length)
  const overrides = Object.fromEntries(platforms.map((path) => [nameOf(path), file(path)]))
  const manifest = {
    name: 'user',
    private: true,
    dependencies: { ...dependencies, [name]: file(main) },
    overrides,
    resolutions: overrides,
  }
  fs.writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest))
  fs.writeFileSync(join(folder, 'pnpm-workspace.yaml'), JSON.stringify({ overrides }))
}
