// An image in the heap: what threads have to know of it, and its pixels in a block of their own.

import { struct } from '../../structures/index.js'

const Header = struct({ width: 'u32', height: 'u32', pixels: 'u32' })

/** The image as one thread sees it. */
export class Image {
  /**
   * @param {LocalSharedMemory} memory
   * @param {number} ptr what Image.allocate returned, in whichever thread
   */
  constructor(memory, ptr) {
    const { width, height, pixels } = Header.at(memory, ptr)
    this.memory = memory
    this.ptr = ptr
    this.width = width
    this.height = height
    this.pixels = memory.arrayView(Uint8ClampedArray, pixels)
  }

  /**
   * @param {LocalSharedMemory} memory
   * @param {{ width: number, height: number, data: Uint8Array }} image RGBA
   * @returns {number} pointer
   */
  static allocate(memory, { width, height, data }) {
    const header = Header.create(memory)
    header.width = width
    header.height = height
    header.pixels = memory.Uint8ClampedArray(data).byteOffset
    return header.ptr
  }

  free() {
    this.memory.free(this.pixels.byteOffset)
    this.memory.free(this.ptr)
  }
}
