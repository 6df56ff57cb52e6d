// The stacks of free blocks that one thread keeps, in memory that the native side owns: it fills and empties them. The
// newer part of a stack is the thread's own; the older part any thread may take, so that the border between them moves
// by a compare-exchange. src/process/rows.rs says where things lie, and its numbers are written out here, for speed.

import binding from './binding.js'

/** What both sides have to agree on. */
const LAYOUT = {
  header: 8,
  grain: 16,
  unit: 1024,
  kept: -1,
  liveLarge: -128,
  digits: 112,
  digitBits: 4,
  digitCount: 6,
  headWords: 8,
  top: 0,
  floor: 1,
  ceiling: 2,
  stride: 3,
  published: 4,
  width: 5,
  end: 6,
  large: 0,
  spare: 1,
  largeBelow: 2,
  largeSpare: 4,
  sizes: 1024,
  largest: 32_784,
  largeHeads: 3080,
  leastLargeUnits: 32,
  mostLargeUnits: 1151,
}

const layout = binding.cacheLayout()
for (const [name, value] of Object.entries(LAYOUT)) {
  if (layout[name] !== value)
    throw new Error(`The native addon is of another version (${name}): build it again`)
}

const MOST_WIDTH = 1024 // blocks
const KEPT = LAYOUT.kept
const NO_WORDS = new Int32Array(0)
const NO_STATES = new Int8Array(0)
const NO_DIGITS = new Int32Array(0)
/** Stacks without blocks, for a heap that is not open. */
const NO_ROWS = new Int32Array(layout.words)

/** What one thread keeps, and the memory that it is of. */
export class Stacks {
  /** The whole memory. */
  words = NO_WORDS
  /** The heads and the stacks. */
  rows = NO_ROWS
  /** The states of the memory's blocks, as src/process/live_blocks.rs has them. */
  states = NO_STATES
  /** The same, four at once: large blocks have digits behind their state. */
  digits = NO_DIGITS
  /** The state of a block that is kept: another one in each process that has the heap, -1 where one has it to itself. */
  kept = KEPT

  /**
   * @param {ArrayBuffer} buffer the native side's words
   * @param {number} kept the state of a block that is kept
   */
  open(buffer, kept) {
    this.rows = new Int32Array(buffer)
    this.kept = kept
  }

  /** Has nothing any more, and takes nothing. */
  close() {
    this.words = NO_WORDS
    this.rows = NO_ROWS
    this.states = NO_STATES
    this.digits = NO_DIGITS
  }

  /**
   * @param {Int32Array} words the whole memory, as long as the native side knows it
   * @param {ArrayBuffer} states of its blocks
   */
  refresh(words, states) {
    this.words = words
    this.states = new Int8Array(states)
    this.digits = new Int32Array(states)
  }

  /** Whether there are stacks: the heap is open, and the engine takes their words from outside. */
  get isOpen() {
    return this.rows !== NO_ROWS
  }

  /** Whether more is kept than an idle thread should keep. */
  get isLarge() {
    return this.rows[0] !== 0
  }

  /**
   * Gives the thread half as many blocks of a stack more as it may have to itself.
   *
   * @param {number} head of the stack
   * @returns {boolean} false when there are none
   */
  lower(head) {
    const { rows } = this
    const floor = rows[head + 1]
    const published = rows[head + 4]
    if (floor <= (published & 0xffff)) return false
    const width = this.widen(head)
    const lower = Math.max(floor - ((width + 1) >>> 1), published & 0xffff)
    const moved = (lower << 16) | (published & 0xffff)
    if (Atomics.compareExchange(rows, head + 4, published, moved) !== published) return false
    rows[head + 1] = lower
    rows[head + 2] = Math.min(lower + width, rows[head + 6])
    return true
  }

  /**
   * Lets all threads have the older half of what the thread has to itself.
   *
   * @param {number} head of the stack
   * @returns {boolean} false when that makes no room
   */
  raise(head) {
    const { rows } = this
    if (rows[head] >= rows[head + 6] || rows[head + 5] === 0) return false
    const width = this.widen(head)
    const published = rows[head + 4]
    const floor = rows[head + 1] + ((width + 1) >>> 1)
    if (rows[head] < rows[head + 2]) return true
    const moved = (floor << 16) | (published & 0xffff)
    if (Atomics.compareExchange(rows, head + 4, published, moved) !== published) return false
    rows[head + 1] = floor
    rows[head + 2] = Math.min(floor + width, rows[head + 6])
    return true
  }

  /**
   * Doubles what the thread may have to itself, if that takes but a quarter of the bytes to spare: else the first stacks that are
   * used would leave none for others. Returns what it may have, in blocks.
   */
  widen(head) {
    const { rows } = this
    const width = rows[head + 5]
    const bytes = width * rows[head + 3]
    const spare = head < 3080 ? 1 : 4
    if (width === 0 || width >= MOST_WIDTH || bytes > rows[spare] >>> 2) return width
    rows[spare] -= bytes
    if (rows[spare] < rows[2]) rows[0] = 1
    rows[head + 5] = 2 * width
    rows[head + 2] = Math.min(rows[head + 1] + 2 * width, rows[head + 6])
    return 2 * width
  }
}
