// Compares what the second entry point has at run time with what structures/*.d.ts declare and docs/structures.md describes.

import { readdirSync, readFileSync } from 'node:fs'
import test from 'ava'
import ts from 'typescript'
import * as structures from '../structures/index.js'
import LocalSharedMemory from '../index.js'

const read = (name) => readFileSync(new URL(`../${name}`, import.meta.url), 'utf8')
const sorted = (names) => [...new Set(names)].toSorted()

const FILES = readdirSync(new URL('../structures', import.meta.url))
  .filter((name) => name.endsWith('.d.ts'))
  .map((name) => `structures/${name}`)

const parse = (name) => ts.createSourceFile(name, read(name), ts.ScriptTarget.Latest, true)
const isExported = (node) => (ts.getCombinedModifierFlags(node) & ts.ModifierFlags.Export) !== 0
const isStatic = (node) => (ts.getCombinedModifierFlags(node) & ts.ModifierFlags.Static) !== 0
const isNamed = ({ name }) => name !== undefined && ts.isIdentifier(name)
const namesOf = (nodes) => sorted(nodes.filter(isNamed).map(({ name }) => name.text))

const declarations = FILES.flatMap((name) => parse(name).statements.filter(isExported))
const isValue = (node) => ts.isClassDeclaration(node) || ts.isFunctionDeclaration(node)
const classes = declarations.filter(ts.isClassDeclaration)
const membersOf = (node) => [...(node.members ?? node.type?.members ?? [])]

const named = (name) => namesOf(membersOf(declarations.find((node) => node.name.text === name)))
const describe = (node) => `${node.name?.getText() ?? 'constructor'} at ${node.getStart()}`
const isPrivate = (node) => (ts.getCombinedModifierFlags(node) & ts.ModifierFlags.Private) !== 0
const isThis = ({ name }) => name.getText() === 'this'

const INTERNAL = new Set(['constructor', 'kind', 'plan', 'length', 'name', 'prototype'])

/** Own and inherited names of an object, up to the engine's own. */
const namesAlong = (object, end) => {
  const names = []
  for (let at = object; at !== end; at = Object.getPrototypeOf(at)) {
    names.push(...Object.getOwnPropertyNames(at))
  }
  return sorted(names.filter((name) => !INTERNAL.has(name)))
}

const PAGE = read('docs/structures.md')

test('what is exported is declared, for import and for require', (t) => {
  const exported = sorted(Object.keys(structures))
  t.deepEqual(namesOf(declarations.filter(isValue)), exported)
  const required = parse('structures/index.d.cts').statements.filter(isExported)
  const variables = required
    .filter(ts.isVariableStatement)
    .flatMap(({ declarationList }) => Array.from(declarationList.declarations))
  t.deepEqual(namesOf(variables), exported)
  const types = declarations.filter((node) => !ts.isFunctionDeclaration(node))
  t.deepEqual(namesOf(required.filter((node) => !ts.isVariableStatement(node))), namesOf(types))
})

for (const node of classes) {
  const name = node.name.text
  test(`every member of ${name} is declared, and every declared one exists and is described`, (t) => {
    const Class = structures[name]
    const own = membersOf(node).filter((member) => !ts.isConstructorDeclaration(member))
    const members = namesOf(own.filter((member) => !isStatic(member)))
    t.deepEqual(members, namesAlong(Class.prototype, Object.prototype))
    t.deepEqual(namesOf(own.filter(isStatic)), namesAlong(Class, Function.prototype))
    const [, section] = new RegExp(`^## \`${name}\`\n(.*?)(?=^## |$(?![^]))`, 'ms').exec(PAGE)
    const inherited = new Set(['memory', 'ptr', 'destroy'])
    t.deepEqual(
      members.filter((member) => !inherited.has(member) && !section.includes(member)),
      [],
    )
  })
}

test('a struct has the members that are declared', (t) => {
  const Struct = structures.struct({ word: 'i32', other: 'u8', real: 'f64' })
  const memory = new LocalSharedMemory(1, 2)
  const methods = named('Struct').filter((name) => name !== 'prototype')
  t.deepEqual(methods, namesAlong(Struct, Function.prototype))
  const array = Struct.array(memory, 2)
  const ofArray = sorted([
    ...Object.keys(array),
    ...namesAlong(Object.getPrototypeOf(array), Object.prototype),
  ])
  t.deepEqual(named('StructArray'), ofArray)
  const fields = Struct.fields(memory)
  const along = (field) => namesAlong(Object.getPrototypeOf(field), Object.prototype)
  t.deepEqual(along(fields.real), named('Field'))
  t.deepEqual(along(fields.other), sorted([...named('Field'), ...named('IntegerField')]))
  const all = ['Field', 'IntegerField', 'WaitableField'].flatMap(named)
  t.deepEqual(along(fields.word), sorted(all))
})

test('every declaration has a comment, which names each parameter', (t) => {
  const all = declarations.concat(declarations.flatMap(membersOf))
  const visible = all.filter((node) => !isPrivate(node))
  const unnamed = visible
    .flatMap((node) => node.parameters ?? [])
    .filter((parameter) => !isThis(parameter))
    .filter((parameter) => ts.getJSDocParameterTags(parameter).length === 0)
  const uncommented = visible.filter((node) => ts.getJSDocCommentsAndTags(node).length === 0)
  t.deepEqual(unnamed.map(describe), [])
  t.deepEqual(uncommented.map(describe), [])
})
