// Text in the memory, as UTF-8, which Node.js's methods of buffers write where it is to lie. Decoders refuse shared bytes, and what
// one did with bytes that another thread writes would not be safe: it works on bytes of this thread's own, which are copied
// out. A long text of ASCII alone needs none: each byte is a letter, whatever becomes of it meanwhile.

import { Buffer, constants, isAscii } from 'node:buffer'
import { AtomicMemory } from './atomics.js'
import { checkInteger, invalidArgType, MAX_BYTES, outOfRange } from '../base/errors.js'
import { withNewBlock } from '../base/new-block.js'
import { nodeBufferOf, viewsCovering } from '../pages/pages.js'

/** The most bytes that one UTF-16 unit becomes. */
const UTF8_BYTES = 3
/** Up to here, in bytes, a loop copies faster than the engine's own method. */
const SHORT = 64
/** Up to here it finds a byte faster than Node.js's. */
const SHORT_SEARCH = 32

const scratch = Buffer.alloc(1024)

const checkText = (text) => {
  if (typeof text !== 'string') throw invalidArgType('text', 'a string', text)
}

/** A copy of bytes, at the start of a buffer that is valid until it is written again. */
const copyOf = (u8, start, count) => {
  if (count > scratch.length) return Buffer.from(u8.subarray(start, start + count))
  if (count > SHORT) scratch.set(u8.subarray(start, start + count))
  else for (let at = 0; at < count; at++) scratch[at] = u8[start + at]
  return scratch
}

const decode = (memory, u8, start, count) => {
  checkInteger('byteLength', count, 0, constants.MAX_STRING_LENGTH, 'bytes')
  if (count > scratch.length && isAscii(u8.subarray(start, start + count)))
    return nodeBufferOf(memory).latin1Slice(start, start + count)
  return copyOf(u8, start, count).toString('utf8', 0, count)
}

/** Bytes before the first NUL; all when there is none. The engine's own search goes through shared bytes one by one. */
export const lengthOfText = (memory, u8, ptr, size) => {
  const short = Math.min(size, SHORT_SEARCH)
  for (let at = 0; at < short; at++) if (u8[ptr + at] === 0) return at
  if (size === short) return size
  const nul = nodeBufferOf(memory)
    .subarray(ptr + short, ptr + size)
    .indexOf(0)
  return nul < 0 ? size : short + nul
}

/** Writes a text that fits, and a NUL behind it if there is room; returns its bytes. */
const write = (memory, ptr, text, room) => {
  const { u8 } = viewsCovering(memory, ptr, room, 'ptr')
  // Node.js 20 and 22 take a room of 2 GiB and more for none.
  const most = Math.min(room, UTF8_BYTES * text.length)
  const byteLength = nodeBufferOf(memory).utf8Write(text, ptr, most)
  if (byteLength < room) u8[ptr + byteLength] = 0
  return byteLength
}

/** The memory with text. */
export class StringMemory extends AtomicMemory {
  /** Writes a text into a block, as UTF-8. */
  setString(ptr, text) {
    checkText(text)
    const room = this.sizeof(ptr)
    // Bytes are counted only where it matters: that takes half as long as to write them, or as long.
    const most = UTF8_BYTES * text.length
    const byteLength = most > room ? Buffer.byteLength(text) : 0
    if (byteLength > room) {
      throw outOfRange('text', `at most ${room} bytes in UTF-8, not ${byteLength}`, text)
    }
    return write(this, ptr, text, room)
  }

  /** Reads a text that lies in the memory as UTF-8. */
  getString(ptr, byteLength) {
    if (byteLength !== undefined) {
      checkInteger('byteLength', byteLength, 0, MAX_BYTES, 'bytes')
      return decode(this, viewsCovering(this, ptr, byteLength, 'ptr').u8, ptr, byteLength)
    }
    const size = this.sizeof(ptr)
    const { u8 } = viewsCovering(this, ptr, size, 'ptr')
    return decode(this, u8, ptr, lengthOfText(this, u8, ptr, size))
  }

  /** Allocates a block that holds a text as UTF-8, and a NUL behind it. */
  mallocString(text) {
    checkText(text)
    const room = Buffer.byteLength(text) + 1
    const make = () => this.malloc(room)
    const use = (ptr) => {
      write(this, ptr, text, room)
      return ptr
    }
    return withNewBlock(this, make, use)
  }
}
