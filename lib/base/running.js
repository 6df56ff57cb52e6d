// Calls a function, and knows afterwards whether it still runs. A `finally` does not tell: the engine passes it by where the `timeout`
// of `vm` cuts a call short. The `arguments` of a function that is not strict does: they are null unless it is being called.
// Modules have strict ones only, so this one is compiled from a text.

const compiled = () => {
  try {
    // oxlint-disable-next-line no-new-func -- the source is this package's own
    return new Function('act', 'return act()')
  } catch {
    return undefined
  }
}

/**
 * @returns {{ run: <T>(act: () => T) => T, isRunning: () => boolean }} `run` calls a function, and `isRunning` says whether it was
 * called and has not come back. Where a program may not compile code at run time (--disallow-code-generation-from-strings)
 * it says so for ever of one that was cut short
 */
export const newRunner = () => {
  const frame = compiled()
  let isBegun = false
  const isRunning = () => isBegun && (frame === undefined || frame.arguments !== null)
  const run = (act) => {
    const wasRunning = isRunning()
    isBegun = true
    try {
      return frame === undefined ? act() : frame(act)
    } finally {
      isBegun = wasRunning
    }
  }
  return { run, isRunning }
}
