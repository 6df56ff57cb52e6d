// The bytes of a channel: a ring of records, one for each message, between two ends. Senders move the one end, under a lock of
// their own, receivers the other, under another; so a sender and a receiver never wait for each other.
//
// An end is moved by one store, after all else. A thread that is terminated before that store has sent, or received,
// nothing; after it, all. So nobody has anything to repair for it, and the locks are simply taken over.
//
// A record begins at a multiple of 8 bytes with two words: the bytes of its message, and what it is, see DROPPED. Messages are
// not cut in two: what is left behind the last one that fits before the ring's end is a record without a message.
//
// An end is where the next record begins, in the low bits of its word, and how often the ring was gone through, in the bits above
// them: so one that was read a while ago is not taken for the present one. Where records begin leaves three bits free. One says
// that the channel is closed, so whoever sleeps on an end wakes up for that too; another that someone sleeps, or is going
// to: who moves the end finds it in the same step, and wakes nobody in vain.
//
// Each side notes how far it has last seen the other one, next to its own end, and looks again only when that is not enough: as
// long as messages wait and there is room, senders and receivers do not take each other's cache line away.
//
// A long message that finds the ring empty goes to its beginning: what was used a moment ago is still in the processor's cache, and
// of a large ring the rest is not.
//
// Nothing that is read here is believed: other code of the process may have written over it.

import { heapCorrupted, isOutOfStack } from '../../lib/base/errors.js'
import { isAlive, SELF } from '../liveness.js'
import { wake } from '../waiting.js'

// Words of the structure's block. What senders write lies apart from what receivers write, so far that neither is fetched with
// the other.
/** The senders' lock, the end behind the newest record, and the other end as they last saw it. */
export const SENDING = 16
export const TAIL = 17
const HEAD_SEEN = 18
/** The receivers' lock, the end at the oldest record, and the other end as they last saw it. */
export const RECEIVING = 32
export const HEAD = 33
const TAIL_SEEN = 34
/** The first word of the ring, which goes on to the end of the block. */
export const RING = 48

/** Bytes before each message. */
export const RECORD_HEADER = 8
const WORD = 4
/** In an end: nothing can be sent any more; someone sleeps on it. */
const CLOSED = 1
const AWAITED = 2
const FLAGS = CLOSED | AWAITED
/** Bytes from which on a record is a long one. */
const LONG = 2 ** 15
/** Bits of an end, which is never negative. */
const END_BITS = 31

/**
 * What a record is, in its second word: one of the codec's tags, from 1 to 15; this, when there is no message in it; or minus the
 * token of the thread that is going to fill it.
 */
const DROPPED = 16

/** @returns {number} the bytes that a message of so many takes */
export const recordBytes = (byteLength) => RECORD_HEADER + ((byteLength + 7) & ~7)

const damaged = () => heapCorrupted('The records of the channel were written over')

/** A channel's ring, as one thread has it. */
export class Ring {
  #words
  #bytes
  /** The bits of an end that say where a record begins; a mask of them; and one of those above, once shifted down. */
  #offsetBits
  #offsets
  #laps
  /** Bytes before the record that there is room for, which go by together with it. */
  #skipped = 0

  /** What `find` has found: the index of a record's first word, the bytes of its message, and its tag. */
  at = 0
  byteLength = 0
  tag = 0
  /** Where there is no message, or no room: the word that changes when there may be, and what it holds until then. */
  awaited = TAIL
  value = 0

  /** @param {Int32Array} words the structure's block */
  constructor(words) {
    this.#words = words
    this.#bytes = (words.length - RING) * WORD
    this.#offsetBits = 32 - Math.clz32(this.#bytes - 1)
    this.#offsets = 2 ** this.#offsetBits - 1
    this.#laps = 2 ** (END_BITS - this.#offsetBits) - 1
  }

  /** Whether what is awaited is that this thread fills a record. Ends are not negative. */
  get isOwn() {
    return this.value === -SELF
  }

  /** Whether nothing could be sent any more when TAIL had a value. */
  isClosedAt(value) {
    return (value & CLOSED) !== 0
  }

  /** Whether nothing can be sent any more. The caller has the senders' lock. */
  get isClosed() {
    return this.isClosedAt(this.#words[TAIL])
  }

  /** The bytes of all records. The caller has the receivers' lock. */
  get usedBytes() {
    return this.#between(this.#words[HEAD], Atomics.load(this.#words, TAIL))
  }

  #offset(end) {
    const offset = end & this.#offsets & ~FLAGS
    if (end < 0 || offset >= this.#bytes || (offset & 7) !== 0) throw damaged()
    return offset
  }

  #between(head, tail) {
    const laps = ((tail >>> this.#offsetBits) - (head >>> this.#offsetBits)) & this.#laps
    const used = laps * this.#bytes + this.#offset(tail) - this.#offset(head)
    if (laps > 1 || used < 0 || used > this.#bytes) throw damaged()
    return used
  }

  // What is added to an end when records of so many bytes, none of which the ring's end cuts, have gone by.
  #step(end, size) {
    const beyond = this.#offset(end) + size - this.#bytes
    if (beyond < 0) return size
    const lap = (end >>> this.#offsetBits) + 1
    return ((lap & this.#laps) << this.#offsetBits) + beyond - (end & ~FLAGS)
  }

  /** Moves an end, whose lock the caller has. Returns whether someone sleeps on it. */
  #move(which, size) {
    const words = this.#words
    return (Atomics.add(words, which, this.#step(words[which], size)) & AWAITED) !== 0
  }

  // Whoever is going to sleep on the end as it was finds it changed; whoever says so now sets the mark anew, or is woken.
  #wake(which) {
    Atomics.and(this.#words, which, ~AWAITED)
    wake(this.#words, which)
  }

  // One receiver for each record: of many that are woken for one message all but one wake up in vain. The mark stays until nobody
  // sleeps any more.
  #moveTail(size) {
    if (this.#move(TAIL, size) && wake(this.#words, TAIL, 1) === 0) this.#wake(TAIL)
  }

  #write(at, byteLength, state) {
    this.#words[at] = byteLength
    this.#words[at + 1] = state
  }

  /** Says that this thread is going to sleep on `awaited` while that holds `value`, in which the mark is from now on. */
  announce() {
    if (this.awaited !== TAIL && this.awaited !== HEAD) return
    const { value } = this
    this.value |= AWAITED
    Atomics.compareExchange(this.#words, this.awaited, value, this.value)
  }

  /**
   * Looks for room for a record: notes where in `at`. The caller has the senders' lock.
   *
   * @param {number} byteLength bytes of the message
   * @returns {boolean} false when there is no room before `awaited` has changed from `value`
   * @throws {Error} ERR_HEAP_CORRUPTED
   */
  findRoom(byteLength) {
    const size = recordBytes(byteLength)
    this.#skipped = 0
    if (size >= LONG && this.#isFreeBefore(size)) return this.#restart()
    if (this.#fits(size)) return true
    this.#lookAtHead()
    return this.#fits(size)
  }

  #lookAtHead() {
    this.#await(HEAD, Atomics.load(this.#words, HEAD))
    this.#words[HEAD_SEEN] = this.value
  }

  // Whether all is free, and so many bytes lie before the end. Nobody can add a record meanwhile.
  #isFreeBefore(size) {
    const tail = this.#words[TAIL]
    if (this.#offset(tail) < size) return false
    this.#lookAtHead()
    return this.#between(this.value, tail) === 0
  }

  #restart() {
    this.#skipped = this.#passOver(this.#offset(this.#words[TAIL]))
    this.at = RING
    return true
  }

  /** Makes a record without a message of what is left of the ring; returns its bytes. */
  #passOver(offset) {
    const rest = this.#bytes - offset
    this.#write(RING + offset / WORD, rest - RECORD_HEADER, DROPPED)
    return rest
  }

  #fits(size) {
    const tail = this.#words[TAIL]
    const free = this.#bytes - this.#between(this.#words[HEAD_SEEN], tail)
    const offset = this.#offset(tail)
    const rest = this.#bytes - offset
    this.at = RING + (size <= rest ? offset / WORD : 0)
    if (size <= rest) return size <= free
    if (rest + size > free && free < this.#bytes) return false
    // The record begins at the ring's beginning: what is left before that is passed over first.
    this.#moveTail(this.#passOver(offset))
    return rest + size <= free
  }

  /**
   * Sends what was written where findRoom found room. The caller has the senders' lock.
   *
   * @param {number} byteLength bytes of the message
   * @param {number} state its tag, or minus the token of this thread, which is going to fill it
   */
  publish(byteLength, state) {
    this.#write(this.at, byteLength, state)
    this.#moveTail(this.#skipped + recordBytes(byteLength))
  }

  /** Says what a record is that this thread has filled, and wakes who waits for it; without a tag it is dropped. */
  settle(at, tag = DROPPED) {
    Atomics.store(this.#words, at + 1, tag)
    // From here on the record may be another's: whoever calls must not have to do it again.
    try {
      wake(this.#words, at + 1)
    } catch {
      // The stack is at its end. Who waits looks around after a slice.
    }
  }

  /**
   * Finds the oldest message, and takes records without one away on the way. The caller has the receivers' lock.
   *
   * @returns {boolean} false when there is none before `awaited` has changed from `value`
   * @throws {Error} ERR_HEAP_CORRUPTED
   */
  find() {
    for (;;) {
      const used = this.#used()
      if (used === 0) return false
      const state = this.#read(used)
      if (state > 0 && state < DROPPED) return true
      if (state < 0 && (state === -SELF || isAlive(-state))) return this.#await(this.at + 1, state)
      if (state > DROPPED || state === 0) throw damaged()
      this.remove()
    }
  }

  // The bytes of records that are known to be there.
  #used() {
    const words = this.#words
    const used = this.#between(words[HEAD], words[TAIL_SEEN])
    if (used > 0) return used
    this.#await(TAIL, Atomics.load(words, TAIL))
    words[TAIL_SEEN] = this.value
    return this.#between(words[HEAD], this.value)
  }

  #await(word, value) {
    this.awaited = word
    this.value = value
    return false
  }

  #read(used) {
    const offset = this.#offset(this.#words[HEAD])
    this.at = RING + offset / WORD
    this.byteLength = this.#words[this.at]
    this.tag = Atomics.load(this.#words, this.at + 1)
    const most = Math.min(used, this.#bytes - offset)
    if (this.byteLength < 0 || this.byteLength > most - RECORD_HEADER) throw damaged()
    return this.tag
  }

  /**
   * Takes the record away that was found. The caller has the receivers' lock. Senders sleep on until half of the ring is free:
   * they would wake up, send one message and fall asleep again.
   */
  remove() {
    if (this.#move(HEAD, recordBytes(this.byteLength))) this.#wakeSenders()
  }

  // The record is gone: what was read of it must get to the caller.
  #wakeSenders() {
    try {
      if (2 * this.usedBytes <= this.#bytes) this.#wake(HEAD)
    } catch (error) {
      // At the end of the stack nobody is woken: who waits looks around after a slice.
      if (!isOutOfStack(error)) throw error
    }
  }

  /** Closes one end. No lock is needed for HEAD, where that only wakes who waits for room; that of the senders for TAIL. */
  close(which) {
    Atomics.or(this.#words, which, CLOSED)
    wake(this.#words, which)
  }
}
