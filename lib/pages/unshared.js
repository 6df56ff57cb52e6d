// What a user learns who posts a memory that is not shared to a thread. The engine throws its own DataCloneError then, and no
// code of ours runs; but it names the object by these two properties, if both are there, and so can say what to do.

const NAME = 'LocalSharedMemory that is not shared: give { shared: true } to its constructor'

const hidden = (value) => ({ value, configurable: true, writable: true })

/**
 * Gives a memory that is not shared the name that the engine's error shows.
 *
 * @template {WebAssembly.Memory} T
 * @param {T} memory
 * @returns {T}
 */
export const nameUnshared = (memory) =>
  Object.defineProperties(memory, {
    [Symbol.toStringTag]: hidden(NAME),
    toString: hidden(() => '[object LocalSharedMemory]'),
  })
