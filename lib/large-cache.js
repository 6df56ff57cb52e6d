// Large blocks that one thread keeps, up to some 1.1 MiB. They have no size class: a stack has blocks of an eighth of a
// doubling, the length of each stands in its header, and outside the memory in the states behind that of its pointer.

import { Stacks } from './stacks.js'

const LARGE_HEADS = 3080
const LIVE = -128

// The head of the stack for blocks of so many units, 32 at least: the last one that has none longer than they.
const headFor = (units) => {
  const shift = 28 - Math.clz32(units)
  return LARGE_HEADS + (((shift - 2) << 6) + (((units >>> shift) & 7) << 3))
}

// The whole space of a block, as the states behind that of its pointer have it.
const sizeOf = (states, ptr) => {
  const grain = ptr >>> 4
  let grains = 0
  for (let digit = 7; digit > 0; digit--) grains = (grains << 4) | (states[grain + digit] & 15)
  return grains * 16
}

/** The large blocks among those that one thread keeps. */
export class LargeCache extends Stacks {
  /**
   * Takes a large block out of the cache.
   *
   * @param {number} byteLength bytes, more than a block of a size class has
   * @returns {number} pointer; 0 when there is none that is long enough and not much longer
   */
  popLarge(byteLength) {
    const units = Math.ceil((byteLength + 24) / 1024)
    if (units > 1023) return 0
    // Most programs ask for what they have just freed; else a block of the next length is long enough.
    const head = headFor(units)
    return this.#popFrom(head, byteLength) || this.#popFrom(head + 8, byteLength)
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
    if (rows[head] >= rows[head + 2] && !this.raise(head)) return false
    const top = rows[head]
    states[ptr >>> 4] = this.kept
    words[(ptr - 8) >>> 2] = 0
    rows[top] = ptr
    rows[head] = top + 1
    return true
  }

  /** The head of the stack for the large block at a pointer, whose header and what is behind it are whole; 0 on any doubt. */
  headOfLarge(ptr) {
    if (typeof ptr !== 'number' || ptr >>> 0 !== ptr || (ptr & 1023) !== 16) return 0
    const { words, states } = this
    if (ptr >>> 4 >= states.length || states[ptr >>> 4] !== LIVE) return 0
    const size = sizeOf(states, ptr)
    const units = (size + 16) / 1024
    const header = (ptr - 8) >>> 2
    return units >= 32 &&
      units <= 1151 &&
      words[header + 1] === size &&
      words[header + 1 + (size >>> 2)] === size &&
      (words[header] - 1) >>> 0 < size - 8
      ? headFor(units)
      : 0
  }

  #popFrom(head, byteLength) {
    const { words, rows, states } = this
    if (rows[head] <= rows[head + 1] && !this.lower(head)) return 0
    const top = rows[head] - 1
    const ptr = rows[top] >>> 0
    const header = (ptr - 8) >>> 2
    const size = sizeOf(states, ptr)
    // A memory that is not shared and has grown has left these words, a stray write has met the header, or it is too short.
    if (words[header + 1] !== size || byteLength > size - 8) return 0
    rows[head] = top
    // Two threads have freed it at the same time, and it was given out since.
    if (states[ptr >>> 4] !== this.kept) return 0
    words[header] = byteLength
    states[ptr >>> 4] = LIVE
    return ptr
  }
}
