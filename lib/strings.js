// Text in the memory, as UTF-8. Encoders and decoders refuse shared bytes, and what a decoder did with bytes that another
// thread writes would not be safe: it works on bytes of this thread's own, which are copied out. A short text is encoded
// into such bytes, too, and copied in; a long one is encoded where it is to lie, by Node.js's method of buffers.

import { Buffer, constants } from 'node:buffer'
import { TextEncoder } from 'node:util'
import { AtomicMemory } from './atomics.js'
import { checkInteger, invalidArgType, MAX_BYTES, outOfRange } from './errors.js'
import { withNewBlock } from './new-block.js'
import { nodeBufferOf, viewsCovering } from './pages.js'

/** The most bytes that one UTF-16 unit becomes. */
const UTF8_BYTES = 3
/** Up to here, in bytes, a loop copies faster than the engine's own method. */
const SHORT = 64
/** Up to here it finds a byte faster than Node.js's. */
const SHORT_SEARCH = 32

const encoder = new TextEncoder()
const scratch = Buffer.alloc(1024)
/** How often the bytes above have been written. */
let writes = 0

const checkText = (text) => {
  if (typeof text !== 'string') throw invalidArgType('text', 'a string', text)
}

/** A short text as UTF-8, in bytes that are valid until they are written again; undefined for a long one. */
const encodeShort = (text) => {
  if (text.length * UTF8_BYTES > scratch.length) return undefined
  writes++
  return scratch.subarray(0, encoder.encodeInto(text, scratch).written)
}

const byteLengthOf = (text, bytes) => (bytes === undefined ? Buffer.byteLength(text) : bytes.length)

/** A copy of bytes, at the start of a buffer that is valid until it is written again. */
const copyOf = (u8, start, count) => {
  writes++
  if (count > scratch.length) return Buffer.from(u8.subarray(start, start + count))
  if (count > SHORT) scratch.set(u8.subarray(start, start + count))
  else for (let at = 0; at < count; at++) scratch[at] = u8[start + at]
  return scratch
}

const decode = (u8, start, count) => {
  checkInteger('byteLength', count, 0, constants.MAX_STRING_LENGTH, 'bytes')
  return copyOf(u8, start, count).toString('utf8', 0, count)
}

/** Bytes before the first NUL; all when there is none. The engine's own search goes through shared bytes one by one. */
const lengthOfText = (memory, u8, ptr, size) => {
  const short = Math.min(size, SHORT_SEARCH)
  for (let at = 0; at < short; at++) if (u8[ptr + at] === 0) return at
  if (size === short) return size
  const nul = nodeBufferOf(memory)
    .subarray(ptr + short, ptr + size)
    .indexOf(0)
  return nul < 0 ? size : short + nul
}

/** Writes the text, whose bytes are given if it is short, and a NUL behind it if there is room. */
const write = (memory, ptr, text, bytes, byteLength, room) => {
  const { u8 } = viewsCovering(memory, ptr, room, 'ptr')
  if (bytes === undefined) nodeBufferOf(memory).write(text, ptr, byteLength)
  else u8.set(bytes, ptr)
  if (byteLength < room) u8[ptr + byteLength] = 0
}

/** The memory with text. */
export class StringMemory extends AtomicMemory {
  /** Writes a text into a block, as UTF-8. */
  setString(ptr, text) {
    checkText(text)
    const room = this.sizeof(ptr)
    const bytes = encodeShort(text)
    const byteLength = byteLengthOf(text, bytes)
    if (byteLength > room) {
      throw outOfRange('text', `at most ${room} bytes in UTF-8, not ${byteLength}`, text)
    }
    write(this, ptr, text, bytes, byteLength, room)
    return byteLength
  }

  /** Reads a text that lies in the memory as UTF-8. */
  getString(ptr, byteLength) {
    if (byteLength !== undefined) {
      checkInteger('byteLength', byteLength, 0, MAX_BYTES, 'bytes')
      return decode(viewsCovering(this, ptr, byteLength, 'ptr').u8, ptr, byteLength)
    }
    const size = this.sizeof(ptr)
    const { u8 } = viewsCovering(this, ptr, size, 'ptr')
    return decode(u8, ptr, lengthOfText(this, u8, ptr, size))
  }

  /** Allocates a block that holds a text as UTF-8, and a NUL behind it. */
  mallocString(text) {
    checkText(text)
    const bytes = encodeShort(text)
    const byteLength = byteLengthOf(text, bytes)
    const room = byteLength + 1
    const written = writes
    const make = () => this.malloc(room)
    const use = (ptr) => {
      // malloc may have run code that uses strings: a subclass's, or that of whoever formats stacks.
      const valid = writes === written ? bytes : encodeShort(text)
      write(this, ptr, text, valid, byteLength, room)
      return ptr
    }
    return withNewBlock(this, make, use)
  }
}
