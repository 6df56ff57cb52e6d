// The documents point at what exists: links lead to files and headings, and the map of the code has every file on it, and is
// what it says.

import { execSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const MAPPED = ['lib', 'structures', 'src']

const PAGES = readdirSync(join(ROOT, 'docs'))
  .filter((name) => name.endsWith('.md'))
  .map((name) => `docs/${name}`)
const DOCUMENTS = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  'SECURITY.md',
  'benchmark/README.md',
  ...PAGES,
]

const read = (name) => readFileSync(join(ROOT, name), 'utf8')

/** The name under which a heading can be linked to. */
const anchor = (heading) =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-')

const anchorsIn = (markdown) =>
  [...markdown.matchAll(/^#+ (.*)$/gm)].map(([, heading]) => anchor(heading))

const linksIn = (markdown) =>
  [...markdown.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, link]) => link)
    .filter((link) => !/^\w+:/.test(link))

/** The file that a link leads to, as a path in the repository, and the heading in it. */
const targetOf = (document, link) => {
  const [path, heading] = link.split('#')
  return [path === '' ? document : posix.join(dirname(document), path), heading]
}

const leadsNowhere = (document) => (link) => {
  const [target, heading] = targetOf(document, link)
  if (!existsSync(join(ROOT, target))) return true
  return heading !== undefined && !anchorsIn(read(target)).includes(heading)
}

/** A folder stands for its mod.rs. */
const isOn = (map, path) => basename(path) === 'mod.rs' || map.includes(basename(path))

for (const document of DOCUMENTS) {
  test(`the links of ${document} lead somewhere`, (t) => {
    t.deepEqual(linksIn(read(document)).filter(leadsNowhere(document)), [])
  })
}

test('the tarball has what its documents link to', (t) => {
  const options = { cwd: ROOT, stdio: 'pipe' }
  const [{ files }] = JSON.parse(execSync('npm pack --dry-run --json --ignore-scripts', options))
  const packed = files.map(({ path }) => path)
  const has = (target) => packed.some((path) => path === target || path.startsWith(`${target}/`))
  const documents = packed.filter((path) => path.endsWith('.md'))
  t.true(documents.length > 20)
  for (const document of documents) {
    const targets = linksIn(read(document)).map((link) => targetOf(document, link)[0])
    t.true(targets.every(has), document)
  }
})

test('the front page is short, and leads to every page', (t) => {
  const README = read('README.md')
  t.true(README.split('\n').length <= 250)
  t.deepEqual(
    PAGES.filter((page) => !linksIn(README).includes(page)),
    [],
  )
})

const PICTURES = ['docs', 'benchmark'].flatMap((folder) =>
  readdirSync(join(ROOT, folder))
    .filter((name) => name.endsWith('.svg'))
    .map((name) => `${folder}/${name}`),
)

for (const picture of PICTURES) {
  test(`${picture} is drawn on a white ground of its own, whatever it is shown on`, (t) => {
    const svg = read(picture)
    const [, width, height] = /viewBox="0 0 (\d+) (\d+)"/.exec(svg)
    const [ground] = /<(rect|path|circle|line|text)\b[^>]*>/.exec(svg)
    t.regex(ground, /fill="(#fff|white)"/)
    const all = `d="M0 0h${width}v${height}h-${width}z"`
    t.true(
      ground.includes(all) ||
        ['width="100%"', 'height="100%"'].every((side) => ground.includes(side)),
    )
  })
}

test('the map of the code has every file on it', (t) => {
  const map = read('CONTRIBUTING.md')
  const files = MAPPED.flatMap((folder) => readdirSync(join(ROOT, folder), { recursive: true }))
  t.deepEqual(
    files.filter((path) => /\.(js|rs)$/.test(path) && !isOn(map, path)),
    [],
  )
})

test('each folder of lib/ uses only those that the map has above it', (t) => {
  const [, lib] = /^lib\/(.*?)^\S/ms.exec(read('CONTRIBUTING.md'))
  const folders = [...lib.matchAll(/^ {2}([a-z-]+)\/ /gm)].map(([, name]) => name)
  const used = (path) =>
    [...read(path).matchAll(/(?:from |require\()'(\.[^']+)'/g)].map(([, to]) =>
      posix.join(posix.dirname(path), to),
    )
  const wrong = folders.flatMap((folder, at) => {
    const allowed = folders.slice(0, at + 1).map((name) => `lib/${name}/`)
    const files = readdirSync(join(ROOT, 'lib', folder)).map((name) => `lib/${folder}/${name}`)
    const others = (path) => used(path).filter((to) => !allowed.some((name) => to.startsWith(name)))
    return files.flatMap((path) => others(path).map((to) => `${path} uses ${to}`))
  })
  const entries = readdirSync(join(ROOT, 'lib'), { withFileTypes: true })
  const present = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)
  t.deepEqual(folders.toSorted(), present.toSorted())
  t.deepEqual(wrong, ['lib/native/addon.cjs uses binding.cjs'])
})
