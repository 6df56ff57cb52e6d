// Images whose pixels lie in the heap: a block with width and height, then 4 bytes for each pixel.

const HEADER = 8

/**
 * Draws an image into a block of its own.
 *
 * @param {import('../../index.js').LocalSharedMemory} memory
 * @param {number} seed
 * @returns {number} pointer
 */
export const draw = (memory, seed) => {
  const width = 40 + (seed % 50)
  const height = 30 + (seed % 37)
  const ptr = memory.malloc(HEADER + width * height * 4)
  memory.setUint32(ptr, width)
  memory.setUint32(ptr + 4, height)
  const { pixels } = imageAt(memory, ptr)
  for (let i = 0; i < pixels.length; i++) pixels[i] = ((i >> 4) * seed) ^ (i >> 7)
  return ptr
}

/**
 * @param {import('../../index.js').LocalSharedMemory} memory
 * @param {number} ptr
 * @returns {{ width: number, height: number, pixels: Uint8ClampedArray }} `pixels` is a live view
 */
export const imageAt = (memory, ptr) => {
  const [width, height] = [memory.getUint32(ptr), memory.getUint32(ptr + 4)]
  const pixels = memory.arrayView(Uint8ClampedArray, ptr + HEADER, width * height * 4)
  return { width, height, pixels }
}
