// Blocks that are allocated, or freed, together with what refers to them: a word of the memory, or a name. For the package's own
// structures; users have malloc and setRoot.
//
// Each is one native call, which terminate() does not interrupt, or a block that this thread keeps, and the word: V8 ends a thread
// at calls and loops, and between the last write of the cache and that of the word there are only returns. A process may be
// killed anywhere, so where others have the memory it is the native call. So it is where the heap is short of room: a map evicts
// then, and what was kept of that would be fetched back from here before the heap has room.

import { DEFAULT_ALIGN } from '../base/align.js'
import { heapOf } from './blocks.js'
import { checkSize } from '../base/errors.js'
import { errorOf } from '../native/faults.js'
import { peerOf, viewsCovering } from '../pages/pages.js'

/** Blocks that are zeroed or copied by the native side are so by words. */
const WORD = 4

const wholeWords = (byteLength) => Math.ceil(byteLength / WORD) * WORD

/** What this thread keeps; undefined where none of it is taken. */
const cacheOf = ({ cache, native }) => (native?.attached || cache.isShort ? undefined : cache)

// A kept block, whose pointer is in the word when this returns; 0 when there is none. Large ones are left to the native side: of
// ever new lengths, more would wait here than are taken again.
const popInto = (heap, words, slot, byteLength) => {
  const cache = cacheOf(heap)
  if (cache === undefined) return 0
  const ptr = cache.popSmall(byteLength) || cache.popOlder(byteLength)
  if (ptr !== 0) words[slot >>> 2] = ptr
  return ptr
}

// The same after some were fetched.
const fetchInto = (heap, words, slot, byteLength) => {
  const head = cacheOf(heap)?.headForLength(byteLength) ?? 0
  return head !== 0 && heap.fetch(head) > 0 ? popInto(heap, words, slot, byteLength) : 0
}

// Keeps the block of a word, which is 0 then. Returns false when it is not plainly a small one, or there is no room.
const pushFrom = (heap, words, slot) => {
  const cache = cacheOf(heap)
  const ptr = words[slot >>> 2] >>> 0
  if (!cache?.isSmall(ptr)) return false
  if (!cache.keep(ptr)) {
    heap.makeRoomFor(ptr)
    if (!cache.keep(ptr)) return false
  }
  words[slot >>> 2] = 0
  return true
}

/**
 * Allocates a block and writes its pointer to a word of the memory. Its bytes are not cleared.
 *
 * @param {import('../../index.js').LocalSharedMemory} memory
 * @param {number} slot byte offset of the word, a multiple of 4; what it held is not freed
 * @param {number} byteLength bytes
 * @param {string} structure whose block it is, as debug mode calls it: 'SharedMap'
 * @returns {number} pointer
 * @throws {RangeError} ERR_OUT_OF_MEMORY, ERR_OUT_OF_RANGE: the word is as it was
 */
export const mallocInto = (memory, slot, byteLength, structure) => {
  checkSize('byteLength', byteLength)
  const { i32 } = viewsCovering(memory, slot, WORD, 'slot')
  const heap = heapOf(memory)
  const ptr = popInto(heap, i32, slot, byteLength) || fetchInto(heap, i32, slot, byteLength)
  if (ptr !== 0) return ptr
  const call = (native, search) =>
    native.mallocInto(slot, byteLength, DEFAULT_ALIGN, search, structure)
  return heap.allocateBy(call, byteLength, DEFAULT_ALIGN)
}

/**
 * Sets a word of the memory to 0 and frees the block whose pointer it held; 0 is no block.
 *
 * @param {import('../../index.js').LocalSharedMemory} memory
 * @param {number} slot byte offset of the word, a multiple of 4
 * @throws {Error} ERR_INVALID_POINTER, ERR_HEAP_CORRUPTED: the word is as it was
 */
export const freeFrom = (memory, slot) => {
  const { i32 } = viewsCovering(memory, slot, WORD, 'slot')
  const heap = heapOf(memory)
  if (pushFrom(heap, i32, slot)) return
  heap.ask((native) => native.freeFrom(slot), i32[slot >>> 2] >>> 0)
}

/**
 * Allocates a block whose first bytes are given, the others being zero, and gives it a name. When there is a block of that
 * name already, nothing is allocated.
 *
 * @param {import('../../index.js').LocalSharedMemory} memory
 * @param {Uint32Array} image the first words
 * @param {number} byteLength bytes, those of the image included
 * @param {number} alignBytes a power of two up to 65,536
 * @param {string} name empty for none
 * @param {string} structure whose block it is, as debug mode calls it
 * @returns {number} pointer to the block that has the name
 * @throws {RangeError} ERR_OUT_OF_MEMORY
 */
export const place = (memory, image, byteLength, alignBytes, name, structure) => {
  const size = wholeWords(byteLength)
  const call = (native, search) => native.place(image, size, alignBytes, name, search, structure)
  return heapOf(memory).allocateBy(call, size, alignBytes)
}

/**
 * Frees a block and takes its names away. Its first word becomes 0 before anyone else can have the block.
 *
 * @param {import('../../index.js').LocalSharedMemory} memory
 * @param {number} ptr pointer
 * @param {number} identity what the first word must be
 * @throws {Error} ERR_INVALID_POINTER, also when the first word is another; ERR_HEAP_CORRUPTED: nothing has changed
 */
export const remove = (memory, ptr, identity) => {
  heapOf(memory).ask((native) => native.remove(ptr, identity), ptr)
}

/**
 * Asks the native side whether blocks can be freed, for what frees many and must not stop half-way.
 *
 * @param {import('../../index.js').LocalSharedMemory} memory
 * @throws {Error} ERR_HEAP_BUSY, ERR_HEAP_CLOSED
 */
export const checkOpen = (memory) => {
  heapOf(memory).ask((native) => native.undoCutShort())
}

/**
 * Has calls undone in the middle of which other processes were killed. Until then words and blocks may be as such a call has made
 * them, and change back when anyone calls the native side. Nothing is done where no other process has the memory.
 *
 * @param {SharedArrayBuffer} buffer the memory's bytes
 * @throws {Error} ERR_HEAP_BUSY, ERR_HEAP_CLOSED
 */
export const undoCutShort = (buffer) => {
  const answer = peerOf(buffer)?.undoCutShort()
  if (answer < 0) throw errorOf(answer)
}
