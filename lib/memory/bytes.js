// C's memcpy and memset.

import { types } from 'node:util'
import { AccessorMemory } from './accessors.js'
import { MAX_BYTES, checkInteger, invalidArgType, refused } from '../base/errors.js'
import { bulkOf, viewsCovering } from '../pages/pages.js'

/** The bytes of a buffer, or of any view of one. */
const bytesOf = (buffer) => {
  if (!ArrayBuffer.isView(buffer) && !types.isAnyArrayBuffer(buffer)) {
    throw invalidArgType('byte', 'a number, a buffer or a view of one', buffer)
  }
  try {
    return ArrayBuffer.isView(buffer)
      ? new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength)
      : new Uint8Array(buffer)
  } catch (cause) {
    throw refused('memset', cause)
  }
}

const fillBytes = (memory, dst, byte, byteLength) => {
  checkInteger('byte', byte, -(2 ** 31), 2 ** 31 - 1, '(an integer of 32 bits)')
  checkInteger('byteLength', byteLength, 0, MAX_BYTES, 'bytes')
  const views = viewsCovering(memory, dst, byteLength, 'dst')
  bulkOf(memory, views).memset(views.u8, dst, byte, byteLength)
}

const copyBytes = (memory, dst, buffer, srcOffset = 0, byteLength = undefined) => {
  const bytes = bytesOf(buffer)
  checkInteger('srcOffset', srcOffset, 0, bytes.length, 'bytes')
  const rest = bytes.length - srcOffset
  const count = byteLength === undefined ? rest : byteLength
  checkInteger('byteLength', count, 0, rest, 'bytes')
  // A view of a part takes as long as some hundred bytes.
  const part = count === bytes.length ? bytes : bytes.subarray(srcOffset, srcOffset + count)
  viewsCovering(memory, dst, count, 'dst').u8.set(part, dst)
}

/** The memory with functions for bytes. */
export class ByteMemory extends AccessorMemory {
  /** Copies bytes within the memory. */
  memcpy(dst, src, byteLength) {
    checkInteger('byteLength', byteLength, 0, MAX_BYTES, 'bytes')
    viewsCovering(this, src, byteLength, 'src')
    const views = viewsCovering(this, dst, byteLength, 'dst')
    bulkOf(this, views).memcpy(views.u8, dst, src, byteLength)
    return dst
  }

  /** Fills bytes of the memory with a byte, or with the bytes of a buffer from elsewhere. */
  memset(dst, byteOrBuffer, ...range) {
    if (typeof byteOrBuffer === 'number') fillBytes(this, dst, byteOrBuffer, ...range)
    else copyBytes(this, dst, byteOrBuffer, ...range)
    return dst
  }
}
