// What all structures have in common: the header of their block, the three ways in, and the way out.
//
// A structure's block begins with four words, as an Int32Array over it has them:
//   0  IDENTITY   a random number, never 0; 0 once the structure is destroyed
//   1  magic      of the kind: four letters
//   2  version    of the kind's layout
//   3  options    a hash of the options that it was made with
// and the kind's own words from HEADER_WORDS on.
//
// A kind is a class:
//
//   class Gate extends Structure {
//     static kind = { name: 'Gate', magic: magicOf('GATE'), version: 1,
//                     leastWords: 7 }   // optional: of the shortest block, header included
//     static plan(options) {               // checks the options and throws for bad ones
//       return { settings: { width },     // what open() compares: plain values, all of them, in one order
//                words: [width, 0, 0],    // the kind's own words, from HEADER_WORDS on
//                byteLength: 64,          // optional: of the block, header included, when it is longer; zeros follow
//                alignBytes: 64 }         // optional, by default 16
//     }
//     #words = wordsOf(this)              // Int32Array over the block: the header too, valid whatever grows
//     …                                   // each method begins with `checkAlive(this)` or its own look at word 0
//     [FACTS]() { return { width } }      // what console.log shows behind the pointer, while it is not destroyed
//   }
//
// create(memory, options), open(memory, name, options), at(memory, ptr), `ptr`, `memory` and destroy() come with it. The block is
// whole from the moment when anyone can find it: create and open write it and name it in one native call. Further blocks
// hang on words of this one: mallocInto and freeFrom of lib/memory/placing.js put them there. A kind that has such blocks frees
// them before it calls super.destroy(), and frees them in such a way that another thread can go on where one was terminated.

import { inspect } from 'node:util'
import { DEFAULT_ALIGN } from '../lib/base/align.js'
import { checkInteger, MAX_BYTES, notAStructure, structureMismatch } from '../lib/base/errors.js'
import { checkName } from '../lib/base/names.js'
import { withNewBlock } from '../lib/base/new-block.js'
import { viewsCovering } from '../lib/pages/pages.js'
import { place, remove, undoCutShort } from '../lib/memory/placing.js'
import { checkSharedMemory } from './memories.js'
import { wake } from './waiting.js'

/** How often to look at what has a name: it is something else, or other threads destroy and make it again all the time. */
const ATTEMPTS = 100
/** What is said of it then. */
const PASSING = new Set(['ERR_INVALID_POINTER', 'ERR_NOT_A_STRUCTURE'])

/** Words before a kind's own. */
export const HEADER_WORDS = 4
/** The word that is 0 once the structure is destroyed. */
export const IDENTITY = 0
const MAGIC = 1
const VERSION = 2
const OPTIONS = 3
const WORD = 4
/** Where all words lie that anyone sleeps on for longer than a slice. */
const AWAITED_WORDS = 64

/** @returns {number} the word that four letters are */
export const magicOf = (letters) =>
  letters.split('').reduce((word, letter, at) => word | (letter.charCodeAt(0) << (8 * at)), 0)

const FNV_START = 0x811c9dc5
const FNV_PRIME = 0x01000193

const hashOf = (settings) => {
  let hash = FNV_START
  for (const unit of JSON.stringify(settings)) {
    hash = Math.imul(hash ^ unit.codePointAt(0), FNV_PRIME)
  }
  return hash | 0
}

/** A number that is not 0, and hardly the one that an earlier structure had at the same place. */
const newIdentity = () => Math.trunc(Math.random() * (2 ** 32 - 1)) + 1

const imageOf = ({ magic, version }, { settings, words }) => {
  const image = new Uint32Array(HEADER_WORDS + words.length)
  image.set([newIdentity(), magic, version, hashOf(settings)])
  image.set(words, HEADER_WORDS)
  return image
}

// A structure's block, which has to be a live one.
const wordsAt = (memory, ptr, { name, magic, version, leastWords = HEADER_WORDS }) => {
  checkInteger('ptr', ptr, 1, MAX_BYTES, 'bytes')
  const byteLength = memory.sizeof(ptr)
  const { buffer } = viewsCovering(memory, ptr, byteLength, 'ptr')
  const words = new Int32Array(buffer, ptr, Math.floor(byteLength / WORD))
  if (words[IDENTITY] === 0) undoCutShort(buffer)
  if (words.length < leastWords || words[MAGIC] !== magic || words[IDENTITY] === 0) {
    throw notAStructure(`The block at byte ${ptr} is not a ${name}`)
  }
  if (words[VERSION] !== version) {
    const other = `layout ${words[VERSION]}, this version of the package knows layout ${version}`
    throw structureMismatch(`The ${name} at byte ${ptr} has ${other}`)
  }
  return words
}

const make = (Kind, memory, name, plan) => {
  const image = imageOf(Kind.kind, plan)
  const { byteLength = image.byteLength, alignBytes = DEFAULT_ALIGN } = plan
  return place(memory, image, byteLength, alignBytes, name, Kind.kind.name)
}

/** The class of a kind itself, of whatever is derived from it: its constructor throws nothing of anyone else's. */
const baseOf = (Kind) => (Object.hasOwn(Kind, 'kind') ? Kind : baseOf(Object.getPrototypeOf(Kind)))

/** The method that says what console.log shows. */
export const FACTS = Symbol('facts')

/**
 * @type {(structure: Structure) => Int32Array} its block, header included
 */
export let wordsOf

/**
 * @type {(structure: Structure) => void} throws ERR_NOT_A_STRUCTURE when it was destroyed, in whichever thread
 */
export let checkAlive

/** A structure in a block of the heap. */
export class Structure {
  #memory
  #ptr
  #words
  #identity

  static {
    wordsOf = (structure) => structure.#words

    checkAlive = (structure) => {
      if (structure.#words[IDENTITY] !== structure.#identity) structure.#refuse()
    }
  }

  /** Makes one. */
  static create(memory, options) {
    checkSharedMemory(memory)
    const plan = this.plan(options)
    const discarding = { free: (ptr) => baseOf(this).at(memory, ptr).destroy() }
    const write = () => make(this, memory, '', plan)
    return withNewBlock(discarding, write, (ptr) => new this(memory, ptr))
  }

  /** The one at a pointer, which another thread may have sent. */
  static at(memory, ptr) {
    return new this(memory, ptr)
  }

  /** The one of a name, made if there is none: the same for all threads that ask, at the same moment too. */
  static open(memory, name, options) {
    checkSharedMemory(memory)
    checkName(name)
    const plan = this.plan(options)
    for (let attempt = 1; ; attempt++) {
      const ptr = make(this, memory, name, plan)
      try {
        return new this(memory, ptr).#checkOptions(plan)
      } catch (error) {
        if (attempt === ATTEMPTS || !PASSING.has(error.code)) throw error
      }
    }
  }

  constructor(memory, ptr) {
    checkSharedMemory(memory)
    this.#memory = memory
    this.#ptr = ptr
    this.#words = wordsAt(memory, ptr, new.target.kind)
    this.#identity = this.#words[IDENTITY]
  }

  #checkOptions({ settings }) {
    if (this.#words[OPTIONS] === hashOf(settings)) return this
    const { name } = this.constructor.kind
    throw structureMismatch(
      `The ${name} at byte ${this.#ptr} was made with other options than ${inspect(settings)}`,
    )
  }

  // A process that was killed while it destroyed it has not done so.
  #refuse() {
    undoCutShort(this.#words.buffer)
    if (this.#words[IDENTITY] === this.#identity) return
    throw notAStructure(`The ${this.constructor.kind.name} at byte ${this.#ptr} was destroyed`)
  }

  /** What util.inspect shows: a line. Of what only inherits from a structure, or is a Proxy for one, it shows what it shows of any. */
  [inspect.custom](depth, options) {
    if (!(#words in this)) return this
    const { name } = this.constructor.kind
    if (depth < 0) return options.stylize(`[${name}]`, 'special')
    const shown = { ptr: this.#ptr, ...this.#facts }
    return `${name} ${inspect(shown, { ...options, breakLength: Infinity })}`
  }

  get #facts() {
    if (this.#words[IDENTITY] !== this.#identity) return { state: 'destroyed' }
    try {
      return this[FACTS]()
    } catch (error) {
      return { error: error.code ?? error.message }
    }
  }

  /** The memory that it lies in. */
  get memory() {
    return this.#memory
  }

  /** Pointer to its block, for at() in another thread. */
  get ptr() {
    return this.#ptr
  }

  /** Frees every byte of it and takes its names away. */
  destroy() {
    checkAlive(this)
    remove(this.#memory, this.#ptr, this.#identity >>> 0)
    const awaited = this.#words.subarray(0, AWAITED_WORDS)
    for (let at = 0; at < awaited.length; at++) wake(awaited, at)
  }
}
