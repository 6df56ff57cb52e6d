// The part of the heap that one thread keeps in JavaScript: for each size class a stack of free blocks, popped and
// pushed without a call into native code. The stacks lie in memory that the native side owns; it fills and empties
// them. Anything that is not plain to see here is left to the native side: nothing is decided on a doubt.

import binding from '../binding.cjs'
import { MAX_BYTES } from './errors.js'

const { bySize: CLASS_BY_SIZE, count: CLASSES, rowWords } = binding.sizeClasses()

const HEADER = 8
const GRAIN_SHIFT = 4
const ROW_SHIFT = Math.log2(rowWords)
const LARGEST = (CLASS_BY_SIZE.length - 1) * 16 - HEADER
/** Classes above this serve larger alignments only and are not kept. */
const LAST_CLASS = CLASS_BY_SIZE.at(-1)

// A row: how many blocks, how many at most, bytes from block to block, bytes from a span's start to its first pointer,
// what to multiply grains of 16 bytes by to divide them by the stride, the blocks.
const LIMIT = 1
const STRIDE = 2
const OFFSET = 3
const RECIPROCAL = 4
const FIRST = 5
const RECIPROCAL_SHIFT = 20

// The map word of a unit of 4 KiB that belongs to a span: kind in bits 0-3, class in bits 4-11, place in the span above.
const KIND = 0xf
const SPAN = 1
const CLASS_SHIFT = 4
const CLASS = 0xff
const BACK_SHIFT = 12
const UNIT = 4096
const UNIT_SHIFT = 12
const PAGE_SHIFT = 16
const PAGES = 65_536

const NO_WORDS = new Uint32Array(0)
const NO_ROWS = new Uint32Array(CLASSES << ROW_SHIFT)
const NO_ORIGINS = new Int32Array(0)

/** The free blocks that one thread keeps for itself. */
export class ThreadCache {
  #words = NO_WORDS
  #rows = NO_ROWS
  // For each page, the word index at which the map word of unit 0 would be; 0 where that is not known.
  #origins = NO_ORIGINS

  /**
   * Uses the native side's rows instead of empty ones that hold nothing.
   *
   * @param {ArrayBuffer} buffer
   */
  open(buffer) {
    this.#rows = new Uint32Array(buffer)
    this.#origins = new Int32Array(PAGES)
  }

  /**
   * @param {Uint32Array} words the whole memory, as long as the native side knows it
   */
  refresh(words) {
    this.#words = words
  }

  /**
   * Takes a block out of the cache.
   *
   * @param {unknown} byteLength bytes
   * @returns {number} pointer; 0 when there is no block of that class, or no such length
   */
  pop(byteLength) {
    if (!(Number.isInteger(byteLength) && byteLength > 0 && byteLength <= LARGEST)) return 0
    const rows = this.#rows
    const row = CLASS_BY_SIZE[(byteLength + HEADER + 15) >>> GRAIN_SHIFT] << ROW_SHIFT
    const count = rows[row]
    if (count === 0) return 0
    const words = this.#words
    const ptr = rows[row + FIRST - 1 + count]
    const header = (ptr - HEADER) >>> 2
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
    const row = this.#rowOf(ptr)
    if (row < 0) return false
    const rows = this.#rows
    const count = rows[row]
    if (count >= rows[row + LIMIT]) return false
    this.#words[(ptr - HEADER) >>> 2] = 0
    rows[row + FIRST + count] = ptr
    rows[row] = count + 1
    return true
  }

  /**
   * The size class of the live block at a pointer, seen by its span and both headers.
   *
   * @param {unknown} ptr pointer
   * @returns {number} -1 when that is not plain to see, or it is no pointer
   */
  classOf(ptr) {
    return this.#rowOf(ptr) >> ROW_SHIFT
  }

  #rowOf(ptr) {
    const words = this.#words
    if (!(Number.isInteger(ptr) && ptr > 0 && ptr <= MAX_BYTES)) return -1
    const header = (ptr - HEADER) >>> 2
    if (header >= words.length) return -1
    const origin = this.#origins[ptr >>> PAGE_SHIFT]
    if (origin === 0) return -1
    const unit = ptr >>> UNIT_SHIFT
    const kind = words[origin + unit]
    if ((kind & KIND) !== SPAN) return -1
    const rows = this.#rows
    const row = ((kind >>> CLASS_SHIFT) & CLASS) << ROW_SHIFT
    const stride = rows[row + STRIDE]
    const distance = ptr - (unit - (kind >>> BACK_SHIFT)) * UNIT - rows[row + OFFSET]
    const slot = Math.imul(distance >>> GRAIN_SHIFT, rows[row + RECIPROCAL]) >>> RECIPROCAL_SHIFT
    const sound =
      distance === Math.imul(slot, stride) &&
      (words[header] - 1) >>> 0 < stride - HEADER &&
      words[header + 1] === stride &&
      words[header + 1 + (stride >>> 2)] === stride
    return sound ? row : -1
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
    const room = this.strideOf(sizeClass) - HEADER
    if (byteLength > room || byteLength < room >>> 1) return false
    this.#words[(ptr - HEADER) >>> 2] = byteLength
    return true
  }

  /** @returns {number} the bytes that were asked for in a live block that classOf knows */
  byteLengthOf(ptr) {
    return this.#words[(ptr - HEADER) >>> 2]
  }

  /** @returns {number} the bytes that a live block of a class takes */
  strideOf(sizeClass) {
    return this.#rows[(sizeClass << ROW_SHIFT) + STRIDE]
  }

  /**
   * The size class to fetch blocks of for a length.
   *
   * @param {number} byteLength bytes
   * @returns {number} -1 when blocks of that length are not kept
   */
  classFor(byteLength) {
    if (byteLength > LARGEST || this.#rows === NO_ROWS) return -1
    return CLASS_BY_SIZE[(byteLength + HEADER + 15) >>> GRAIN_SHIFT]
  }

  /** Whether blocks of a class are kept. */
  keeps(sizeClass) {
    return sizeClass >= 0 && sizeClass <= LAST_CLASS && this.#rows !== NO_ROWS
  }

  /** Whether the map words of a pointer's page are known. */
  knows(ptr) {
    return this.#origins[ptr >>> PAGE_SHIFT] !== 0
  }

  /**
   * @param {number} ptr a pointer into the page
   * @param {number} origin what the native side says
   */
  learn(ptr, origin) {
    this.#origins[ptr >>> PAGE_SHIFT] = origin
  }
}
