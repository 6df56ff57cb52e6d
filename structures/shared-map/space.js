// The memory as a map reads and writes it: by words and doubles.

import { refreshNow, viewsOf } from '../../lib/pages/pages.js'

/** One thread's views of the memory that a map lies in. */
export class Space {
  /** @param {import('../../index.js').LocalSharedMemory} memory */
  constructor(memory) {
    this.memory = memory
    this.look()
  }

  /** Takes up the memory's present views. */
  look() {
    const { i32, i64, f64, byteLength } = viewsOf(this.memory)
    this.words = i32
    this.longs = i64
    this.floats = f64
    /** The words and bytes that the views show. */
    this.wordLimit = byteLength / 4
    this.byteLimit = byteLength
  }

  /** Takes up the memory's present views, and what another thread has grown this moment. */
  lookNow() {
    refreshNow(this.memory)
    this.look()
  }

  /**
   * Looks for memory that another thread has grown.
   *
   * @param {number} end bytes
   * @returns {boolean} whether the views reach up to there now
   */
  reaches(end) {
    if (end <= this.byteLimit) return true
    this.lookNow()
    return end <= this.byteLimit
  }
}
