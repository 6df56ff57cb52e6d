// Where everything of a map lies, in words of four bytes unless a name says otherwise. The files that use it make constants of
// their own from it, `const { HASH } = layout`: the compiler sees through those, and loads an imported one at each use, which
// takes a fifth of a `get`.
//
//   map        one block: the foundation's head | settings | stripes of counters, one a thread | shards
//   shard      lock, version, its part of the buckets, the blocks it has in its hands, its counters
//   segment    a block of buckets: 16, 16, 32, 64 … so that the n-th bucket never moves
//   bucket     the pointer of the first entry
//   entry      a block: next | hash | what key and value are, and the key's length | value's length | when it expires (f64, ms)
//              | key, filled up to 8 bytes | value. Pointers are multiples of 16: bit 0 of `next` says that the entry was read

/** Bytes that the places and lengths of blocks are multiples of. */
export const GRAIN = 16

/** How many bits of a hash choose the shard. */
export const SHARD_BITS = 4
/** Two words. */
export const HASH_KEY = 5
/** f64: ttl in ms, most entries, most bytes; Infinity for none. */
export const LIMITS = 8
/** Where the stripes begin. */
export const FIRST_STRIPE = 16

/** Words from stripe to stripe: hits and misses are f64, the owner is a thread's token. */
export const STRIPE_WORDS = 16
export const STRIPE_COUNT = 32
export const STRIPE_OWNER = 0
export const STRIPE_HITS = 2
export const STRIPE_MISSES = 4

/** Where the shards begin. */
export const FIRST_SHARD = FIRST_STRIPE + STRIPE_COUNT * STRIPE_WORDS
/** Words from shard to shard. What two threads write is never in one line of 64 bytes. */
export const SHARD_WORDS = 64
/**
 * Held by whoever changes the shard. What a `set` writes follows in the same line, as far as it has room: each line that two threads
 * write has to come over from the other one's processor.
 */
export const LOCK = 0
/** How many entries expire. */
export const EXPIRING = 1
/** Odd while entries move between buckets, another after each entry that was taken out: what was read in between is void. */
export const VERSION = 2
/** Not 0 while the shard is being changed. Whoever finds it so with the lock in hand repairs the shard. */
export const DIRTY = 3
/** How many buckets there are. */
export const BUCKETS = 4
/** A block that is to become an entry. */
export const FRESH = 5
/** An entry that is being taken out, or was. */
export const STALE = 6
/** Grains: no block of the shard reaches beyond. */
export const REACH = 7
/** f64: bytes of the blocks of all entries, headers included. */
export const BYTES_USED = 8
/** How many entries there are. */
export const COUNT = 10
/** Blocks that wait to become entries, by size; five of them in the first line. */
export const SPARES = 11
export const SPARE_COUNT = 8
/** An entry on its way from one bucket to another. */
export const MOVING = 19
/** The bucket that eviction looks at next. */
export const HAND = 20
/** The bucket that is searched next for entries that have expired. */
export const SWEEP = 21
/** f64 */
export const EVICTIONS = 22
/** f64 */
export const EXPIRIES = 24
/** Not 0 while a function of `update` runs with the lock in hand. */
export const UPDATING = 26
/** The pointers of the segments. */
export const SEGMENTS = 32
export const SEGMENT_COUNT = 23

/** Buckets of the first segment. */
export const FIRST_BUCKETS = 16
export const MAX_BUCKETS = 2 ** 26

/** Words of an entry. */
export const NEXT = 0
export const HASH = 1
export const META = 2
export const VALUE_LENGTH = 3
/** f64 */
export const EXPIRES = 4
export const KEY = 6
/** Bytes before the key. */
export const ENTRY_HEAD = 24

/** The bits of META that say what the key is; the others say what the value is. */
export const KEY_MASK = ~0xf0
export const VALUE_TAG_SHIFT = 4
export const TAG_BITS = 15

/** Set in NEXT iff the entry was read since the hand of eviction was there last, in a map with limits. */
export const READ_BIT = 1
/** What of a link is the pointer. */
export const POINTER_MASK = -16
