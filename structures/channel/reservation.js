// A message that its sender fills where it lies, in the channel.

import { dispose } from '../../lib/base/engine.js'
import { once } from '../../lib/base/once.js'
import { Tag } from '../codec.js'
import { checkAlive } from '../structure.js'

/** Room for one message, until it is sent or dropped. */
export class Reservation {
  #settle

  /**
   * @param {import('./channel.js').Channel} channel
   * @param {import('./ring.js').Ring} ring
   * @param {number} at index of the record's first word
   * @param {Uint8Array} bytes
   */
  constructor(channel, ring, at, bytes) {
    this.#settle = once((tag) => {
      checkAlive(channel)
      ring.settle(at, tag)
    })
    /** The message's bytes, in the channel itself; not this thread's any more once they were sent or dropped. */
    this.bytes = bytes
  }

  /** Sends the message. Whether it was sent or dropped before is seen to: then nothing happens. */
  commit() {
    this.#settle(Tag.Bytes)
  }

  /** Drops the message, unless it was sent. */
  [dispose]() {
    this.#settle()
  }
}
