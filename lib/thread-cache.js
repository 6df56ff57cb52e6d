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
//                that is kept
//   a row        one for each state, 256 words: word 0: how many blocks, 1: how many at most, 2: the stride, bytes from
//                block to block, from 3: the blocks; in the row of state 0 word 0 is 1 while the cache is large
//   32_768       the word of the row that serves blocks of 0 bytes, header included; then 16 bytes, and so on
//   32_776       bytes of the largest request that is served from here

import binding from './binding.js'

const layout = binding.cacheLayout()
if (
  layout.rowWords !== 256 ||
  layout.classes !== 32_768 ||
  layout.largest !== 32_784 ||
  layout.words !== 34_818
) {
  throw new Error('The native addon is of another version: build it again')
}

const NO_WORDS = new Int32Array(0)
const NO_STATES = new Int8Array(0)
/** Rows without blocks, for a heap that is not open. */
const NO_ROWS = new Int32Array(layout.words)

/** The row of the size class of the live block at a pointer, whose header and the next one are whole; 0 on any doubt. */
const rowOf = (words, rows, states, ptr) => {
  if (typeof ptr !== 'number' || ptr >>> 0 !== ptr || (ptr & 15) !== 0) return 0
  const grain = ptr >>> 4
  if (grain >= states.length) return 0
  const row = states[grain] << 8
  if (row <= 0) return 0
  const header = (ptr >>> 2) - 2
  const stride = rows[row + 2]
  const byteLength = words[header]
  if (
    byteLength <= 0 ||
    byteLength > stride - 8 ||
    words[header + 1] !== stride ||
    words[header + 1 + (stride >>> 2)] !== stride
  ) {
    return 0
  }
  return row
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
    const row = rows[32_768 + ((byteLength + 23) >>> 4)]
    const count = rows[row]
    if (count === 0) return 0
    const ptr = rows[row + 2 + count] >>> 0
    const header = (ptr >>> 2) - 2
    // A memory that is not shared and has grown has left these words.
    if (header >= words.length) return 0
    rows[row] = count - 1
    // Two threads have freed it at the same time, and it was given out since.
    if (states[ptr >>> 4] !== -1) return 0
    words[header] = byteLength
    states[ptr >>> 4] = row >>> 8
    return ptr
  }

  /**
   * Puts a live block into the cache.
   *
   * @param {unknown} ptr pointer
   * @returns {boolean} false when its class is at its limit, or it is not plainly a live block
   */
  push(ptr) {
    const { words, rows, states } = this
    const row = rowOf(words, rows, states, ptr)
    if (row === 0) return false
    const count = rows[row]
    if (count >= rows[row + 1]) return false
    words[(ptr >>> 2) - 2] = 0
    states[ptr >>> 4] = -1
    rows[row + 3 + count] = ptr
    rows[row] = count + 1
    return true
  }

  /**
   * The size class of the live block at a pointer.
   *
   * @param {unknown} ptr pointer
   * @returns {number} -1 when that is not plain to see, or it is no pointer
   */
  classOf(ptr) {
    return (rowOf(this.words, this.rows, this.states, ptr) >> 8) - 1
  }

  /**
   * Changes the length of a live block, if it stays well used.
   *
   * @param {number} ptr pointer
   * @param {number} sizeClass what classOf says
   * @param {number} byteLength bytes
   * @returns {boolean} false when the block had better move
   */
  resize(ptr, sizeClass, byteLength) {
    const room = this.strideOf(sizeClass) - 8
    if (byteLength > room || byteLength < room >>> 1) return false
    this.words[(ptr >>> 2) - 2] = byteLength
    return true
  }

  /** @returns {number} the bytes that were asked for in a live block that classOf knows */
  byteLengthOf(ptr) {
    return this.words[(ptr >>> 2) - 2]
  }

  /** @returns {number} the bytes that a live block of a class takes */
  strideOf(sizeClass) {
    return this.rows[((sizeClass + 1) << 8) + 2]
  }

  /**
   * The size class to fetch blocks of for a length.
   *
   * @param {number} byteLength bytes
   * @returns {number} -1 when blocks of that length are not kept
   */
  classFor(byteLength) {
    if (byteLength > 32_776 || this.rows === NO_ROWS) return -1
    return (this.rows[32_768 + ((byteLength + 23) >>> 4)] >> 8) - 1
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
