// An image in the heap, and the place where the threads that work on it wait for one another.
//
//   image    width u32 | height u32 | pointer of the pixels u32 | threads that have arrived i32

const WIDTH = 0
const HEIGHT = 4
const PIXELS = 8
const ARRIVED = 12
const BYTES = 16

/** The image as one thread sees it. */
export class Image {
  /**
   * @param {LocalSharedMemory} memory
   * @param {number} ptr what Image.allocate returned, in whichever thread
   */
  constructor(memory, ptr) {
    this.memory = memory
    this.ptr = ptr
    this.width = memory.getUint32(ptr + WIDTH)
    this.height = memory.getUint32(ptr + HEIGHT)
    this.pixels = memory.arrayView(Uint8ClampedArray, memory.getUint32(ptr + PIXELS))
  }

  /**
   * @param {LocalSharedMemory} memory
   * @param {{ width: number, height: number, data: Uint8Array }} image RGBA
   * @returns {number} pointer
   */
  static allocate(memory, { width, height, data }) {
    const ptr = memory.calloc(BYTES)
    memory.setUint32(ptr + WIDTH, width)
    memory.setUint32(ptr + HEIGHT, height)
    memory.setUint32(ptr + PIXELS, memory.Uint8ClampedArray(data).byteOffset)
    return ptr
  }

  /** Sleeps until as many threads have called this. */
  awaitAll(threads) {
    const { memory } = this
    const index = (this.ptr + ARRIVED) / 4
    if (memory.add(Int32Array, index, 1) + 1 === threads) memory.notify(Int32Array, index)
    for (;;) {
      const arrived = memory.load(Int32Array, index)
      if (arrived === threads) return
      memory.wait(Int32Array, index, arrived)
    }
  }

  free() {
    this.memory.free(this.pixels.byteOffset)
    this.memory.free(this.ptr)
  }
}
