// Photos whose pixels lie in the heap, 3 bytes each, and how libvips makes them smaller.

export const WIDTH = 320
export const HEIGHT = 240
export const BYTES = WIDTH * HEIGHT * 3
export const SMALL_BYTES = BYTES / 16

/**
 * Draws a photo into a block of its own.
 *
 * @param {import('../../index.js').LocalSharedMemory} memory
 * @param {number} seed
 * @returns {number} pointer
 */
export const draw = (memory, seed) => {
  const pixels = memory.Uint8Array(BYTES)
  for (let i = 0; i < BYTES; i++) pixels[i] = (i * seed) ^ (i >> 6) ^ (i % WIDTH)
  return pixels.byteOffset
}

/**
 * @param {object} photo an image of WIDTH by HEIGHT
 * @param {(small: object) => T} use is given the same at a quarter of the size
 * @returns {T} what `use` returns
 * @template T
 */
export const shrink = (photo, use) => {
  const small = photo.resize(0.25)
  try {
    return use(small)
  } finally {
    small.delete()
    photo.delete()
  }
}

/** @returns an image over pixels that lie in the memory of the package, which are not copied */
export const imageAt = (vips, ptr, scale) =>
  vips.Image.newFromMemory(ptr, BYTES / scale ** 2, WIDTH / scale, HEIGHT / scale, 3, 'uchar')
