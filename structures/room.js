// Room on the stack for giving up what is about to be taken. Giving a lock up takes a call, and at the end of the stack the engine
// refuses any call: the lock would be held for ever by a thread that lives. Whether one function takes more of the stack than another
// is not the same once they are compiled, and some are compiled into others. One thing holds always: the engine does not
// begin a function unless there is room for all the arguments that it may pass on.

/**
 * Makes sure that more of the stack is left than unlocking takes: some 1300 bytes. The call in it is never made; it is one that bundlers
 * do not shorten. There is so much code here that the engine does not compile it into other functions, where less might be left.
 *
 * @param {number} index of a word, which is not negative
 * @throws {RangeError} the engine's own, when there is less
 */
export const checkRoom = (index) => {
  if (index >= 0) return
  // prettier-ignore
  throw new RangeError('A word has no negative index',
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  )
}

/** So many arguments take 64 KiB of the stack. */
const WORDS = Array.from({ length: 2 ** 13 })

const nothing = () => {}

/**
 * Whether as much of the stack is left as reading any value should take. A value that is nested so deeply that it takes more cannot
 * be read by a thread with a stack of that length, however often it tries.
 *
 * @returns {boolean}
 */
export const hasRoomToRead = () => {
  try {
    nothing(...WORDS)
    return true
  } catch {
    return false
  }
}
