// The bytes of a channel: a ring of records, one for each message, between two ends. Senders move the one end, under a lock of
// their own, receivers the other, under another; so a sender and a receiver never wait for each other.
//
// An end is moved by one store, after all else. A thread that is terminated before that store has sent, or received,
// nothing; after it, all. So nobody has anything to repair for it, and the locks are simply taken over.
//
// A record begins at a multiple of 8 bytes with two words: the bytes of its message, and what it is, see DROPPED. Messages are
// not cut in two: what is left behind the last one that fits before the ring's end is a record without a message.
//
// An end counts the bytes that have gone by, up to the largest multiple of the ring's that a word holds, from where it begins
// anew: so one that was read a while ago is not taken for the present one. It is a multiple of 8, plus 1 once the
// channel is closed: whoever sleeps on an end wakes up for that too.
//
// Nothing that is read here is believed: other code of the process may have written over it.

import { heapCorrupted } from '../../lib/errors.js'
import { isAlive, SELF } from '../liveness.js'

// Words of the structure's block. What senders write lies apart from what receivers write.
/** The senders' lock, the end behind the newest record, and on whose account receivers sleep there. */
export const SENDING = 16
export const TAIL = 17
const TAIL_AWAITED = 48
/** The receivers' lock, the end at the oldest record, and on whose account senders sleep there. */
export const RECEIVING = 32
export const HEAD = 33
const HEAD_AWAITED = 49
/** The first word of the ring, which goes on to the end of the block. */
export const RING = 64

/** Bytes before each message. */
export const RECORD_HEADER = 8
const WORD = 4
const CLOSED = 1
const MOST = 2 ** 31 - 8

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
  #cycle

  /** What `find` has found: the index of a record's first word, the bytes of its message, and its tag. */
  at = 0
  byteLength = 0
  tag = 0
  /** Where there is no message: the word that changes when there may be one, and what it holds until then. */
  awaited = TAIL
  value = 0

  /** @param {Int32Array} words the structure's block */
  constructor(words) {
    this.#words = words
    this.#bytes = (words.length - RING) * WORD
    this.#cycle = Math.floor(MOST / this.#bytes) * this.#bytes
  }

  /** Whether nothing can be sent any more. */
  get isClosed() {
    return this.isClosedAt(Atomics.load(this.#words, TAIL))
  }

  /** Whether nothing could be sent any more when TAIL had a value. */
  isClosedAt(value) {
    return (value & CLOSED) !== 0
  }

  /** The bytes of all records. */
  get usedBytes() {
    return this.#between(this.#end(HEAD), this.#end(TAIL))
  }

  #end(which) {
    const end = Atomics.load(this.#words, which) & ~CLOSED
    if (end < 0 || end >= this.#cycle || (end & 7) !== 0) throw damaged()
    return end
  }

  #between(head, tail) {
    const used = tail - head + (tail < head ? this.#cycle : 0)
    if (used > this.#bytes) throw damaged()
    return used
  }

  #offset(end) {
    return end % this.#bytes
  }

  #move(which, end, byteLength) {
    const words = this.#words
    const moved = end + byteLength
    const wrapped = moved < this.#cycle ? moved : moved - this.#cycle
    Atomics.store(words, which, wrapped | (words[which] & CLOSED))
  }

  // Wakes who sleeps on an end that has moved. Someone who is going to sleep on its new value, and may not do so yet, stays on
  // account. As long as it has not moved again, nobody else takes anyone off.
  #wake(which, awaited) {
    const account = Atomics.load(this.#words, awaited)
    if (account === 0 || account === this.#words[which] + 1) return
    Atomics.compareExchange(this.#words, awaited, account, 0)
    Atomics.notify(this.#words, which)
  }

  #moveTail(tail, byteLength) {
    this.#move(TAIL, tail, byteLength)
    this.#wake(TAIL, TAIL_AWAITED)
  }

  #write(at, byteLength, state) {
    this.#words[at] = byteLength
    this.#words[at + 1] = state
  }

  /** Notes that this thread is going to sleep while an end has a value. */
  announce(which, value) {
    if (which === TAIL) Atomics.store(this.#words, TAIL_AWAITED, value + 1)
    else if (which === HEAD) Atomics.store(this.#words, HEAD_AWAITED, value + 1)
  }

  /**
   * Looks for room for a record: notes where in `at`. The caller has the senders' lock.
   *
   * @param {number} byteLength bytes of the message
   * @returns {boolean} false when there is no room before HEAD has moved from `value`
   * @throws {Error} ERR_HEAP_CORRUPTED
   */
  findRoom(byteLength) {
    const size = recordBytes(byteLength)
    this.value = Atomics.load(this.#words, HEAD)
    const tail = this.#end(TAIL)
    const free = this.#bytes - this.#between(this.#end(HEAD), tail)
    const offset = this.#offset(tail)
    const rest = this.#bytes - offset
    this.at = RING + (size <= rest ? offset / WORD : 0)
    if (size <= rest) return size <= free
    if (rest + size > free && free < this.#bytes) return false
    // The record begins at the ring's beginning: what is left before that is passed over first.
    this.#write(RING + offset / WORD, rest - RECORD_HEADER, DROPPED)
    this.#moveTail(tail, rest)
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
    this.#moveTail(this.#end(TAIL), recordBytes(byteLength))
  }

  /** Says what a record is that this thread has filled, and wakes who waits for it; without a tag it is dropped. */
  settle(at, tag = DROPPED) {
    Atomics.store(this.#words, at + 1, tag)
    Atomics.notify(this.#words, at + 1)
  }

  /**
   * Finds the oldest message, and takes records without one away on the way. The caller has the receivers' lock.
   *
   * @returns {boolean} false when there is none before `awaited` has changed from `value`
   * @throws {Error} ERR_HEAP_CORRUPTED
   */
  find() {
    for (;;) {
      const tail = Atomics.load(this.#words, TAIL)
      const head = this.#end(HEAD)
      const used = this.#between(head, this.#end(TAIL))
      if (used === 0) return this.#await(TAIL, tail)
      const state = this.#read(this.#offset(head), used)
      if (state > 0 && state < DROPPED) return true
      if (state < 0 && (state === -SELF || isAlive(-state))) return this.#await(this.at + 1, state)
      if (state > DROPPED || state === 0) throw damaged()
      this.remove()
    }
  }

  #await(word, value) {
    this.awaited = word
    this.value = value
    return false
  }

  #read(offset, used) {
    this.at = RING + offset / WORD
    this.byteLength = this.#words[this.at]
    this.tag = Atomics.load(this.#words, this.at + 1)
    const most = Math.min(used, this.#bytes - offset)
    if (this.byteLength < 0 || recordBytes(this.byteLength) > most) throw damaged()
    return this.tag
  }

  /**
   * Takes the record away that was found. The caller has the receivers' lock. Senders sleep on until half of the ring is free:
   * they would wake up, send one message and fall asleep again.
   */
  remove() {
    const head = this.#end(HEAD)
    const size = recordBytes(this.byteLength)
    const used = this.#between(head, this.#end(TAIL)) - size
    this.#move(HEAD, head, size)
    if (2 * used <= this.#bytes) this.#wake(HEAD, HEAD_AWAITED)
  }

  /** Closes one end. The caller has its lock. */
  close(which) {
    const words = this.#words
    Atomics.store(words, which, words[which] | CLOSED)
    Atomics.notify(words, which)
  }
}
