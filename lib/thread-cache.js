// The part of the heap that one thread keeps in JavaScript: for each size class a stack of free blocks, popped and
// pushed without a call into native code. The stacks lie in memory that the native side owns; it fills and empties
// them. Anything that is not plain to see here is left to the native side: nothing is decided on a doubt.
//
// A malloc and a free together are some hundred machine instructions here, provided that the compiler puts all of them
// into the caller's loop. It does so up to a sum of bytecode, so these functions are written to have little of it:
// plain fields, and numbers written out. What they stand for:
//
//   8, 15, 4     bytes of a header; rounds up to the grain of 16 bytes, a shift by 4
//   a state      what the live blocks have for the grain of a pointer: the size class of a live block plus 1, -1 for one
//                that is kept, and others
//   a head       8 words for each state, with the numbers that HEAD has; in that of state 0 other ones
//   1024         the word with the head that serves blocks of 0 bytes, header included; then 16 bytes, and so on
//   32_776       bytes of the largest request that is served from here
//
// Between the first and the last write of a method there is no loop and no call but to Atomics: so a thread is never
// terminated there.

import binding from './binding.js'

const layout = binding.cacheLayout()
if (
  layout.headWords !== 8 ||
  layout.sizes !== 1024 ||
  layout.largest !== 32_784 ||
  layout.words < 3074
) {
  throw new Error('The native addon is of another version: build it again')
}

const NO_WORDS = new Int32Array(0)
const NO_STATES = new Int8Array(0)
/** Rows without blocks, for a heap that is not open. */
const NO_ROWS = new Int32Array(layout.words)

/** The head of the size class of the live block at a pointer, whose header and the next one are whole; 0 on any doubt. */
const headOf = (words, rows, states, ptr) => {
  if (typeof ptr !== 'number' || ptr >>> 0 !== ptr || (ptr & 15) !== 0) return 0
  const grain = ptr >>> 4
  if (grain >= states.length) return 0
  const state = states[grain]
  if (state <= 0) return 0
  const head = (state & 127) << 3
  const stride = rows[head | 3]
  const header = (ptr - 8) >>> 2
  return words[header + 1] === stride &&
    words[header + 1 + (stride >>> 2)] === stride &&
    (words[header] - 1) >>> 0 < stride - 8
    ? head
    : 0
}

/** The free blocks that one thread keeps for itself. */
export class ThreadCache {
  /** The whole memory. */
  words = NO_WORDS
  /** The rows and classes, as src/cache lays them out. */
  rows = NO_ROWS
  /** The states of the memory's blocks, as src/process/live_blocks.rs has them. */
  states = NO_STATES

  /** @param {ArrayBuffer} buffer the native side's words */
  open(buffer) {
    this.rows = new Int32Array(buffer)
  }

  /**
   * @param {Int32Array} words the whole memory, as long as the native side knows it
   * @param {ArrayBuffer} states of its blocks
   */
  refresh(words, states) {
    this.words = words
    this.states = new Int8Array(states)
  }

  /**
   * Takes a block out of the cache.
   *
   * @param {unknown} byteLength bytes
   * @returns {number} pointer; 0 when there is no block of that class, or no such length
   */
  pop(byteLength) {
    if (typeof byteLength !== 'number' || byteLength >>> 0 !== byteLength) return 0
    if ((byteLength - 1) >>> 0 >= 32_776) return 0
    const { words, rows, states } = this
    const head = rows[1024 + ((byteLength + 23) >>> 4)] & 1016
    const top = rows[head] & 65_535
    if (top <= rows[head | 1]) return 0
    const ptr = rows[top - 1] >>> 0
    const header = (ptr - 8) >>> 2
    // A memory that is not shared and has grown has left these words.
    if (header >= words.length) return 0
    rows[head] = top - 1
    // Two threads have freed it at the same time, and it was given out since.
    if (states[ptr >>> 4] !== -1) return 0
    words[header] = byteLength
    states[ptr >>> 4] = head >>> 3
    return ptr
  }

  /**
   * Puts a live block into the cache.
   *
   * @param {unknown} ptr pointer
   * @returns {boolean} false when its class is at its limit, or it is not plainly a live block
   */
  push(ptr) {
    // What headOf asks for, and by itself: the compiler does not see that an answer of it is not 0.
    if (typeof ptr !== 'number' || ptr >>> 0 !== ptr || (ptr & 15) !== 0) return false
    const { words, rows, states } = this
    const grain = ptr >>> 4
    if (grain >= states.length) return false
    const state = states[grain]
    if (state <= 0) return false
    const head = (state & 127) << 3
    const stride = rows[head | 3]
    const header = (ptr - 8) >>> 2
    if (words[header + 1] !== stride || words[header + 1 + (stride >>> 2)] !== stride) return false
    if ((words[header] - 1) >>> 0 >= stride - 8) return false
    const top = rows[head] & 65_535
    if (top >= rows[head | 2]) return false
    states[grain] = -1
    words[header] = 0
    rows[top] = ptr
    rows[head] = top + 1
    return true
  }

  /** Takes a block out of the part of the cache that all threads may take. As pop. */
  popOlder(byteLength) {
    if (typeof byteLength !== 'number' || byteLength >>> 0 !== byteLength) return 0
    if ((byteLength - 1) >>> 0 >= 32_776) return 0
    return this.#lower(this.rows[1024 + ((byteLength + 23) >>> 4)]) ? this.pop(byteLength) : 0
  }

  /** Puts a live block into the cache, and older ones into the part that all threads may take. As push. */
  pushNewer(ptr) {
    const { words, rows, states } = this
    return this.#raise(headOf(words, rows, states, ptr)) && this.push(ptr)
  }

  /**
   * Changes the length of a live block: where it is, if it stays well used, else by a move within the cache.
   *
   * @param {unknown} ptr pointer
   * @param {unknown} byteLength bytes
   * @returns {number} pointer; 0 when that cannot be done, or is not plain to see: the block is as it was
   */
  realloc(ptr, byteLength) {
    if (typeof byteLength !== 'number' || byteLength >>> 0 !== byteLength) return 0
    if ((byteLength - 1) >>> 0 >= 32_776) return 0
    const { words, rows, states } = this
    const head = headOf(words, rows, states, ptr)
    if (head === 0) return 0
    const room = rows[head + 3] - 8
    const from = ptr >>> 2
    const before = words[from - 2]
    if (byteLength <= room && byteLength >= room >>> 1) {
      words[from - 2] = byteLength
      return ptr
    }
    const count = ((before < byteLength ? before : byteLength) + 3) >>> 2
    if (count > 128) return 0
    if (rows[head] >= rows[head + 2] && !this.#raise(head)) return 0
    const moved = this.pop(byteLength) || this.popOlder(byteLength)
    if (moved === 0) return 0
    // There is no call from here on: at the end of the stack it would fail, and the new block be lost.
    const to = moved >>> 2
    for (let word = 0; word < count; word++) words[to + word] = words[from + word]
    const top = rows[head]
    states[ptr >>> 4] = -1
    words[from - 2] = 0
    rows[top] = ptr
    rows[head] = top + 1
    return moved
  }

  // Gives a stack half as many blocks more to itself. False when there are none.
  #lower(head) {
    const { rows } = this
    const width = this.#widen(head)
    const floor = rows[head + 1]
    const published = rows[head + 4]
    const lower = Math.max(floor - ((width + 1) >>> 1), published & 0xffff)
    if (lower >= floor) return false
    const moved = (lower << 16) | (published & 0xffff)
    if (Atomics.compareExchange(rows, head + 4, published, moved) !== published) return false
    rows[head + 1] = lower
    rows[head + 2] = Math.min(lower + width, rows[head + 6])
    return true
  }

  // Lets all threads have the older half of what a stack has to itself. False when that makes no room.
  #raise(head) {
    const { rows } = this
    if (rows[head] >= rows[head + 6] || rows[head + 5] === 0) return false
    const width = this.#widen(head)
    const published = rows[head + 4]
    const floor = rows[head + 1] + ((width + 1) >>> 1)
    if (rows[head] < rows[head + 2]) return true
    const moved = (floor << 16) | (published & 0xffff)
    if (Atomics.compareExchange(rows, head + 4, published, moved) !== published) return false
    rows[head + 1] = floor
    rows[head + 2] = Math.min(floor + width, rows[head + 6])
    return true
  }

  // Doubles what a stack may have to itself, if there are bytes to spare. Returns what it may have, in blocks.
  #widen(head) {
    const { rows } = this
    const width = rows[head + 5]
    const bytes = width * rows[head + 3]
    if (width === 0 || width >= 64 || bytes > rows[1]) return width
    rows[1] -= bytes
    if (rows[1] < rows[2]) rows[0] = 1
    rows[head + 5] = 2 * width
    rows[head + 2] = Math.min(rows[head + 1] + 2 * width, rows[head + 6])
    return 2 * width
  }

  /**
   * The size class of the live block at a pointer.
   *
   * @param {unknown} ptr pointer
   * @returns {number} -1 when that is not plain to see, or it is no pointer
   */
  classOf(ptr) {
    return (headOf(this.words, this.rows, this.states, ptr) >> 3) - 1
  }

  /** @returns {number} the bytes that were asked for in a live block that classOf knows */
  byteLengthOf(ptr) {
    return this.words[(ptr >>> 2) - 2]
  }

  /** @returns {number} the bytes that a live block of a class takes */
  strideOf(sizeClass) {
    return this.rows[((sizeClass + 1) << 3) + 3]
  }

  /**
   * The size class to fetch blocks of for a length.
   *
   * @param {number} byteLength bytes
   * @returns {number} -1 when blocks of that length are not kept
   */
  classFor(byteLength) {
    if (byteLength > 32_776 || this.rows === NO_ROWS) return -1
    return (this.rows[1024 + ((byteLength + 23) >>> 4)] >> 3) - 1
  }

  /** Whether blocks of a class are kept: those that the default alignment uses. */
  keeps(sizeClass) {
    return sizeClass >= 0 && sizeClass <= this.classFor(32_776)
  }

  /** Whether more is kept than an idle thread should keep. */
  get large() {
    return this.rows[0] !== 0
  }
}
