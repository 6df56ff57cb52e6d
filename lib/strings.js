// Text in the memory, as UTF-8. Encoders and decoders refuse shared bytes, and what they did with bytes that another
// thread writes would not be safe: they work on bytes of this thread's own, which are copied in or out.

import { Buffer, constants } from 'node:buffer'
import { TextEncoder } from 'node:util'
import { AtomicMemory } from './atomics.js'
import { checkInteger, invalidArgType, MAX_BYTES, outOfRange } from './errors.js'
import { withNewBlock } from './new-block.js'
import { viewsCovering } from './pages.js'

/** The most bytes that one UTF-16 unit becomes. */
const UTF8_BYTES = 3
/** Up to here, in bytes, a loop copies faster than the engine's own method. */
const SHORT = 64

const encoder = new TextEncoder()
const scratch = Buffer.alloc(1024)
/** How often the bytes above have been written. */
let writes = 0

const checkText = (text) => {
  if (typeof text !== 'string') throw invalidArgType('text', 'a string', text)
}

/** The text as UTF-8, in bytes that are valid until they are written again. */
const encode = (text) => {
  writes++
  if (text.length * UTF8_BYTES > scratch.length) return Buffer.from(text)
  return scratch.subarray(0, encoder.encodeInto(text, scratch).written)
}

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

/** Writes the text, and a NUL behind it if there is room. */
const write = (memory, ptr, bytes, room) => {
  const { u8 } = viewsCovering(memory, ptr, room, 'ptr')
  u8.set(bytes, ptr)
  if (bytes.length < room) u8[ptr + bytes.length] = 0
}

/** The memory with text. */
export class StringMemory extends AtomicMemory {
  /** Writes a text into a block, as UTF-8. */
  setString(ptr, text) {
    checkText(text)
    const room = this.sizeof(ptr)
    const bytes = encode(text)
    if (bytes.length > room) {
      throw outOfRange('text', `at most ${room} bytes in UTF-8, not ${bytes.length}`, text)
    }
    write(this, ptr, bytes, room)
    return bytes.length
  }

  /** Reads a text that lies in the memory as UTF-8. */
  getString(ptr, byteLength) {
    if (byteLength !== undefined) {
      checkInteger('byteLength', byteLength, 0, MAX_BYTES, 'bytes')
      return decode(viewsCovering(this, ptr, byteLength, 'ptr').u8, ptr, byteLength)
    }
    const size = this.sizeof(ptr)
    const { u8 } = viewsCovering(this, ptr, size, 'ptr')
    const nul = u8.subarray(ptr, ptr + size).indexOf(0)
    return decode(u8, ptr, nul < 0 ? size : nul)
  }

  /** Allocates a block that holds a text as UTF-8, and a NUL behind it. */
  mallocString(text) {
    checkText(text)
    const bytes = encode(text)
    const room = bytes.length + 1
    const written = writes
    const make = () => this.malloc(room)
    const use = (ptr) => {
      // malloc may have run code that uses strings: a subclass's, or that of whoever formats stacks.
      write(this, ptr, writes === written ? bytes : encode(text), room)
      return ptr
    }
    return withNewBlock(this, make, use)
  }
}
