// A hash table of words that lies in shared memory. Any number of threads count into it at once, without a lock:
// a new entry is linked in with compareExchange, a count is added to with an atomic add.
//
// A SharedMap needs one line for it, `map.increment(word)`, and makes up for a worker that is terminated, which this does not.
// The table is kept because it takes 0.45 of the time on the demo's text: it reads words where they lie, and knows that a
// count is all that ever changes.
//
//   bucket   u32, the pointer of its first entry; 0 for none
//   entry    next u32 | count u32 | key length u32 | key bytes

const NEXT = 0
const COUNT = 4
const KEY_LENGTH = 8
const KEY = 12

const lowerCase = (byte) => (byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte)
const isInWord = (byte) => byte >= 0x80 || /[0-9A-Za-z']/.test(String.fromCharCode(byte))

/** What a word is: the lower-case form of each byte that is part of one, 0 for each byte that is not. */
export const LOWER = Uint8Array.from({ length: 256 }, (_, byte) =>
  isInWord(byte) ? lowerCase(byte) : 0,
)

/**
 * Calls `visit` with the start and the end of each word.
 *
 * @param {Uint8Array} text
 * @param {number} start byte at which to start
 * @param {number} end byte at which to stop
 * @param {(start: number, end: number) => void} visit
 */
export const eachWord = (text, start, end, visit) => {
  let at = start
  while (at < end) {
    while (at < end && LOWER[text[at]] === 0) at++
    const wordStart = at
    while (at < end && LOWER[text[at]] !== 0) at++
    if (at > wordStart) visit(wordStart, at)
  }
}

const hashOf = (text, start, end) => {
  let hash = 0x811c9dc5
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ LOWER[text[at]], 0x01000193)
  return hash ^ (hash >>> 15)
}

/** The table as one thread sees it. */
export class WordTable {
  /**
   * @param {LocalSharedMemory} memory
   * @param {number} bucketCount a power of two
   * @param {number} [buckets] pointer of the buckets that another thread made
   */
  constructor(memory, bucketCount, buckets = memory.calloc(bucketCount, 4)) {
    this.memory = memory
    this.bucketCount = bucketCount
    this.buckets = buckets
  }

  /** Counts one more of the word from byte `start` to byte `end` of `text`. */
  count(text, start, end) {
    const { memory } = this
    const bucket = this.buckets / 4 + (hashOf(text, start, end) & (this.bucketCount - 1))
    let added = 0
    for (;;) {
      const first = memory.load(Uint32Array, bucket)
      const entry = this.find(first, text, start, end)
      if (entry !== 0) {
        memory.add(Uint32Array, (entry + COUNT) / 4, 1)
        memory.free(added) // Another thread was first. Freeing 0 does nothing.
        return
      }
      if (added === 0) added = this.newEntry(text, start, end)
      memory.setUint32(added + NEXT, first)
      if (memory.compareExchange(Uint32Array, bucket, first, added) === first) return
    }
  }

  find(first, text, start, end) {
    const { memory } = this
    let entry = first
    while (entry !== 0 && !this.isKey(entry, text, start, end)) {
      entry = memory.getUint32(entry + NEXT)
    }
    return entry
  }

  isKey(entry, text, start, end) {
    const { memory } = this
    if (memory.getUint32(entry + KEY_LENGTH) !== end - start) return false
    const key = entry + KEY - start
    for (let at = start; at < end; at++) {
      if (memory.getUint8(key + at) !== LOWER[text[at]]) return false
    }
    return true
  }

  newEntry(text, start, end) {
    const { memory } = this
    const entry = memory.malloc(KEY + end - start)
    memory.setUint32(entry + COUNT, 1)
    memory.setUint32(entry + KEY_LENGTH, end - start)
    const key = entry + KEY - start
    for (let at = start; at < end; at++) memory.setUint8(key + at, LOWER[text[at]])
    return entry
  }

  /** The pointers of the entries in a range of buckets. One may be freed as soon as it was yielded. */
  *entries(from = 0, to = this.bucketCount) {
    for (let bucket = from; bucket < to; bucket++) {
      let entry = this.memory.load(Uint32Array, this.buckets / 4 + bucket)
      while (entry !== 0) {
        const next = this.memory.getUint32(entry + NEXT)
        yield entry
        entry = next
      }
    }
  }

  /** The table as a Map from each word's bytes, as a latin1 string, to its count. */
  toMap() {
    const { memory } = this
    const counts = new Map()
    for (const entry of this.entries()) {
      const key = memory.arrayBuffer(entry + KEY, memory.getUint32(entry + KEY_LENGTH))
      counts.set(Buffer.from(key).toString('latin1'), memory.load(Uint32Array, (entry + COUNT) / 4))
    }
    return counts
  }
}
