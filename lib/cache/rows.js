// The rows of one thread, stacks of the free blocks that it keeps, in memory that the native side owns: it fills and empties them. The
// newer part of a stack is the thread's own; the older part any thread may take, so that the border between them moves
// by one atomic operation. src/process/rows.rs says where things lie, and its numbers are written out here, for speed.

import binding from '../native/binding.js'
import { isShared } from '../base/engine.js'
import { addonUnavailable } from '../base/errors.js'

/** What both sides have to agree on. */
const LAYOUT = {
  header: 8,
  grain: 16,
  unit: 1024,
  kept: -1,
  classBits: 127,
  liveLarge: -128,
  digits: 112,
  digitBits: 4,
  digitCount: 6,
  fine: 32,
  headWords: 8,
  own: 0,
  limits: 1,
  longest: 2,
  published: 3,
  width: 4,
  end: 5,
  moved: 6,
  most: 7,
  overIdle: 0,
  spare: 1,
  overIdleBelow: 2,
  short: 3,
  full: 2,
  largeSpare: 4,
  refusals: 5,
  longSpare: 6,
  longKept: 7,
  long: 4,
  common: 8,
  taken: 3,
  sizes: 1024,
  largest: 32_784,
  largeHeads: 3080,
  stacks: 3728,
  leastLargeUnits: 32,
  mostLargeUnits: 36_863,
}

const layout = binding.cacheLayout()
for (const [name, value] of Object.entries(LAYOUT)) {
  if (layout[name] !== value)
    throw addonUnavailable(new Error(`it is of another version (${name})`))
}

// Words of a head; its first one is what the thread has to itself.
const { limits: LIMITS, longest: LONGEST, published: PUBLISHED } = LAYOUT
const { width: WIDTH, end: END, moved: MOVED, most: MOST, long: LONG } = LAYOUT
// Figures of the whole cache, in the head of no class.
const { overIdle: OVER_IDLE, overIdleBelow: OVER_IDLE_BELOW, short: SHORT, full: FULL } = LAYOUT
const { refusals: REFUSALS, longSpare: LONG_SPARE, longKept: LONG_KEPT } = LAYOUT
/** How often a stack may find too little to spare before all of them give up half of their width. */
const MOST_REFUSALS = 32
/** The ways in which a floor moves. */
const [LOWERED, RAISED, WAYS] = [1, 2, 3]
/** The state of a block that is kept where one process has the heap to itself, and the bits of it that tell its class. */
export const { kept: KEPT, classBits: CLASS_BITS } = LAYOUT
/** Bytes of the longest blocks, headers included, that have a class for each multiple of 16 bytes. */
export const LONGEST_FINE = LAYOUT.fine * LAYOUT.grain
/** What there is of a heap that is not open. */
export const NO_WORDS = new Int32Array(0)
export const NO_STATES = new Int8Array(0)
const NO_DIGITS = new Int32Array(0)
/** Stacks without blocks, for a heap that is not open. */
export const NO_ROWS = new Int32Array(layout.words)

/** The word with the bytes that stacks of that kind may still be widened by. */
const spareOf = (head) => (head < LAYOUT.largeHeads ? LAYOUT.spare : LAYOUT.largeSpare)

/** What one thread keeps, and the memory that it is of. */
export class Rows {
  /** The whole memory. */
  words = NO_WORDS
  /** The heads and the stacks. */
  rows = NO_ROWS
  /** The states of the memory's blocks, as src/process/live_blocks.rs has them. */
  states = NO_STATES
  /** The same, four at once: large blocks have digits behind their state. */
  digits = NO_DIGITS
  /**
   * How many grains of 16 bytes there are in all of them: once any buffer in the process has been detached, the arrays' own
   * lengths take the longest of all to find out.
   */
  grains = 0
  /** How many of them stay in `words`: none of a memory that is not shared, since it leaves its words when it grows. */
  lasting = 0
  #changed

  /** @param {(rows: Rows) => void} [changed] called when there are other words, rows and states */
  constructor(changed = () => {}) {
    this.#changed = changed
  }

  /** @param {ArrayBuffer} buffer the native side's words; a refresh comes next */
  open(buffer) {
    this.rows = new Int32Array(buffer)
  }

  /** Has nothing any more, and takes nothing. */
  close() {
    this.words = NO_WORDS
    this.rows = NO_ROWS
    this.states = NO_STATES
    this.digits = NO_DIGITS
    this.grains = 0
    this.lasting = 0
    this.#changed(this)
  }

  /**
   * @param {Int32Array} words the whole memory, as long as the native side knows it
   * @param {ArrayBuffer} states of its blocks
   */
  refresh(words, states) {
    const grains = Math.min(words.length >>> 2, states.byteLength)
    const lasting = isShared(words.buffer) ? grains : 0
    this.words = words
    this.states = new Int8Array(states)
    this.digits = new Int32Array(states)
    this.grains = grains
    this.lasting = lasting
    // There is room again.
    this.rows[SHORT] = 0
    this.#changed(this)
  }

  /** Whether there are stacks: the heap is open, and the engine takes their words from outside. */
  get isOpen() {
    return this.rows !== NO_ROWS
  }

  /** Whether more is kept than an idle thread should keep. */
  get isOverIdle() {
    return this.rows[OVER_IDLE] !== 0
  }

  /** Whether the heap was short of room often since it has grown last. */
  get isShort() {
    return this.rows[SHORT] !== 0
  }

  /** Whether it was, and its memory cannot grow. */
  get isFull() {
    return this.rows[SHORT] === FULL
  }

  /** Whether the thread's own part of a stack has room for one more block. */
  hasRoom(head) {
    const { rows } = this
    return (rows[head] & 65_535) < rows[head + LIMITS] >>> 16
  }

  /**
   * Gives the thread more blocks of a stack, as many as #step says.
   *
   * @param {number} head of the stack
   * @returns {boolean} false when there are none
   */
  lower(head) {
    const { rows } = this
    if (rows[head] >>> 16 <= (rows[head + PUBLISHED] & 65_535)) return false
    const width = Math.max(this.widen(head), 1)
    const published = rows[head + PUBLISHED]
    const before = rows[head] >>> 16
    const floor = Math.max(before - this.#step(head, width, LOWERED), published & 65_535)
    // Another thread may have taken all of them since the first look.
    return floor < before && this.#moveFloor(head, published, floor, width)
  }

  /**
   * Lets all threads have the oldest of what the thread has to itself, as many as #step says, if there is no room for one more
   * besides.
   *
   * @param {number} head of the stack
   * @returns {boolean} false when that makes no room
   */
  raise(head) {
    const { rows } = this
    if ((rows[head] & 65_535) >= rows[head + END]) return false
    const width = this.widen(head)
    if (this.hasRoom(head)) return true
    if (width === 0 || (rows[head + MOVED] & LONG) !== 0) return false
    const floor = (rows[head] >>> 16) + this.#step(head, width, RAISED)
    return this.#moveFloor(head, rows[head + PUBLISHED], floor, width)
  }

  // By how many blocks the floor moves: half of the width, so that it need not move back at once; all of it when it moves on
  // the way that it moved the last time.
  #step(head, width, way) {
    const { rows } = this
    const moved = rows[head + MOVED]
    const onward = (moved & WAYS) === way
    rows[head + MOVED] = (moved & ~WAYS) | way
    return onward ? width : (width + 1) >>> 1
  }

  // `published` as it was when the floor was found.
  #moveFloor(head, published, floor, width) {
    const { rows } = this
    const limits = this.#limitsUpTo(floor + width, head)
    const moved = (floor << 16) | (published & 65_535)
    if (Atomics.compareExchange(rows, head + PUBLISHED, published, moved) !== published)
      return false
    rows[head] = (floor << 16) | (rows[head] & 65_535)
    rows[head + LIMITS] = limits
    return true
  }

  #limitsUpTo(ceiling, head) {
    const { rows } = this
    return (Math.min(ceiling, rows[head + END]) << 16) | (rows[head + LIMITS] & 65_535)
  }

  /**
   * Doubles what the thread may have to itself, up to half of the stack, if that takes but half of the bytes to spare. Returns
   * what it may have, in blocks.
   */
  widen(head) {
    const { rows } = this
    const width = rows[head + WIDTH]
    if (rows[head + MOVED] >= LONG) return this.#widenLong(head, width)
    const wide = Math.min(2 * width, rows[head + MOST])
    if (width === 0 || width >= wide) return width
    const bytes = (wide - width) * rows[head + LONGEST]
    const spare = spareOf(head)
    if (bytes > rows[spare] >> 1) return this.#refuse(head)
    const limits = this.#limitsUpTo((rows[head] >>> 16) + wide, head)
    rows[spare] -= bytes
    if (rows[spare] < rows[OVER_IDLE_BELOW]) rows[OVER_IDLE] = 1
    rows[head + WIDTH] = wide
    rows[head + LIMITS] = limits
    return wide
  }

  // Blocks that are long for the heap have some bytes for all of them, until the native side takes them out.
  #widenLong(head, width) {
    const { rows } = this
    const bytes = rows[head + LONGEST]
    if (bytes > rows[LONG_SPARE] || width >= rows[head + MOST]) return width
    const limits = this.#limitsUpTo((rows[head] >>> 16) + width + 1, head)
    rows[LONG_KEPT] |= 1 << (head >>> 3)
    rows[LONG_SPARE] -= bytes
    rows[head + WIDTH] = width + 1
    rows[head + LIMITS] = limits
    return width + 1
  }

  // Once there was too little to spare so many times, all stacks give up half of their width: those that are in use take it again,
  // and the others leave it to them.
  #refuse(head) {
    const { rows } = this
    rows[REFUSALS] += 1
    if (rows[REFUSALS] >= MOST_REFUSALS) {
      rows[REFUSALS] = 0
      for (let each = LAYOUT.headWords; each < LAYOUT.sizes; each += LAYOUT.headWords)
        this.#narrow(each)
      for (let each = LAYOUT.largeHeads; each < LAYOUT.stacks; each += LAYOUT.headWords)
        this.#narrow(each)
    }
    return rows[head + WIDTH]
  }

  #narrow(head) {
    const { rows } = this
    const width = rows[head + WIDTH]
    const narrow = (width + 1) >>> 1
    if (narrow === width || rows[head + MOVED] >= LONG) return
    const spare = spareOf(head)
    const floor = Math.max(rows[head] >>> 16, (rows[head] & 65_535) - (narrow >>> 1))
    if (!this.#moveFloor(head, rows[head + PUBLISHED], floor, narrow)) return
    rows[head + WIDTH] = narrow
    rows[spare] += (width - narrow) * rows[head + LONGEST]
  }
}
