// Large blocks that one thread keeps, up to 36 MiB. They have no size class: a stack has blocks of an eighth of a
// doubling, the length of each stands in its header, and outside the memory in the states behind that of its pointer.

import { Rows } from './rows.js'

const LARGE_HEADS = 3080
// Words of a head, and of that of no class.
const [LIMITS, LONGEST, PUBLISHED, WIDTH, END, MOVED] = [1, 2, 3, 4, 5, 6]
/** In the lower half of the limits, where classes have their stride: a block has been taken, a bit for each of those who look. */
const TAKEN = 3
const [LONG_SPARE, LONG_KEPT] = [6, 7]
const COMMON = 8
const LIVE = -128
/** The states around a live block's pointer as a word: of the grain before it, its own, and the higher two digits. */
const LIVE_WORD = 0x70708000
/** Bytes of the shortest and the longest large blocks that are kept, header included: 32 and 36,863 units. */
const [LEAST_SIZE, MOST_SIZE] = [32_752, 37_747_696]
/** Bytes that may be asked for in a block of 32,767 units. */
const MOST_BYTES = 33_553_384
/** Behind the last head, and from a stack to that of twice the length. */
const [END_OF_HEADS, DOUBLING] = [3728, 64]

// The head of the stack for blocks of so many units, 32 at least: the last one that has none longer than they.
const headFor = (units) => {
  const shift = 28 - Math.clz32(units)
  return LARGE_HEADS + (((shift - 2) << 6) + (((units >>> shift) & 7) << 3))
}

// The whole space of a block, as the states behind that of its pointer have it: four digits of its units, one in each
// byte of a word.
const sizeOf = (digits) => {
  const pairs = (digits & 0x0f0f0f0f) | ((digits & 0x0f0f0f0f) >>> 4)
  return ((((pairs & 0xff00ff) | ((pairs & 0xff00ff) >>> 8)) & 0xffff) << 10) - 16
}

// The units that a block has beyond what its length needs.
const excessOf = (words, header) => (words[header + 1] - 8 - words[header]) >>> 10

// Takes the newest block of those that are everyone's back, where the thread has none of the stack to itself. `published` as it
// was when there was one.
const unpublish = (rows, head, published) => {
  const rest = (published - 65_536) | 0
  if (Atomics.compareExchange(rows, head + PUBLISHED, published, rest) !== published) return false
  rows[head] = (rows[head] - 65_536) | 0
  return true
}

// The newest block of a stack, if it is long enough.
const popFrom = (cache, head, byteLength) => {
  const { words, rows, states, digits } = cache
  const top = rows[head] & 65_535
  const isOwn = top > rows[head] >>> 16
  const published = rows[head + PUBLISHED]
  if (!isOwn && top <= (published & 65_535)) return 0
  const ptr = rows[top - 1] >>> 0
  const size = sizeOf(digits[(ptr >>> 6) + 1])
  const header = (ptr - 8) >>> 2
  // A memory that is not shared and has grown has left these words, or a stray write has met the header.
  if (byteLength > size - 8 || words[header + 1] !== size) return 0
  if (!isOwn && !(rows[head + WIDTH] === 0 ? unpublish(rows, head, published) : cache.lower(head)))
    return 0
  rows[head + LIMITS] |= TAKEN
  rows[head] = (rows[head] - 1) | 0
  // Two threads have freed it at the same time, and it was given out since.
  if (states[ptr >>> 4] !== cache.kept) return 0
  words[header] = byteLength
  cache.excess += excessOf(words, header)
  states[ptr >>> 4] = LIVE
  return ptr
}

/** The large blocks among those that one thread keeps. */
export class LargeCache extends Rows {
  /**
   * Units that blocks which were taken have beyond what they need, less those of blocks that were put in. It is an eighth of the memory at
   * the most, and one block: so a program that keeps a shorter block for each one that it frees does not fill the memory with what it did
   * not ask for. What another thread frees is counted on.
   */
  excess = 0

  /**
   * Takes a large block out of the cache.
   *
   * @param {number} byteLength bytes, 0 or more than a block of a size class has
   * @returns {number} pointer; 0 when there is none that is long enough and not much longer
   */
  popLarge(byteLength) {
    if ((byteLength - 1) >>> 0 >= MOST_BYTES) return 0
    // Most programs ask for what they have just freed; else a block of the next length is long enough.
    const head = headFor((byteLength + 1047) >>> 10)
    return popFrom(this, head, byteLength) || popFrom(this, head + 8, byteLength)
  }

  /**
   * Takes a large block that is up to twice as long out of the cache, unless the heap is short of room for good: where lengths seldom come
   * again, those that wait are of others. As popLarge.
   */
  popLongerLarge(byteLength) {
    if ((byteLength - 1) >>> 0 >= MOST_BYTES || this.isFull) return 0
    // Blocks that others have taken may have been put in.
    this.excess = Math.max(this.excess, 0)
    if (this.excess > this.grains >>> 9) return 0
    const head = headFor((byteLength + 1047) >>> 10)
    const end = Math.min(head + DOUBLING + 8, END_OF_HEADS)
    for (let longer = head + 16; longer < end; longer += 8) {
      const ptr = popFrom(this, longer, byteLength)
      if (ptr !== 0) return ptr
    }
    return 0
  }

  /**
   * Takes one of several large blocks of a length, for a block that grows. It may grow on and then wants room behind it, which those
   * that wait have not; but where they pile up, blocks have grown as far and not further. As popLarge.
   */
  popPiled(byteLength) {
    if (byteLength <= 32_776 || byteLength > MOST_BYTES) return 0
    const { rows } = this
    const head = headFor((byteLength + 1047) >>> 10)
    const count = (rows[head] & 65_535) - (rows[head + PUBLISHED] & 65_535)
    return count < 2 ? 0 : popFrom(this, head, byteLength)
  }

  /**
   * Puts a live large block into the cache.
   *
   * @param {unknown} ptr pointer
   * @returns {boolean} false when there is no room, or it is not plainly such a block
   */
  pushLarge(ptr) {
    const head = this.headOfLarge(ptr)
    if (head === 0) return false
    const { words, rows, states } = this
    if (rows[head + WIDTH] === 0) {
      if (rows[head + MOVED] >= COMMON && rows[head + LONGEST] > rows[LONG_SPARE])
        return this.#publish(head, ptr)
      this.widen(head)
    }
    if (!this.hasRoom(head) && !this.raise(head)) return false
    const own = rows[head]
    const header = (ptr - 8) >>> 2
    this.excess -= excessOf(words, header)
    states[ptr >>> 4] = this.kept
    words[header] = 0
    rows[own & 65_535] = ptr
    rows[head] = (own + 1) | 0
    return true
  }

  // Puts a block where all threads may take it, on a stack of which the thread has none to itself: top and floor go up together,
  // and others only move the bottom. There is no call but to Atomics, which needs less of the stack than those before.
  #publish(head, ptr) {
    const { words, rows, states } = this
    const own = rows[head]
    const top = own & 65_535
    if (top >= rows[head + END]) return false
    const header = (ptr - 8) >>> 2
    this.excess -= excessOf(words, header)
    states[ptr >>> 4] = this.kept
    words[header] = 0
    rows[top] = ptr
    rows[LONG_KEPT] |= 1 << (head >>> 3)
    rows[head] = (own + 65_537) | 0
    Atomics.add(rows, head + PUBLISHED, 65_536)
    return true
  }

  /**
   * Changes the length of a live large block where it is, if that takes as many units as before, or the block has them already.
   *
   * @param {number} ptr pointer
   * @param {number} byteLength bytes
   * @returns {boolean} false when that cannot be done, or is not plain to see: the block is as it was
   */
  resizeLarge(ptr, byteLength) {
    if (byteLength < LEAST_SIZE || this.headOfLarge(ptr) === 0) return false
    const { words } = this
    const header = (ptr - 8) >>> 2
    const room = words[header + 1] - 8
    if (byteLength > room || (byteLength <= room - 1024 && byteLength < words[header])) return false
    this.excess -= excessOf(words, header)
    words[header] = byteLength
    this.excess += excessOf(words, header)
    return true
  }

  /** Units that the block at a pointer has beyond what it needs, if it is plainly a large one. */
  excessAt(ptr) {
    return this.headOfLarge(ptr) === 0 ? 0 : excessOf(this.words, (ptr - 8) >>> 2)
  }

  /** The head of the stack for the large block at a pointer, whose header and what is behind it are whole; 0 on any doubt. */
  headOfLarge(ptr) {
    if (typeof ptr !== 'number' || ptr >>> 0 !== ptr || (ptr & 1023) !== 16) return 0
    const { words, digits } = this
    const at = ptr >>> 6
    if (at >= this.grains >>> 2 || digits[at] !== LIVE_WORD) return 0
    const size = sizeOf(digits[at + 1])
    const header = (ptr - 8) >>> 2
    return size >= LEAST_SIZE &&
      size <= MOST_SIZE &&
      words[header + 1] === size &&
      words[header + 1 + (size >>> 2)] === size &&
      (words[header] - 1) >>> 0 < size - 8
      ? headFor((size + 16) >>> 10)
      : 0
  }
}
