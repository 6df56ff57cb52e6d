// Texts of a fixed room, as UTF-8: NULs fill what is left, and end it.

import { Buffer } from 'node:buffer'
import { nodeBufferOf, viewsCovering } from '../../lib/pages/pages.js'
import { lengthOfText } from '../../lib/memory/strings.js'

/**
 * @param {import('../../index.js').LocalSharedMemory} memory
 * @param {number} ptr byte offset
 * @param {number} room bytes
 * @returns {string} up to the first NUL
 */
export const decodeText = (memory, ptr, room) => {
  const { u8 } = viewsCovering(memory, ptr, room, 'ptr')
  return memory.getString(ptr, lengthOfText(memory, u8, ptr, room))
}

/**
 * Writes a text, if there is room for it.
 *
 * @param {import('../../index.js').LocalSharedMemory} memory
 * @param {number} ptr byte offset
 * @param {number} room bytes
 * @param {string} text
 * @returns {number} the bytes that it takes; nothing is written when there are more of them than there is room
 */
export const encodeText = (memory, ptr, room, text) => {
  const byteLength = Buffer.byteLength(text)
  if (byteLength > room) return byteLength
  const { u8 } = viewsCovering(memory, ptr, room, 'ptr')
  nodeBufferOf(memory).utf8Write(text, ptr, byteLength)
  u8.fill(0, ptr + byteLength, ptr + room)
  return byteLength
}
