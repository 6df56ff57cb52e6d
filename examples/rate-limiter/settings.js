/** Requests of one client in one window. */
export const LIMIT = 20
/** ms. Long, so that no window ends while the example checks what it counts. */
const WINDOW = 10 * 60_000

export const LIMITER = { ttl: WINDOW }
export const SESSIONS = { ttl: 2 * WINDOW, maxEntries: 10_000 }
