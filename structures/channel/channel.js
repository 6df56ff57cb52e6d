// Messages from any thread to any other: a queue of bounded length in one block of the heap. ring.js has the protocol; this file
// has what a user calls, and the waiting. ../index.d.ts says what each method takes, returns and throws.

import {
  channelClosed,
  checkInteger,
  checkObject,
  deadlock,
  isOutOfStack,
  outOfRange,
  timedOut,
} from '../../lib/base/errors.js'
import { forget, prepare, prepared, read, recall, retain, write } from '../codec.js'
import { LATER, Line } from '../line.js'
import { SELF } from '../liveness.js'
import { lockOrResume, unlock } from '../lock.js'
import { hasRoomToRead } from '../room.js'
import { checkAlive, FACTS, magicOf, Structure, wordsOf } from '../structure.js'
import { checkWait, deadlineOf, nap, turnDue } from '../waiting.js'
import { Patience } from './patience.js'
import { Reservation } from './reservation.js'
import { HEAD, RECEIVING, RECORD_HEADER, recordBytes, Ring, RING, SENDING, TAIL } from './ring.js'

const DEFAULT_CAPACITY = 65_536
/** Bytes; the ends of the ring fit in a word. */
const MAX_CAPACITY = 2 ** 29
const WORD = 4
/** Words of the shortest ring: a record of 8 bytes. */
const LEAST_RING = 4
/** Twice a cache line: processors fetch them in pairs. */
const ALIGN = 128
/** What take answers when there is no message yet. */
const NOTHING = Symbol('nothing')

const late = (what, timeout) => timedOut(`${what} within ${timeout} ms`)
const full = (timeout) => late('The channel had no room', timeout)
const empty = (timeout) => late('No message came', timeout)
const heldUp = () => deadlock('This thread waits for what it has reserved itself')

/** A queue of messages for all threads. */
export class Channel extends Structure {
  static kind = {
    name: 'Channel',
    magic: magicOf('CHAN'),
    version: 1,
    leastWords: RING + LEAST_RING,
  }

  static plan(options = {}) {
    checkObject('options', options)
    const { capacity = DEFAULT_CAPACITY } = options
    checkInteger('options.capacity', capacity, 1, MAX_CAPACITY, 'bytes')
    const ringBytes = recordBytes(capacity)
    return {
      settings: { capacity: ringBytes - RECORD_HEADER },
      words: [],
      byteLength: RING * WORD + ringBytes,
      alignBytes: ALIGN,
    }
  }

  #words = wordsOf(this)
  #ring = new Ring(this.#words)
  #patience = new Patience()
  #senders = new Line(this.#words)
  #receivers = new Line(this.#words)
  /** Whether the oldest record is one that this thread has yet to fill, when there was no room last. */
  #isHeldUp = false
  #capacity = this.#words.length * WORD - RING * WORD - RECORD_HEADER

  /** The bytes that a message may have at the most. */
  get capacity() {
    return this.#capacity
  }

  /** Whether nothing can be sent any more. */
  get closed() {
    checkAlive(this)
    return this.#ring.isClosedAt(Atomics.load(this.#words, TAIL))
  }

  /** Sends a message; the thread sleeps until there is room for it. */
  send(message, options) {
    const timeout = options === undefined ? undefined : checkWait(options).timeout
    try {
      const byteLength = this.#prepare(message)
      if (!this.#put(byteLength, prepared.tag)) this.#putLater(byteLength, timeout)
    } finally {
      forget()
    }
  }

  #putLater(byteLength, timeout) {
    const deadline = deadlineOf(timeout)
    do this.#sleepForRoom(timeout, deadline)
    while (!this.#put(byteLength, prepared.tag))
  }

  #sleepForRoom(timeout, deadline) {
    if (this.#isHeldUp) throw heldUp()
    if (!nap(this.#words, HEAD, this.#ring.value, deadline)) throw full(timeout)
    checkAlive(this)
  }

  /** Sends a message if there is room for it at once. */
  trySend(message) {
    try {
      return this.#put(this.#prepare(message), prepared.tag)
    } finally {
      forget()
    }
  }

  /** Sends a message without putting the thread to sleep. */
  async sendAsync(message, options) {
    const wait = checkWait(options)
    wait.signal?.throwIfAborted()
    const kept = this.#putOrRetain(message)
    if (kept === undefined) return turnDue()
    this.#untilRoom()
    return this.#senders.wait(() => this.#putAgain(kept), wait, full)
  }

  #untilRoom() {
    return this.#senders.until(HEAD, this.#ring.value)
  }

  // Returns what there was no room for.
  #putOrRetain(message) {
    try {
      return this.#put(this.#prepare(message), prepared.tag) ? undefined : retain()
    } finally {
      forget()
    }
  }

  #putAgain(kept) {
    checkAlive(this)
    recall(kept)
    try {
      return this.#put(kept.byteLength, kept.tag) ? undefined : this.#untilRoom()
    } finally {
      forget()
    }
  }

  /** Room for a message of bytes, which the caller fills where it lies; the thread sleeps until there is room. */
  reserve(byteLength, options) {
    checkInteger('byteLength', byteLength, 0, this.capacity, 'bytes')
    const { timeout } = checkWait(options)
    checkAlive(this)
    const deadline = deadlineOf(timeout)
    for (;;) {
      const reservation = this.#put(byteLength, -SELF)
      if (reservation) return reservation
      this.#sleepForRoom(timeout, deadline)
    }
  }

  // Getters of the message, or of the options before it, may have destroyed the channel.
  #prepare(message) {
    const byteLength = prepare(message)
    checkAlive(this)
    if (byteLength > this.#capacity) {
      throw outOfRange('message', `at most ${this.#capacity} bytes`, byteLength)
    }
    return byteLength
  }

  // Sends what was prepared, or room for it, which this thread is going to fill: then it returns the reservation.
  #put(byteLength, state) {
    const ring = this.#ring
    lockOrResume(this.#words, SENDING)
    try {
      if (ring.isClosed) throw channelClosed()
      if (!this.#findRoom(byteLength)) {
        ring.announce()
        return false
      }
      const ptr = this.ptr + ring.at * WORD + RECORD_HEADER
      let sent = true
      if (state > 0) write(this.memory, ptr)
      else sent = this.#reservationAt(ptr, byteLength)
      ring.publish(byteLength, state)
      return sent
    } finally {
      unlock(this.#words, SENDING)
    }
  }

  // Made before there is a record that waits for it.
  #reservationAt(ptr, byteLength) {
    const bytes = new Uint8Array(this.#words.buffer, ptr, byteLength)
    return new Reservation(this, this.#ring, this.#ring.at, bytes)
  }

  // Records without a message are in the way that nobody has come upon, twice at the most: what a thread reserved that has ended,
  // and then what the new one has passed over.
  #findRoom(byteLength) {
    return this.#ring.findRoom(byteLength) || this.#tidy(byteLength) || this.#tidy(byteLength)
  }

  #tidy(byteLength) {
    lockOrResume(this.#words, RECEIVING)
    try {
      this.#isHeldUp = !this.#ring.find() && this.#ring.isOwn
    } finally {
      unlock(this.#words, RECEIVING)
    }
    return this.#ring.findRoom(byteLength)
  }

  /** Receives a message; the thread sleeps until there is one. */
  receive(options) {
    const timeout = options === undefined ? undefined : checkWait(options).timeout
    checkAlive(this)
    const message = this.#take()
    return message === NOTHING ? this.#takeLater(timeout) : message
  }

  #takeLater(timeout) {
    const ring = this.#ring
    const deadline = deadlineOf(timeout)
    for (;;) {
      if (ring.isOwn) throw heldUp()
      if (!this.#look()) {
        ring.announce()
        if (!nap(this.#words, ring.awaited, ring.value, deadline)) throw empty(timeout)
      }
      checkAlive(this)
      const message = this.#take()
      if (message !== NOTHING) return message
    }
  }

  /** Receives a message if there is one at once, else undefined. */
  tryReceive() {
    checkAlive(this)
    const message = this.#take()
    return message === NOTHING ? undefined : message
  }

  /** Receives a message without putting the thread to sleep. */
  async receiveAsync(options) {
    const wait = checkWait(options)
    const turn = turnDue()
    if (turn !== undefined) await turn
    wait.signal?.throwIfAborted()
    const message = this.#receivers.attemptInTurn(this.#takeOrLook)
    return message === LATER ? this.#receivers.wait(this.#takeOrAnnounce, wait, empty) : message
  }

  #takeOrAnnounce = () => {
    checkAlive(this)
    const message = this.#take()
    return message === NOTHING ? this.#untilMessage() : message
  }

  #untilMessage() {
    const ring = this.#ring
    ring.announce()
    return this.#receivers.until(ring.awaited, ring.value)
  }

  // The event loop takes longer to tell of a message than a thread to be woken.
  #takeOrLook = () => {
    for (;;) {
      checkAlive(this)
      const message = this.#take()
      if (message !== NOTHING) return message
      if (!this.#look()) return this.#untilMessage()
    }
  }

  #look() {
    const { awaited, value } = this.#ring
    return this.#patience.look(this.#words, awaited, value)
  }

  /** Receives messages until the channel is closed and empty. */
  async *[Symbol.asyncIterator]() {
    let message
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    while ((message = await this.receiveAsync()) !== undefined) yield message
  }

  #take() {
    const ring = this.#ring
    lockOrResume(this.#words, RECEIVING)
    try {
      if (ring.find()) return this.#read()
      return ring.awaited === TAIL && ring.isClosedAt(ring.value) ? undefined : NOTHING
    } finally {
      unlock(this.#words, RECEIVING)
    }
  }

  // What cannot be read is gone all the same: it would stand in the way of all others. Where the caller has left too little of the
  // stack, it stays.
  #read() {
    const { at, byteLength, tag } = this.#ring
    let message
    try {
      message = read(this.memory, this.ptr + at * WORD + RECORD_HEADER, byteLength, tag)
    } catch (error) {
      if (!isOutOfStack(error) || hasRoomToRead()) this.#ring.remove()
      throw error
    }
    this.#ring.remove()
    return message
  }

  /** Ends sending. What was sent before can still be received. */
  close() {
    checkAlive(this)
    lockOrResume(this.#words, SENDING)
    try {
      this.#ring.close(TAIL)
    } finally {
      unlock(this.#words, SENDING)
    }
    this.#ring.close(HEAD)
  }

  get #usedBytes() {
    lockOrResume(this.#words, RECEIVING)
    try {
      return this.#ring.usedBytes
    } finally {
      unlock(this.#words, RECEIVING)
    }
  }

  [FACTS]() {
    return { capacity: this.#capacity, usedBytes: this.#usedBytes, closed: this.closed }
  }
}
