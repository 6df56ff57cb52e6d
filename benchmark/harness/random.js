// Seeded random numbers and the operation streams made of them. Every contender, native ones
// included, works through the very same streams.

/**
 * A small generator (mulberry32) with a fixed seed.
 * @param {number} seed
 * @returns {() => number} the next number in [0, 1)
 */
export function random(seed) {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** @returns {Uint32Array} `length` times the same size */
export const constant = (length, size) => new Uint32Array(length).fill(size)

/** @returns {Uint32Array} sizes in bytes, uniform in their logarithm over [least, most] */
export function logUniform(length, least, most, seed = 1) {
  const next = random(seed)
  const ratio = most / least
  return Uint32Array.from({ length }, () => Math.round(least * ratio ** next()))
}

/** @returns {Uint32Array} 0, 1 … `count` - 1, over and over */
export const cyclic = (length, count) => Uint32Array.from({ length }, (_, i) => i % count)

/** @returns {Uint32Array} `length` random slots below `count` */
export function slots(length, count, seed = 2) {
  const next = random(seed)
  return Uint32Array.from({ length }, () => Math.floor(next() * count))
}

/** @returns {Uint32Array} every slot below `count` once, shuffled */
export function shuffled(count, seed = 3) {
  const next = random(seed)
  const order = cyclic(count, count)
  for (let i = count - 1; i > 0; i--) {
    const other = Math.floor(next() * (i + 1))
    const slot = order[i]
    order[i] = order[other]
    order[other] = slot
  }
  return order
}
