// HalfSipHash-1-3, keyed: whoever chooses the keys of a map cannot choose which of them collide. The half of SipHash that
// works on 32-bit words, because JavaScript has no 64-bit ones that are fast; the rounds are those which Linux takes for
// its hash tables on 32-bit machines. The last rounds stand apart from the others: in one loop a number takes 15 ns more.

/**
 * @param {number} key0 the first half of the key, 32 bits
 * @param {number} key1 the second half
 * @param {Int32Array} words what is hashed, little-endian; the word behind the last whole one ends in zero bytes
 * @param {number} byteLength bytes
 * @returns {number} 32 bits, signed
 */
export const halfSipHash = (key0, key1, words, byteLength) => {
  const whole = byteLength >>> 2
  let v0 = key0
  let v1 = key1
  let v2 = key0 ^ 0x6c796765
  let v3 = key1 ^ 0x74656462
  for (let at = 0; at <= whole; at++) {
    let word = words[at]
    if (at === whole) word = ((byteLength & 3) === 0 ? 0 : word) | (byteLength << 24)
    v3 ^= word
    v0 = (v0 + v1) | 0
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
    v0 = (v0 << 16) | (v0 >>> 16)
    v2 = (v2 + v3) | 0
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
    v0 = (v0 + v3) | 0
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
    v2 = (v2 + v1) | 0
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
    v2 = (v2 << 16) | (v2 >>> 16)
    v0 ^= word
  }
  v2 ^= 0xff
  for (let round = 0; round < 3; round++) {
    v0 = (v0 + v1) | 0
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
    v0 = (v0 << 16) | (v0 >>> 16)
    v2 = (v2 + v3) | 0
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
    v0 = (v0 + v3) | 0
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
    v2 = (v2 + v1) | 0
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
    v2 = (v2 << 16) | (v2 >>> 16)
  }
  return v1 ^ v3
}
