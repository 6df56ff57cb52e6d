// The part of the heap that one thread keeps in JavaScript: for each size class a stack of free blocks, popped and
// pushed without a call into native code. The stacks lie in memory that the native side owns; it fills and empties
// them. Anything that is not plain to see here is left to the native side: nothing is decided on a doubt.
//
// A malloc and a free together are some hundred machine instructions here, provided that the compiler puts all of them
// into the caller's loop. It does so up to a sum of bytecode, so these functions are written to have little of it:
// plain fields, and numbers written out. What they stand for:
//
//   8, 15, 4     bytes of a header; rounds up to the grain of 16 bytes, a shift by 4
//   a state      what the live blocks have for the grain of a pointer: the size class of a live block, from 1 on, less than
//                0 for one that is kept, by class or by process, -128 for a large one, and others
//   a head       8 words for each size class, numbered as in rows.js; in that of class 0 other ones
//   1024         the word with the head that serves blocks of 0 bytes, header included; then 16 bytes, and so on
//   32           grains of the largest blocks whose class has their number
//   32_776       bytes of the largest request that is served from here
//
// Between the first and the last write of a method there is no loop and no call but to Atomics: so a thread is never
// terminated there. Only realloc copies between taking a block and giving one back: of a thread that is terminated there both
// are live.

import { LargeCache } from './large-cache.js'

/** Bytes from which on classes lie so close that a longer one wastes little. */
const LEAST_SERVED_LONGER = 512

/** The head of the size class of the live block at a pointer, whose header and the next one are whole; 0 on any doubt. */
const headOf = ({ words, rows, states, grains }, ptr) => {
  if (typeof ptr !== 'number' || ptr >>> 0 !== ptr || (ptr & 15) !== 0) return 0
  const grain = ptr >>> 4
  if (grain >= grains) return 0
  const state = states[grain]
  if (state <= 0) return 0
  const head = (state & 127) << 3
  const stride = rows[head | 1] & 65_535
  const header = (ptr - 8) >>> 2
  return words[header + 1] === stride &&
    words[header + 1 + (stride >>> 2)] === stride &&
    (words[header] - 1) >>> 0 < stride - 8
    ? head
    : 0
}

const makeClass = (kept, classBits) =>
  class ThreadCache extends LargeCache {
    kept = kept

    /**
     * Takes a block out of the cache. A large one is taken from here, too: what was asked before it would be asked again, and
     * a loop that takes small ones would have all of that in it.
     *
     * Whoever has the words, rows and states at hand gives them: a malloc that finds them early is faster.
     *
     * @param {unknown} byteLength bytes
     * @returns {number} pointer; 0 when there is no block of that class, or no such length
     */
    pop(
      byteLength,
      words = this.words,
      rows = this.rows,
      states = this.states,
      lasting = this.lasting,
    ) {
      if (typeof byteLength !== 'number' || byteLength >>> 0 !== byteLength) return 0
      if ((byteLength - 1) >>> 0 >= 32_776) return this.popLarge(byteLength)
      const size = (byteLength + 23) >>> 4
      // Guessed right, a comparison costs no time; the next line would wait for a word out of a table.
      const head = size <= 32 ? size << 3 : rows[1024 + size] & 1016
      const own = rows[head]
      const top = own & 65_535
      if (top <= own >>> 16) return 0
      const ptr = rows[top - 1] >>> 0
      const grain = ptr >>> 4
      // A memory that is not shared and has grown has left these words; in a file it may be longer than its states.
      if (grain >= lasting && (grain >= this.grains || grain >= words.length >>> 2)) return 0
      rows[head] = own - 1
      const state = head >>> 3
      // Two threads have freed it at the same time, and it was given out since, or another block lies there.
      if (states[grain] !== (kept ^ (state & classBits))) return 0
      words[(ptr - 8) >>> 2] = byteLength
      states[grain] = state
      return ptr
    }

    /**
     * Puts a live block into the cache. As pop, with what is at hand.
     *
     * @param {unknown} ptr pointer
     * @returns {boolean} false when its class is at its limit, or it is not plainly a live block
     */
    push(ptr, words = this.words, rows = this.rows, states = this.states, lasting = this.lasting) {
      // What headOf asks for, and by itself: the compiler does not see that an answer of it is not 0.
      if (typeof ptr !== 'number' || ptr >>> 0 !== ptr || (ptr & 15) !== 0) return false
      const grain = ptr >>> 4
      if (grain >= lasting && grain >= this.grains) return false
      const state = states[grain]
      if (state <= 0) return this.pushLarge(ptr)
      const head = (state & 127) << 3
      const limits = rows[head | 1]
      const stride = limits & 65_535
      const header = (ptr - 8) >>> 2
      if (words[header + 1] !== stride || words[header + 1 + (stride >>> 2)] !== stride)
        return false
      const byteLength = words[header]
      // Negative when it is not from 1 to what fits.
      if (((byteLength - 1) | (stride - 8 - byteLength)) < 0) return false
      const own = rows[head]
      const top = own & 65_535
      if (top >= limits >>> 16) return false
      states[grain] = kept ^ (state & classBits)
      words[header] = 0
      rows[top] = ptr
      rows[head] = own + 1
      return true
    }

    /** Takes a block that is not large. As pop. */
    popSmall(byteLength) {
      return byteLength <= 32_776 ? this.pop(byteLength) : 0
    }

    /** Puts a block into the cache, whatever way there is. As push. */
    keep(ptr) {
      return this.push(ptr) || this.pushNewer(ptr)
    }

    /** Takes a block out of the part of the cache that all threads may take. As pop. */
    popOlder(byteLength) {
      if (typeof byteLength !== 'number' || byteLength >>> 0 !== byteLength) return 0
      if ((byteLength - 1) >>> 0 >= 32_776) return 0
      return this.lower(this.rows[1024 + ((byteLength + 23) >>> 4)]) ? this.pop(byteLength) : 0
    }

    /**
     * Takes a longer block: a large one as popLongerLarge, another one of one of the next four classes, up to 37 % longer, where the
     * heap is short of room: what is fetched else would have to be taken from other classes, and be fetched for them again. As pop.
     */
    popLonger(byteLength) {
      if (typeof byteLength !== 'number' || byteLength >>> 0 !== byteLength) return 0
      if (byteLength > 32_776) return this.popLongerLarge(byteLength)
      if (!this.isShort || byteLength < LEAST_SERVED_LONGER) return 0
      const { rows } = this
      const head = rows[1024 + ((byteLength + 23) >>> 4)]
      for (let longer = head + 8; longer <= head + 32; longer += 8) {
        const ptr = this.popFrom(rows[longer + 2] - 8, byteLength)
        if (ptr !== 0) return ptr
      }
      return 0
    }

    /** Takes a block of the class that serves `servedLength` bytes, for `byteLength`, which are no more. As pop. */
    popFrom(servedLength, byteLength) {
      const ptr = this.pop(servedLength) || this.popOlder(servedLength)
      if (ptr !== 0) this.words[(ptr - 8) >>> 2] = byteLength
      return ptr
    }

    /** Puts a live block into the cache, and older ones into the part that all threads may take. As push. */
    pushNewer(ptr) {
      const head = headOf(this, ptr)
      return head !== 0 && this.raise(head) && this.push(ptr)
    }

    /**
     * Changes the length of a live block: where it is, if it stays well used, else by a move within the cache.
     *
     * @param {unknown} ptr pointer
     * @param {unknown} byteLength bytes
     * @param {import('../pages/bulk.js').Bulk} [bulk] what copies more than 512 bytes: without it a block of more stays where it is
     * @param {Uint8Array} [u8] the whole memory, for it
     * @returns {number} pointer; 0 when that cannot be done, or is not plain to see: the block is as it was
     */
    realloc(ptr, byteLength, bulk, u8) {
      if (typeof byteLength !== 'number' || byteLength >>> 0 !== byteLength) return 0
      if ((byteLength - 1) >>> 0 >= 32_776) return 0
      const { words, rows, states } = this
      const head = headOf(this, ptr)
      if (head === 0) return 0
      const room = (rows[head + 1] & 65_535) - 8
      const from = ptr >>> 2
      const before = words[from - 2]
      const isUsedWell = byteLength >= room >>> 1 || rows[1024 + ((byteLength + 23) >>> 4)] === head
      if (byteLength <= room && isUsedWell) {
        words[from - 2] = byteLength
        return ptr
      }
      const count = ((before < byteLength ? before : byteLength) + 3) >>> 2
      if (count > 128 && bulk === undefined) return 0
      if (!this.hasRoom(head) && !this.raise(head)) return 0
      const moved = this.pop(byteLength) || this.popOlder(byteLength)
      if (moved === 0) return 0
      const to = moved >>> 2
      try {
        if (count > 128) bulk.memcpy(u8, moved, ptr, count << 2)
        else {
          // Every block has an even number of words.
          for (let word = 0; word < count; word += 2) {
            words[to + word] = words[from + word]
            words[to + word + 1] = words[from + word + 1]
          }
        }
      } catch (error) {
        // The engine looks for the end of the stack in loops, too, now and then. The new block goes back without a loop or a
        // call, which would fail as well.
        const row = rows[1024 + ((byteLength + 23) >>> 4)] & 1016
        const own = rows[row]
        states[moved >>> 4] = kept ^ ((row >>> 3) & classBits)
        words[to - 2] = 0
        rows[own & 65_535] = moved
        rows[row] = own + 1
        throw error
      }
      // There is no call from here on.
      const own = rows[head]
      states[ptr >>> 4] = kept ^ ((head >>> 3) & classBits)
      words[from - 2] = 0
      rows[own & 65_535] = ptr
      rows[head] = own + 1
      return moved
    }

    /** Whether it is plain to see that a pointer is that of a live block of a size class. */
    isSmall(ptr) {
      return headOf(this, ptr) !== 0
    }

    /** @returns {number} the bytes that were asked for in such a block */
    byteLengthOf(ptr) {
      return this.words[(ptr >>> 2) - 2]
    }

    /** @returns {number} the bytes that such a block takes */
    bufferSizeOf(ptr) {
      return this.words[(ptr >>> 2) - 1]
    }

    /** @returns {number} the head of the stack that the live block at a pointer goes to, for the native side; 0 when there is none */
    headFor(ptr) {
      return headOf(this, ptr) || this.headOfLarge(ptr)
    }

    /** @returns {number} the head of the class for a length, for the native side; 0 when blocks of that length have none */
    headForLength(byteLength) {
      return byteLength <= 32_776 && this.isOpen ? this.rows[1024 + ((byteLength + 23) >>> 4)] : 0
    }
  }

/** Those that were made, by the two numbers that are constants of their code. */
const classes = new Map()

/**
 * The class of the free blocks that one thread keeps. The state of a block that is kept is a constant of its code, but for the
 * block's class: read from a field, it costs a thirtieth of a malloc and a free.
 *
 * @param {number} kept the state of a block that is kept: another one in each process that has the heap, -1 where one has it to itself
 * @param {number} classBits the bits of it that tell the block's class: none of them where several processes have the heap
 * @returns {new (changed?: (cache: LargeCache) => void) => LargeCache}
 */
export const threadCacheFor = (kept, classBits) => {
  const key = `${kept} ${classBits}`
  if (!classes.has(key)) classes.set(key, makeClass(kept, classBits))
  return classes.get(key)
}
