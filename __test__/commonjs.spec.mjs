// index.cjs, for what cannot load ES modules, is the package as index.js has it; however it is loaded, there is one class.

import { execFileSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import LocalSharedMemory from '../index.js'
import { runChild } from './fixtures/child.mjs'

const BUILD = fileURLToPath(new URL('../scripts/build-cjs.js', import.meta.url))

const require = createRequire(import.meta.url)

test.before(() => {
  execFileSync(process.execPath, [BUILD])
})

test('require returns the class, which has itself under the names of a module', (t) => {
  for (const Class of [require('../index.js'), require('../index.cjs')]) {
    t.is(Class.name, 'LocalSharedMemory')
    t.is(Class.LocalSharedMemory, Class)
    t.is(Class.default, Class)
    t.deepEqual(Object.keys(Class), ['devicePageSize'])
  }
})

test('in Node.js, import and require give one class', async (t) => {
  const imported = await import('local-shared-memory')
  t.is(imported.default, LocalSharedMemory)
  t.is(imported.LocalSharedMemory, LocalSharedMemory)
  t.is(require('local-shared-memory'), LocalSharedMemory)
})

test('where require gets index.cjs, import gets the same class', async (t) => {
  const flags = ['--no-experimental-require-module', '--input-type=module', '-e']
  const program = `
    import LocalSharedMemory, { LocalSharedMemory as named } from 'local-shared-memory'
    import { createRequire } from 'node:module'
    const required = createRequire(import.meta.url)('local-shared-memory')
    console.log(LocalSharedMemory === required, named === required)`
  const cwd = fileURLToPath(new URL('.', import.meta.url))
  const output = execFileSync(process.execPath, [...flags, program], { cwd, encoding: 'utf8' })
  t.is(output, 'true true\n')
})

test('the heap that it makes is the one that index.js finds', (t) => {
  const Class = require('../index.cjs')
  const memory = new Class(1, 2)
  const ptr = memory.mallocString('one heap')
  t.is(LocalSharedMemory.from(structuredClone(memory)).getString(ptr), 'one heap')
  t.throws(() => memory.free(ptr + 16), { code: 'ERR_INVALID_POINTER' })
})

test('the structures go with it', async (t) => {
  const required = require('../structures/index.cjs')
  t.deepEqual(Object.keys(required), Object.keys(await import('../structures/index.js')))
  const Class = require('../index.cjs')
  const mutex = required.Mutex.create(new Class(1, 2))
  t.true(mutex.memory instanceof Class)
  mutex.destroy()
})

test('it takes the clock and the timers when it is loaded, as index.js does', async (t) => {
  const { code, stdout, stderr } = await runChild('still-clock.mjs', ['require'])
  t.is(code, 0, stderr)
  t.deepEqual(JSON.parse(stdout), Array(6).fill('ERR_TIMED_OUT'))
})

test('in debug mode its own frames stay out of what it tells', (t) => {
  const Class = require('../index.cjs')
  const memory = new Class({ initial: 1, debug: true })
  memory.malloc(8)
  const [{ stack }] = memory.leaks()
  t.regex(stack.split('\n')[0], /commonjs\.spec/)
})
