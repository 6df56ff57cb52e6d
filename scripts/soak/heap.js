// Soaks a heap: blocks of all sizes that any thread frees, growth, trimming.

import { checkAllocs } from '../../__test__/fixtures/shadow.mjs'

const MAX_LIVE = 400
const MAILBOXES = 64

/** What main.js does with a heap: `newWorker`, `inspect` once a second, `end`. */
export const soakHeap = (memory, { must, fault, totals }) => {
  /** Pointers that anyone may free. */
  const mailboxes = new Uint32Array(new SharedArrayBuffer(MAILBOXES * 4))
  totals.inFlight = 0
  return {
    worker: new URL('heap-worker.js', import.meta.url),

    newWorker() {
      /** The pointers of the worker's live blocks; 0 is none. */
      const live = new Uint32Array(new SharedArrayBuffer(MAX_LIVE * 4))
      const settle = () => {
        for (const ptr of live) {
          if (ptr !== 0) must('a block left behind', () => memory.free(ptr))
        }
      }
      return { data: { mailboxes, live }, settle }
    },

    inspect(second) {
      must('allocs', () => checkAllocs(memory.allocs(), memory.buffer.byteLength))
      if (second % 10 === 0) must('trim', () => memory.trim())
    },

    // Each terminated worker may have had one block in hand that it had not noted down yet, or not any more.
    end() {
      for (const ptr of mailboxes) if (ptr !== 0) must('a mailbox', () => memory.free(ptr))
      for (const { byteOffset } of memory.allocs()) {
        must('a block in flight', () => memory.free(byteOffset))
        totals.inFlight++
      }
      if (totals.inFlight > totals.terminated) {
        fault(`${totals.inFlight} blocks belong to nobody, after ${totals.terminated} terminations`)
      }
    },
  }
}
