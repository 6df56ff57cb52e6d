// Copies and fills bytes by WebAssembly's own instructions. A typed array's methods go word by word where threads share the
// bytes, and take three times as long; and each call of them takes four times as long.

const { Instance, Module } = WebAssembly

/** Calls after which a memory gets an instance of its own: it takes as long as a hundred of them. */
const CALLS = 32

/**
 * The instructions as functions, for memories that are shared or not:
 *
 *     (import "" "" (memory 0 65536 shared))
 *     (func (export "copy") (param i32 i32 i32) (memory.copy (local.get 0) (local.get 1) (local.get 2)))
 *     (func (export "fill") (param i32 i32 i32) (memory.fill (local.get 0) (local.get 1) (local.get 2)))
 */
const compile = (isShared) => {
  const limits = isShared ? [3, 0, 128, 128, 4] : [0, 0]
  const sections = [
    [0, 97, 115, 109, 1, 0, 0, 0],
    [1, 7, 1, 96, 3, 127, 127, 127, 0],
    [2, 4 + limits.length, 1, 0, 0, 2, ...limits],
    [3, 3, 2, 0, 0],
    [7, 15, 2, 4, 99, 111, 112, 121, 0, 0, 4, 102, 105, 108, 108, 0, 1],
    [10, 26, 2, 12, 0, 32, 0, 32, 1, 32, 2, 252, 10, 0, 0, 11],
    [11, 0, 32, 0, 32, 1, 32, 2, 252, 11, 0, 11],
  ]
  return new Module(new Uint8Array(sections.flat()))
}

const modules = new Map()

const moduleFor = (isShared) => {
  if (!modules.has(isShared)) modules.set(isShared, compile(isShared))
  return modules.get(isShared)
}

/** The functions for one memory, once there were some calls. */
export class Bulk {
  #memory
  #isShared
  #calls = 0
  #copy
  #fill

  /**
   * @param {WebAssembly.Memory} memory
   * @param {boolean} isShared
   */
  constructor(memory, isShared) {
    this.#memory = memory
    this.#isShared = isShared
  }

  /**
   * Copies bytes within the memory, as a typed array of bytes does it.
   *
   * @param {Uint8Array} u8 the whole memory
   * @param {number} dst byte offset
   * @param {number} src byte offset
   * @param {number} byteLength bytes
   */
  memcpy(u8, dst, src, byteLength) {
    if (this.#copy !== undefined || this.#prepare()) {
      try {
        this.#copy(dst, src, byteLength)
        return
      } catch {
        // What another thread has grown the instance may see a moment later than others. It has copied nothing then.
      }
    }
    u8.copyWithin(dst, src, src + byteLength)
  }

  /**
   * Fills bytes of the memory.
   *
   * @param {Uint8Array} u8 the whole memory
   * @param {number} dst byte offset
   * @param {number} byte its lowest 8 bits
   * @param {number} byteLength bytes
   */
  memset(u8, dst, byte, byteLength) {
    if (this.#fill !== undefined || this.#prepare()) {
      try {
        this.#fill(dst, byte, byteLength)
        return
      } catch {
        // As in memcpy.
      }
    }
    u8.fill(byte, dst, dst + byteLength)
  }

  #prepare() {
    this.#calls += 1
    if (this.#calls !== CALLS) return false
    try {
      const { exports } = new Instance(moduleFor(this.#isShared), { '': { '': this.#memory } })
      this.#copy = exports.copy
      this.#fill = exports.fill
      return true
    } catch {
      // A process that may not compile, or has no room left, goes on as before.
      return false
    }
  }
}
