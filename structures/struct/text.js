// Texts of a fixed room, as UTF-8: NULs fill what is left, and end it.

import { Buffer } from 'node:buffer'
import { viewsCovering } from '../../lib/pages.js'

/**
 * @param {import('../../index.js').LocalSharedMemory} memory
 * @param {number} ptr byte offset
 * @param {number} room bytes
 * @returns {string} up to the first NUL
 */
export const decodeText = (memory, ptr, room) => {
  const { u8 } = viewsCovering(memory, ptr, room, 'ptr')
  const nul = u8.subarray(ptr, ptr + room).indexOf(0)
  return memory.getString(ptr, nul < 0 ? room : nul)
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
  const bytes = Buffer.from(text)
  if (bytes.length > room) return bytes.length
  const { u8 } = viewsCovering(memory, ptr, room, 'ptr')
  u8.set(bytes, ptr)
  u8.fill(0, ptr + bytes.length, ptr + room)
  return bytes.length
}
