// What all processes have to know: the file that they attach, and the options of the maps in it.

/** In the memory of the machine, gone at its next start. The primary process makes it and removes it. */
export const PATH = `/dev/shm/local-shared-memory-example-${process.env.EXAMPLE_ID ?? process.pid}`

/** Requests that a client may send in a window of time. */
export const LIMIT = 60
const WINDOW_MS = 600_000

export const LIMITER = { ttl: WINDOW_MS, maxEntries: 100_000 }
export const SESSIONS = { ttl: 2 * WINDOW_MS, maxBytes: 64 * 2 ** 20 }
