// The part of the heap that one thread keeps in JavaScript: for each size class a stack of free blocks, popped and
// pushed without a call into native code. The stacks lie in memory that the native side owns; it fills and empties
// them. Anything that is not plain to see here is left to the native side: nothing is decided on a doubt.
//
// A malloc and a free together are some hundred machine instructions here, provided that the compiler puts all of them
// into the caller's loop. It does so up to a sum of bytecode, so these functions are written to have little of it:
// plain fields, and numbers written out. What they stand for:
//
//   8, 15, 4     bytes of a header; rounds up to the grain of 16 bytes, a shift by 4
//   16, 12       shifts from bytes to pages and to units of 4 KiB
//   a row        word 0: how many blocks, 1: how many at most, 2: the stride, bytes from block to block, 3: bytes from
//                a span's start to its first pointer, 4: what to multiply grains by to divide them by the stride
//                (then shift by 20), from 5: the blocks; 256 words
//   26_880       the word of the origin of page 0, after the rows
//   92_416       the word of the row that serves blocks of 0 bytes, header included; then 16 bytes, and so on
//   32_776       bytes of the largest request that is served from here
//   a map word   kind in bits 0-3 (1: a span), class in bits 4-11, the unit's place in its span above

import binding from './binding.js'

const layout = binding.cacheLayout()
if (
  layout.rowWords !== 256 ||
  layout.origins !== 26_880 ||
  layout.classes !== 92_416 ||
  layout.largest !== 32_784 ||
  layout.words !== 94_466
) {
  throw new Error('The native addon is of another version: build it again')
}

const NO_WORDS = new Int32Array(0)
/** Rows without blocks, for a heap that is not open. */
const NO_ROWS = new Int32Array(layout.words)

/** The row of the size class of the live block at a pointer, seen by its span and both headers; -1 on any doubt. */
const rowOf = (words, rows, ptr) => {
  if (typeof ptr !== 'number' || ptr >>> 0 !== ptr) return -1
  const header = (ptr - 8) >>> 2
  if (header >= words.length) return -1
  const origin = rows[26_880 + (ptr >>> 16)]
  if (origin === 0) return -1
  const unit = ptr >>> 12
  const kind = words[(origin + unit) | 0]
  if ((kind & 15) !== 1) return -1
  const row = (kind & 0xff0) << 4
  const stride = rows[row + 2]
  const distance = (ptr - ((unit - (kind >>> 12)) << 12) - rows[row + 3]) | 0
  if (
    Math.imul(Math.imul(distance >>> 4, rows[row + 4]) >>> 20, stride) !== distance ||
    (words[header] - 1) >>> 0 >= stride - 8 ||
    words[header + 1] !== stride ||
    words[header + 1 + (stride >>> 2)] !== stride
  ) {
    return -1
  }
  return row
}

/** The free blocks that one thread keeps for itself. */
export class ThreadCache {
  /** The whole memory. */
  words = NO_WORDS
  /** The rows and tables, as src/cache.rs lays them out. */
  rows = NO_ROWS

  /** @param {ArrayBuffer} buffer the native side's words */
  open(buffer) {
    this.rows = new Int32Array(buffer)
  }

  /** @param {Int32Array} words the whole memory, as long as the native side knows it */
  refresh(words) {
    this.words = words
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
    const { words, rows } = this
    const row = rows[92_416 + ((byteLength + 23) >>> 4)]
    const count = rows[row]
    if (count === 0) return 0
    const ptr = rows[row + 4 + count] >>> 0
    const header = (ptr - 8) >>> 2
    if (header >= words.length) return 0
    words[header] = byteLength
    rows[row] = count - 1
    return ptr
  }

  /**
   * Puts a live block into the cache.
   *
   * @param {unknown} ptr pointer
   * @returns {boolean} false when its class is at its limit, or it is not plainly a live block
   */
  push(ptr) {
    const { words, rows } = this
    const row = rowOf(words, rows, ptr)
    if (row < 0) return false
    const count = rows[row]
    if (count >= rows[row + 1]) return false
    words[(ptr - 8) >>> 2] = 0
    rows[row + 5 + count] = ptr
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
    return rowOf(this.words, this.rows, ptr) >> 8
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
    this.words[(ptr - 8) >>> 2] = byteLength
    return true
  }

  /** @returns {number} the bytes that were asked for in a live block that classOf knows */
  byteLengthOf(ptr) {
    return this.words[(ptr - 8) >>> 2]
  }

  /** @returns {number} the bytes that a live block of a class takes */
  strideOf(sizeClass) {
    return this.rows[(sizeClass << 8) + 2]
  }

  /**
   * The size class to fetch blocks of for a length.
   *
   * @param {number} byteLength bytes
   * @returns {number} -1 when blocks of that length are not kept
   */
  classFor(byteLength) {
    if (byteLength > 32_776 || this.rows === NO_ROWS) return -1
    return this.rows[92_416 + ((byteLength + 23) >>> 4)] >> 8
  }

  /** Whether blocks of a class are kept: those that the default alignment uses. */
  keeps(sizeClass) {
    return sizeClass >= 0 && sizeClass <= this.classFor(32_776)
  }

  /** Whether the blocks of a pointer's page can be told. */
  knows(ptr) {
    return this.rows === NO_ROWS || this.rows[26_880 + (ptr >>> 16)] !== 0
  }
}
