// A message that its sender fills where it lies, in the channel.

import { Tag } from '../codec.js'

/** Room for one message, until it is sent or dropped. */
export class Reservation {
  #ring
  #at

  /**
   * @param {import('./ring.js').Ring} ring
   * @param {number} at index of the record's first word
   * @param {Uint8Array} bytes
   */
  constructor(ring, at, bytes) {
    this.#ring = ring
    this.#at = at
    /** The message's bytes, in the channel itself; not this thread's any more once they were sent or dropped. */
    this.bytes = bytes
  }

  /** Sends the message. Whether it was sent or dropped before is seen to: then nothing happens. */
  commit() {
    this.#settle(Tag.Bytes)
  }

  /** Drops the message, unless it was sent. */
  [Symbol.dispose]() {
    this.#settle()
  }

  #settle(tag) {
    const ring = this.#ring
    this.#ring = undefined
    ring?.settle(this.#at, tag)
  }
}
