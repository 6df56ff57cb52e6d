// Tries the package, as it is packed for a release, in the tools that its users have, on each Node.js: `npm run test:tools`.
// Prints what failed, and writes the tables of docs/environments.md. For Linux x64; takes some minutes and a gigabyte.
//
// Takes the addon that `npm run build` left.

import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import * as fs from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { pack, readManifest, release, ROOT, succeed, writeProject } from '../packages.js'
import {
  ENVIRONMENTS,
  INSTALLERS,
  LIBRARIES,
  TYPE_SETTINGS,
  TYPESCRIPTS,
  versionOf,
  writeTypeScriptSettings,
} from './environments.js'

const HERE = join(ROOT, 'scripts/test-tools')
const PROGRAMS = join(ROOT, '__test__/fixtures/installed')
const DOCUMENT = join(ROOT, 'docs/environments.md')
const NODES = ['20', '22', '24', '26']
const LATEST = 5 * 60_000

const scratch = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'lsm-tools-')))
const project = join(scratch, 'project')

let failures = 0

/** Runs a command; whether it ended with 0. What it printed is shown when it did not. */
const passes = (title, command, args, options) => {
  const { status, signal, stdout, stderr } = spawnSync(command, args, {
    encoding: 'utf8',
    timeout: LATEST,
    ...options,
  })
  if (status === 0) return true
  failures += 1
  console.log(`\n${title}: ${signal ?? status}\n$ ${command} ${args.join(' ')}\n${stdout}${stderr}`)
  return false
}

const mark = (passed) => (passed ? 'yes' : '**no**')

/** Installs the tools and the package into one folder, in which all but the installers is tried. */
const prepareProject = (packages) => {
  fs.cpSync(join(HERE, 'project'), project, { recursive: true })
  const flags = ['--no-package-lock', '--ignore-scripts']
  succeed('npm', ['install', ...flags, ...packages], project)
  fs.cpSync(PROGRAMS, project, { recursive: true })
  fs.copyFileSync(join(project, 'user.ts'), join(project, 'user.mts'))
  writeTypeScriptSettings(project)
}

const tools = (...path) => join(project, 'node_modules', ...path)
const nodeOf = (major) => tools(`node-${major}`, 'bin/node')

/** A row's cells, one for each Node.js. */
const onEachNode = (isFor, runs, options) =>
  NODES.map((major) => {
    const { version } = versionOf(project, `node-${major}`)
    if (!isFor(version)) return '-'
    const title = `${options.title} on Node.js ${version}`
    return mark(runs.map((args) => passes(title, nodeOf(major), args, options)).every(Boolean))
  })

const tryEnvironment = (satisfies, { title, tool, node = '*', prepare = [], runs, env }) => {
  const options = { title, cwd: project, env: { ...process.env, CI: 'true', ...env } }
  const range = (tool && versionOf(project, tool).engines?.node) ?? '*'
  const isFor = (version) => satisfies(version, node) && satisfies(version, range)
  for (const args of prepare) {
    if (!passes(title, process.execPath, args, options))
      return [title, ...NODES.map(() => mark(false))]
  }
  return [title, ...onEachNode(isFor, runs, options)]
}

const install = (folder, { title, binary, args, fromRegistry }) => {
  const command = binary === undefined ? 'npm' : tools(binary)
  const isScript = /\.m?js$/.test(command)
  const [program, ...rest] = isScript ? [process.execPath, command, ...args] : [command, ...args]
  const env = { ...process.env, ...(fromRegistry && registrySettings(folder)) }
  return passes(`installing with ${title}`, program, rest, { cwd: folder, env })
}

/** Deno's cache is put aside, and with it what an earlier registry had. */
const registrySettings = (folder) => ({
  NPM_CONFIG_REGISTRY: registry,
  DENO_DIR: join(folder, '.cache'),
})

const tryInstaller = (packages, installer) => {
  const folder = fs.mkdtempSync(join(scratch, 'installer-'))
  writeProject(folder, packages)
  if (installer.fromRegistry) {
    const { name, version } = readManifest(ROOT)
    const dependencies = { [name]: version }
    fs.writeFileSync(join(folder, 'package.json'), JSON.stringify({ dependencies }))
  }
  for (const [name, text] of Object.entries(installer.files ?? {}))
    fs.writeFileSync(join(folder, name), text)
  fs.cpSync(PROGRAMS, folder, { recursive: true })
  const title = `installed with ${installer.title}`
  if (!install(folder, installer)) return [title, ...NODES.map(() => mark(false))]
  const [script, ...args] = installer.runner ?? []
  const before = script === undefined ? [] : [tools(script), ...args]
  const runs = fs.readdirSync(PROGRAMS).map((program) => before.concat(program))
  return [title, ...onEachNode(() => true, runs, { title, cwd: folder })]
}

const packageOf = (version) => (version === '5.9' ? 'typescript' : `typescript-${version}`)

const compiles = (title, version, options, files) => {
  const flags = Object.entries(options).flatMap(([option, value]) => [`--${option}`, `${value}`])
  const args = [
    tools(packageOf(version), 'lib/tsc.js'),
    '--noEmit',
    '--strict',
    '--ignoreConfig',
    ...flags,
    ...files,
  ]
  const known = Number(version) >= 6 ? args : args.filter((arg) => arg !== '--ignoreConfig')
  return passes(`${title}, TypeScript ${version}`, process.execPath, known, { cwd: project })
}

const tryTypes = (satisfies, { title, options, files, range = '*' }) => [
  `\`module\`: ${title}`,
  ...TYPESCRIPTS.map((name) => {
    const { version } = versionOf(project, packageOf(name))
    if (!satisfies(version, range)) return '-'
    const common = { target: 'es2022', types: 'node', ...options }
    const runs = LIBRARIES.map((lib) => compiles(title, name, { ...common, lib }, files))
    return mark(runs.every(Boolean))
  }),
]

const table = (head, rows) =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')

/** Puts the tables between the marks in the document. */
const write = (text) => {
  const document = fs.readFileSync(DOCUMENT, 'utf8')
  const marks = /(<!-- tables -->\n).*(<!-- end of tables -->)/s
  fs.writeFileSync(
    DOCUMENT,
    document.replace(marks, (_, start, end) => `${start}\n${text}\n\n${end}`),
  )
  succeed('npx', ['prettier', '--write', DOCUMENT], ROOT)
}

const packages = await release(pack(ROOT, scratch), scratch)
const server = new Worker(new URL('registry.js', import.meta.url), { workerData: packages })
const [registry] = await once(server, 'message')
prepareProject(packages)
const { satisfies } = createRequire(tools('semver/package.json'))('semver')
const nodes = NODES.map((major) => `Node.js ${versionOf(project, `node-${major}`).version}`)
const environments = ENVIRONMENTS.map((environment) => tryEnvironment(satisfies, environment))
const installers = INSTALLERS.map((installer) => tryInstaller(packages, installer))
const types = TYPE_SETTINGS.map((setting) => tryTypes(satisfies, setting))
const text = [
  table(['', ...nodes], [...environments, ...installers]),
  table(['', ...TYPESCRIPTS.map((version) => `TypeScript ${version}`)], types),
].join('\n\n')
console.log(text)
write(text)
fs.rmSync(scratch, { recursive: true, maxRetries: 3 })
await server.terminate()
process.exitCode = failures === 0 ? 0 : 1
