// Code that runs in the same process and is not kind: subclasses with constructors and methods of their own, stand-ins for
// globals, accessors on Object.prototype, values that only look like what is asked for, stacks that end.

import process from 'node:process'
import { runInNewContext } from 'node:vm'
import test from 'ava'
import LocalSharedMemory from '../index.js'
import { runChild } from './fixtures/child.mjs'

const INVALID_TYPE = { instanceOf: TypeError, code: 'ERR_INVALID_ARG_TYPE' }
const plain = () => new WebAssembly.Memory({ initial: 1, maximum: 10, shared: true })

test('a constructor of a subclass is given nothing by from, and makes the memory that from was given', (t) => {
  const seen = []
  class Mine extends LocalSharedMemory {
    own = 1

    constructor(...args) {
      seen.push(args)
      super(...args)
      seen.push(this)
    }
  }
  const memory = plain()
  t.is(Mine.from(memory), memory)
  t.deepEqual(seen[0], [])
  t.is(seen[1], memory)
  t.is(memory.own, 1)
  t.true(memory instanceof Mine)
  t.is(memory.sizeof(memory.malloc(10)), 10)
})

test('whatever a subclass gives to super, it becomes the memory that from was given', (t) => {
  class Sized extends LocalSharedMemory {
    constructor() {
      super(7, 70)
    }
  }
  const memory = plain()
  t.is(Sized.from(memory), memory)
  t.is(memory.buffer.byteLength, 65_536)
  t.is(new Sized().buffer.byteLength, 7 * 65_536)
})

test('a constructor that makes other memories first', (t) => {
  const others = []
  class Busy extends LocalSharedMemory {
    constructor() {
      others.push(new LocalSharedMemory(2), LocalSharedMemory.from(plain()))
      super(3)
    }
  }
  const memory = plain()
  t.is(Busy.from(memory), memory)
  t.is(others[0].buffer.byteLength, 2 * 65_536)
  t.false(others.includes(memory))
  t.true(memory instanceof Busy)
})

test('a constructor that returns something else, or throws, makes no later memory another one', (t) => {
  class Other extends LocalSharedMemory {
    constructor() {
      super(1)
      return {}
    }
  }
  class Throwing extends LocalSharedMemory {
    constructor() {
      super(undefined.absent)
    }
  }
  t.throws(() => Other.from(plain()), INVALID_TYPE)
  t.throws(() => LocalSharedMemory.from.call(Array, plain()), INVALID_TYPE)
  t.throws(() => Throwing.from(plain()), { instanceOf: TypeError })
  const memory = plain()
  t.throws(() => Throwing.from(memory), { instanceOf: TypeError })
  t.is(new LocalSharedMemory(2).buffer.byteLength, 2 * 65_536)
  t.is(LocalSharedMemory.from(memory), memory)
})

test('a constructor that is cut short makes no later memory another one', (t) => {
  const state = { isEndless: true }
  class Endless extends LocalSharedMemory {
    constructor(...args) {
      while (state.isEndless);
      super(...args)
    }
  }
  const memory = plain()
  const script = () => runInNewContext('Endless.from(memory)', { Endless, memory }, { timeout: 20 })
  t.throws(script, { code: 'ERR_SCRIPT_EXECUTION_TIMEOUT' })
  state.isEndless = false
  t.is(new Endless(2).buffer.byteLength, 2 * 65_536)
  t.is(Endless.from(memory), memory)
})

test('a constructor that fails once it has its memory leaves that a memory of no subclass', (t) => {
  class Late extends LocalSharedMemory {
    constructor() {
      super()
      throw new RangeError('late')
    }
  }
  class Else extends LocalSharedMemory {
    constructor() {
      super()
      return {}
    }
  }
  for (const [Class, expected] of [
    [Late, { instanceOf: RangeError }],
    [Else, INVALID_TYPE],
  ]) {
    const memory = plain()
    t.throws(() => Class.from(memory), expected)
    t.is(Object.getPrototypeOf(memory), LocalSharedMemory.prototype)
    t.is(Class.from(memory), memory)
    memory.free(memory.malloc(8))
    t.is(memory.length, 0)
  }
})

test('from takes what is a memory, whatever its prototype, and nothing else', (t) => {
  t.throws(() => LocalSharedMemory.from(Object.create(LocalSharedMemory.prototype)), INVALID_TYPE)
  t.throws(() => LocalSharedMemory.from(Object.create(plain())), INVALID_TYPE)
  const bare = Object.setPrototypeOf(plain(), null)
  t.is(LocalSharedMemory.from(bare), bare)
  t.true(bare instanceof LocalSharedMemory)
  const again = Object.setPrototypeOf(new LocalSharedMemory(1), WebAssembly.Memory.prototype)
  t.is(LocalSharedMemory.from(again), again)
})

test('a memory that cannot get another prototype is refused, and stays as it is', (t) => {
  for (const close of [Object.freeze, Object.seal, Object.preventExtensions]) {
    const memory = close(plain())
    t.throws(() => LocalSharedMemory.from(memory), INVALID_TYPE)
    t.is(Object.getPrototypeOf(memory), WebAssembly.Memory.prototype)
  }
  const frozen = Object.freeze(new LocalSharedMemory(1, 10))
  t.is(frozen.sizeof(frozen.malloc(100_000)), 100_000)
})

test('sources that only look like typed arrays are refused, and leave no block', (t) => {
  const memory = new LocalSharedMemory(1)
  const sources = [
    Object.create(Int32Array.prototype),
    new Proxy(new Int32Array(4), {}),
    Object.setPrototypeOf(new DataView(new ArrayBuffer(8)), Int32Array.prototype),
  ]
  for (const source of sources) {
    t.throws(() => memory.Int32Array(source), INVALID_TYPE)
    t.throws(() => memory.alloc(Int32Array, source), INVALID_TYPE)
  }
  t.is(memory.stats().blockCount, 0)
})

const LONG = 'ä'.repeat(300)

test('a malloc or sizeof that uses strings itself changes no text', (t) => {
  class Naming extends LocalSharedMemory {
    #deep = false

    #use() {
      if (this.#deep) return
      this.#deep = true
      const ptr = super.malloc(4000)
      this.setString(ptr, 'another text, longer than the one that is written')
      this.getString(ptr)
      super.free(ptr)
      this.#deep = false
    }

    malloc(...args) {
      this.#use()
      return super.malloc(...args)
    }

    sizeof(...args) {
      this.#use()
      return super.sizeof(...args)
    }
  }
  const memory = new Naming(1)
  for (const text of ['', 'short', LONG]) {
    const ptr = memory.mallocString(text)
    t.is(memory.getString(ptr), text)
    memory.setString(ptr, text)
    t.is(memory.getString(ptr), text)
  }
})

test('stacks that are formatted by code which uses strings change no text', (t) => {
  const memory = new LocalSharedMemory({ initial: 4, maximum: 10, shared: true, debug: true })
  const { prepareStackTrace } = Error
  const board = new LocalSharedMemory(1)
  const place = board.malloc(2000)
  Error.prepareStackTrace = (_, frames) => {
    board.setString(place, 'another text, longer than the one that is written')
    return frames.join('\n')
  }
  try {
    for (const text of ['short', LONG]) t.is(memory.getString(memory.mallocString(text)), text)
  } finally {
    Error.prepareStackTrace = prepareStackTrace
  }
})

test.serial('stand-ins for globals are not called', (t) => {
  const { setTimeout, structuredClone } = globalThis
  const { Memory } = WebAssembly
  const refuse = () => t.fail()
  Object.assign(globalThis, { setTimeout: refuse, structuredClone: refuse })
  WebAssembly.Memory = refuse
  try {
    const memory = new LocalSharedMemory(100, 200)
    const ptrs = Array.from({ length: 20_000 }, () => memory.malloc(100))
    for (const ptr of ptrs) memory.free(ptr)
    t.is(memory.stats().blockCount, 0)
  } finally {
    Object.assign(globalThis, { setTimeout, structuredClone })
    WebAssembly.Memory = Memory
  }
})

test('stand-ins that were there before the package, as those who test with jsdom have them', async (t) => {
  const { code, stderr } = await runChild('stand-ins.mjs', [])
  t.is(code, 0, stderr)
})

test('a clock and timers that stand still, as those who test put them there, keep no wait from its end', async (t) => {
  const { code, stdout, stderr } = await runChild('still-clock.mjs', ['import'])
  t.is(code, 0, stderr)
  t.deepEqual(JSON.parse(stdout), Array(6).fill('ERR_TIMED_OUT'))
})

test('accessors on Object.prototype never get hold of what is inside', async (t) => {
  const { code, stdout, stderr } = await runChild('planted.mjs', [])
  t.is(code, 0, stderr)
  t.deepEqual(JSON.parse(stdout), [])
})

const TRIES = 1000

/** Calls something at every depth of the stack, from its end upwards. Returns what the calls did, undefined when they threw. */
const fromTheEnd = (call) => {
  const answers = Array.from({ length: TRIES })
  let tried = 0
  const dive = () => {
    try {
      dive()
    } catch {
      // There is no deeper place.
    }
    if (tried === TRIES) return
    const at = tried++
    try {
      answers[at] = call(at)
    } catch (error) {
      answers[at] = error.code
    }
  }
  dive()
  return answers
}

const MAKING = {
  calloc: (memory) => memory.calloc(24),
  alloc: (memory) => memory.alloc(Int32Array, 6),
  Int32Array: (memory) => memory.Int32Array([1, 2, 3]),
  mallocString: (memory) => memory.mallocString('a text'),
  posix_memalign: (memory, { at, imports }) => imports.posix_memalign(at, 64, 24),
}

/** The block that one of these has made, which is asked for where there is room on the stack: else that would be lost. */
const pointerOf = (answer, memory, at) =>
  answer === 0 ? memory.getUint32(at) : (answer.byteOffset ?? answer)

/** Calls something deeper and deeper until it fails, and then once more, higher up each time, until it does not. */
const atTheEnd = (call) => {
  let answer
  const errors = []
  const dive = () => {
    try {
      dive()
    } catch {
      // There is no deeper place.
    }
    if (answer !== undefined) return
    try {
      answer = call()
    } catch (error) {
      errors.push(error)
    }
  }
  dive()
  return { answer, errors }
}

const DIVES = 200

for (const [name, make] of Object.entries(MAKING)) {
  test(`however often the stack ends no block is lost: ${name}`, (t) => {
    const memory = new LocalSharedMemory(10, 200)
    const context = { at: memory.malloc(16), imports: memory.imports() }
    const before = memory.stats().blockCount
    for (let made = 1; made <= DIVES; made++) {
      const { errors } = atTheEnd(() => make(memory, context))
      t.deepEqual(
        [...new Set(errors.map(({ code }) => code))],
        errors.length > 0 ? [undefined] : [],
      )
      t.is(memory.stats().blockCount, before + made)
    }
  })
}

test('however often the stack ends no block is lost: realloc', (t) => {
  const memory = new LocalSharedMemory(10, 200)
  for (let made = 1; made <= DIVES; made++) {
    const ptr = memory.malloc(1 + ((made * 37) % 3000))
    atTheEnd(() => memory.realloc(ptr, 40_000))
    t.is(memory.stats().blockCount, made)
  }
})

test('a block that could not be freed at the end of the stack is live', (t) => {
  for (const byteLength of [24, 34_000, 300_000]) {
    const memory = new LocalSharedMemory(20, 20)
    // A large part of the memory is anyone's as soon as it is free, without a native call.
    for (let time = 0; time < 3; time++) memory.free(memory.malloc(byteLength))
    for (let freed = 0; freed < DIVES; freed++) {
      const ptr = memory.malloc(byteLength)
      const { errors } = atTheEnd(() => memory.free(ptr) ?? true)
      t.true(
        errors.every(({ code }) => code === undefined),
        `${byteLength}`,
      )
    }
    t.is(memory.stats().blockCount, 0)
  }
})

for (const [name, make] of Object.entries(MAKING)) {
  test(`at the end of the stack no block is lost: ${name}`, (t) => {
    const memory = new LocalSharedMemory(10, 200)
    const slots = memory.malloc(4 * TRIES)
    const imports = memory.imports()
    const before = memory.stats().blockCount
    const answers = fromTheEnd((index) => make(memory, { at: slots + 4 * index, imports }))
    const made = answers.flatMap((answer, index) =>
      answer === undefined ? [] : [pointerOf(answer, memory, slots + 4 * index)],
    )
    t.true(made.length > 0 && made.length < TRIES)
    t.is(memory.stats().blockCount, before + made.length)
    for (const ptr of made) memory.free(ptr)
    t.is(memory.stats().blockCount, before)
    t.deepEqual(memory.check(), [])
  })
}

for (const byteLength of [24, 34_000]) {
  test(`at the end of the stack no block is lost: realloc of ${byteLength} bytes`, (t) => {
    const memory = new LocalSharedMemory(100, 3000)
    const blocks = Array.from({ length: TRIES }, () => memory.malloc(byteLength))
    for (const ptr of blocks) memory.fill(Uint8Array, 7, ptr, ptr + 24)
    const answers = fromTheEnd((at) => memory.realloc(blocks[at], 40_000))
    const moved = answers.filter((answer) => answer > 0)
    t.true(moved.length > 0 && moved.length < TRIES)
    t.is(memory.stats().blockCount, TRIES)
    const kept = blocks.filter((_, index) => !(answers[index] > 0))
    for (const ptr of [...kept, ...moved]) {
      t.true(memory.arrayView(Uint8Array, ptr, 24).every((byte) => byte === 7))
      memory.free(ptr)
    }
    t.is(memory.stats().blockCount, 0)
  })
}

test('no block is lost where the stack ends in a loop', async (t) => {
  const flags = process.versions.bun || process.versions.deno ? [] : ['--no-opt']
  const { code, stdout, stderr } = await runChild('stack-ends.mjs', [], { flags })
  t.is(code, 0, stderr)
  t.is(stdout, '0 0\n')
})

test('an error of the engine for want of stack stays what it is', (t) => {
  const memory = new LocalSharedMemory(1)
  const endless = { valueOf: () => +endless }
  const calls = [
    () => memory.Int32Array([endless]),
    () => memory.set(Int32Array, [endless], 99),
    () => memory.store(Int32Array, 99, endless),
    () => memory.setInt32(400, endless),
  ]
  for (const call of calls) t.is(t.throws(call, { instanceOf: RangeError }).code, undefined)
  t.is(memory.stats().blockCount, 0)
})

test('an array that could not be disposed of at the end of the stack can be later', (t) => {
  const memory = new LocalSharedMemory(1)
  const array = memory.alloc(Int32Array, 6)
  fromTheEnd(() => array[Symbol.dispose]())
  t.is(memory.stats().blockCount, 0)
  array[Symbol.dispose]()
})
