// Compares what the package has at run time with what index.d.ts and index.d.cts declare and docs/ describes. New members are
// found by themselves: whoever adds one has to declare and document it.

import { readFileSync } from 'node:fs'
import test from 'ava'
import ts from 'typescript'
import * as exported from '../index.js'
import { PAGES, render } from '../scripts/docs.js'
import * as structures from '../structures/index.js'

const { LocalSharedMemory } = exported

const codesIn = (text) => sorted(text.match(/ERR_[A-Z_]+/g))
const read = (name) => readFileSync(new URL(`../${name}`, import.meta.url), 'utf8')
const sorted = (names) => [...new Set(names)].toSorted()

// At run time

const CLASSES = []
for (let at = LocalSharedMemory; at !== WebAssembly.Memory; at = Object.getPrototypeOf(at)) {
  CLASSES.push(at)
}

/** What WebAssembly.Memory itself has, and types differ on. */
const ENGINES = ['buffer', 'grow']

/** Names under which the class has itself, for `require`. */
const EXPORTS = new Set(['LocalSharedMemory', 'default'])
const FUNCTION_PROPERTIES = new Set(['length', 'name', 'prototype'])

const methodsOf = ({ prototype }) =>
  Object.getOwnPropertyNames(prototype).filter((name) => name !== 'constructor')
const staticsOf = (Class) =>
  Object.getOwnPropertyNames(Class).filter(
    (name) => !FUNCTION_PROPERTIES.has(name) && !EXPORTS.has(name),
  )

const members = sorted(CLASSES.flatMap(methodsOf))
const statics = sorted(CLASSES.flatMap(staticsOf))

/** Whether this engine can have a member; 16-bit floats came late. */
const isPossible = (name) => 'Float16Array' in globalThis || !name.includes('Float16')

// In the declarations

const parse = (name) => ts.createSourceFile(name, read(name), ts.ScriptTarget.Latest, true)
const has = (node, flag) => (ts.getCombinedModifierFlags(node) & flag) !== 0
const isExported = (node) => has(node, ts.ModifierFlags.Export)
const isStatic = (node) => has(node, ts.ModifierFlags.Static)

const declarations = parse('index.d.ts').statements.filter(isExported)
const declared = (name) => declarations.find((node) => node.name.text === name)
const membersOf = (node) => node.members ?? node.type?.members ?? []
const isNamed = ({ name }) => name !== undefined && ts.isIdentifier(name)
const namesOf = (nodes) => sorted(nodes.filter(isNamed).map(({ name }) => name.text))

const describe = (node) => `${node.name?.getText() ?? 'constructor'} at ${node.getStart()}`

const classMembers = [...declared('LocalSharedMemory').members]
const types = namesOf(declarations.filter((node) => !ts.isClassDeclaration(node)))
const values = namesOf(declarations.filter(ts.isClassDeclaration))

// In the reference

const headings = [...read('docs/api.md').matchAll(/^### (.*)$/gm)].map(([, heading]) => heading)

test('every member is declared, and every declared one exists', (t) => {
  const ours = classMembers.filter((node) => !ts.isConstructorDeclaration(node))
  const own = namesOf(ours.filter((node) => !isStatic(node))).filter(isPossible)
  t.deepEqual(sorted([...members, ...ENGINES]), own)
  t.deepEqual(namesOf(ours.filter(isStatic)), statics)
})

test('every member and type has a section in the reference, and nothing else has', (t) => {
  const sections = headings.filter((heading) => heading !== 'constructor' && isPossible(heading))
  t.deepEqual(sorted(sections), sorted([...members, ...statics, ...types, ...ENGINES]))
})

for (const page of PAGES) {
  test(`${page[0]} is what \`npm run docs\` makes`, async (t) => {
    t.is(read(page[0]), await render(page))
  })
}

test('the change log names every class and function that is exported', (t) => {
  const log = read('CHANGELOG.md')
  t.deepEqual(
    [...values, ...Object.keys(structures)].filter((name) => !log.includes(`\`${name}`)),
    [],
  )
})

test('the exports are those that are declared', (t) => {
  t.deepEqual(sorted(Object.keys(exported)), sorted([...values, 'default', 'module.exports']))
  t.is(exported.default, LocalSharedMemory)
  t.is(exported['module.exports'], LocalSharedMemory)
  t.regex(read('index.d.ts'), /^export \{ LocalSharedMemory as default \}$/m)
  t.regex(read('index.d.cts'), /^export = LocalSharedMemory$/m)
})

test('the types of require are those of import', (t) => {
  const namespace = parse('index.d.cts').statements.find(ts.isModuleDeclaration)
  t.deepEqual(namesOf([...namespace.body.statements]), sorted([...types, ...values]))
})

test('objects that methods return have the properties that are declared', (t) => {
  const memory = new LocalSharedMemory(1, 2)
  memory.malloc(1)
  const [allocation] = memory.allocs()
  const check = (type, names) => t.deepEqual(namesOf([...membersOf(declared(type))]), sorted(names))
  check('HeapStats', Object.keys(memory.stats()))
  check('Allocation', Object.keys(allocation))
  check('HeapArea', Object.keys(memory.heapMap()[0]))
  check('LibcImports', Object.keys(memory.imports()))
})

test('every error code is declared and documented', (t) => {
  const codes = codesIn(read('lib/base/errors.js'))
  t.deepEqual(codesIn(declared('ErrorCode').getText()), codes)
  t.deepEqual(codesIn(read('docs/errors.md')), codes)
})

test('every declaration has a comment, which names each parameter', (t) => {
  const all = declarations.concat(declarations.flatMap(membersOf))
  const uncommented = all.filter((node) => ts.getJSDocCommentsAndTags(node).length === 0)
  const unnamed = all
    .flatMap((node) => node.parameters ?? [])
    .filter((parameter) => ts.getJSDocParameterTags(parameter).length === 0)
  t.deepEqual(uncommented.map(describe), [])
  t.deepEqual(unnamed.map(describe), [])
})
