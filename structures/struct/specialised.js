// Copies of a function, for the compiler. Functions that one place in a program makes share what the engine learns about the
// values that they meet: an accessor that serves the fields of many structs is twenty times slower than one that serves
// one. So each field gets a function that was compiled for it alone. Where a program may not compile code at run time
// (--disallow-code-generation-from-strings), or where a tool has added names to the source that mean something in its
// file alone (coverage counters, say), all share one, and do the same.

let copies = 0

/**
 * @template {unknown[]} V
 * @template M
 * @param {(...values: V) => M} make refers to nothing but its arguments and globals: it makes functions of them
 * @param {V} values
 * @returns {M} what it makes of them, compiled anew
 */
export const specialised = (make, ...values) => {
  try {
    // The number keeps the engine from finding the code in its cache.
    // oxlint-disable-next-line no-new-func -- the source is this package's own
    return new Function(`return ${make} // ${copies++}`)()(...values)
  } catch {
    return make(...values)
  }
}
