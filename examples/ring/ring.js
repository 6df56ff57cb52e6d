// A queue with a fixed number of places, for any number of threads that put and take pointers. Nobody spins: who finds no
// room, or nothing to take, sleeps until the place that is his is his turn's.
//
//   ring     puts u32 | takes u32 | capacity u32 | not used u32 | places
//   place    turn i32 | value u32
//
// Each put and each take draws a number. It says which place is meant, and which lap around the ring: the place's turn is
// 2 x lap when it waits for that lap's put, and 2 x lap + 1 when it waits for its take. There are 2^32 numbers.

const PUTS = 0
const TAKES = 4
const CAPACITY = 8
const PLACES = 16
const PLACE = 8

/** The ring as one thread sees it. */
export class Ring {
  /**
   * @param {LocalSharedMemory} memory
   * @param {number} ptr what Ring.allocate returned, in whichever thread
   */
  constructor(memory, ptr) {
    this.memory = memory
    this.ptr = ptr
    this.capacity = memory.getUint32(ptr + CAPACITY)
  }

  /**
   * @param {LocalSharedMemory} memory
   * @param {number} capacity places, a power of two
   * @returns {number} pointer
   */
  static allocate(memory, capacity) {
    const ptr = memory.calloc(PLACES + capacity * PLACE)
    memory.setUint32(ptr + CAPACITY, capacity)
    return ptr
  }

  /** Puts a pointer into the ring, when there is room for it. */
  put(value) {
    const { place, turn } = this.draw(PUTS)
    this.awaitTurn(place, turn)
    this.memory.setUint32(place + 4, value)
    this.endTurn(place, turn)
  }

  /** Takes a pointer out, when there is one. Those of one thread come in the order in which it put them. */
  take() {
    const { place, turn } = this.draw(TAKES)
    this.awaitTurn(place, turn + 1)
    const value = this.memory.getUint32(place + 4)
    this.endTurn(place, turn + 1)
    return value
  }

  draw(counter) {
    const number = this.memory.add(Uint32Array, (this.ptr + counter) / 4, 1)
    const lap = Math.floor(number / this.capacity)
    return { place: this.ptr + PLACES + (number % this.capacity) * PLACE, turn: 2 * lap }
  }

  awaitTurn(place, turn) {
    const index = place / 4
    for (;;) {
      const now = this.memory.load(Int32Array, index)
      if (now === turn) return
      this.memory.wait(Int32Array, index, now)
    }
  }

  endTurn(place, turn) {
    this.memory.store(Int32Array, place / 4, turn + 1)
    this.memory.notify(Int32Array, place / 4)
  }
}
