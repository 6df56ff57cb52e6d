// The public types of the second entry point, written by hand.
/// <reference lib="esnext.disposable" />

import type { LocalSharedMemory } from '../index.js'

// Part of TypeScript's DOM library and of Node.js's types: it is used where a program has either.
type AbortSignal = typeof globalThis extends { AbortSignal: { readonly prototype: infer S } }
  ? S
  : never

/** How a lock was got: 'ownerDied' when the thread that held it has ended, so that what it guards may be half changed. */
export type LockOutcome = 'locked' | 'ownerDied'

/** How long to wait. */
export interface WaitOptions {
  /** Milliseconds; for ever when left out. */
  timeout?: number | undefined
}

/** How long to wait, and what ends the wait. */
export interface AsyncWaitOptions extends WaitOptions {
  /** The promise is rejected with its reason when it is aborted. */
  signal?: AbortSignal | undefined
}

/** A lock that is held until it is disposed of, once. */
export interface Guard extends Disposable {
  /** Whether the thread that held the lock before ended while it did. */
  readonly ownerDied: boolean
}

/**
 * A lock for all threads of the process. When the thread that holds it ends, in whichever way, the next one gets it within
 * 100 milliseconds and is told.
 */
export class Mutex {
  private constructor()

  /**
   * Makes a mutex. `destroy` frees it.
   *
   * @param memory a shared one
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_MEMORY
   */
  static create(memory: LocalSharedMemory): Mutex

  /**
   * The mutex at a pointer, which another thread may have sent.
   *
   * @param memory the one that it lies in
   * @param ptr its `ptr`
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE
   * @throws {Error} ERR_INVALID_POINTER; ERR_NOT_A_STRUCTURE: the block is something else; ERR_STRUCTURE_MISMATCH: it was
   * made by another version of the package
   */
  static at(memory: LocalSharedMemory, ptr: number): Mutex

  /**
   * The mutex of a name, made if there is none: the same for all threads, also for those that ask at the same moment. The name
   * is a root of the memory.
   *
   * @param memory a shared one
   * @param name 1 to 256 characters
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE, ERR_OUT_OF_MEMORY
   * @throws {Error} ERR_INVALID_POINTER, ERR_NOT_A_STRUCTURE: the name is another block's; ERR_STRUCTURE_MISMATCH
   */
  static open(memory: LocalSharedMemory, name: string): Mutex

  /** The memory that it lies in. */
  readonly memory: LocalSharedMemory

  /** Pointer to its block. */
  readonly ptr: number

  /**
   * Takes the lock. The thread sleeps until it can be had; the main thread too, with all that it has to do.
   *
   * @param options
   * @returns 'ownerDied' when the thread that held it has ended
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE
   * @throws {Error} ERR_TIMED_OUT; ERR_DEADLOCK: this thread holds it; ERR_NOT_A_STRUCTURE: it was destroyed
   */
  lock(options?: WaitOptions): LockOutcome

  /**
   * Takes the lock if it can be had at once.
   *
   * @returns false when a thread holds it, this one included
   * @throws {Error} ERR_NOT_A_STRUCTURE: it was destroyed
   */
  tryLock(): LockOutcome | false

  /**
   * Takes the lock without putting the thread to sleep. It waits for other tasks of this thread too. The thread stays alive
   * until the promise is settled.
   *
   * @param options
   * @returns rejected with ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE, ERR_TIMED_OUT, ERR_NOT_A_STRUCTURE, or the signal's reason
   */
  lockAsync(options?: AsyncWaitOptions): Promise<LockOutcome>

  /**
   * Gives the lock up. Every task of the thread that took it may do so.
   *
   * @throws {Error} ERR_NOT_LOCKED: this thread does not hold it; ERR_NOT_A_STRUCTURE: it was destroyed
   */
  unlock(): void

  /**
   * Takes the lock until the end of a scope: `using guard = mutex.acquire()`. Disposing of the guard gives it up, once. If `unlock` did
   * so before, disposing throws ERR_NOT_LOCKED, and a lock that was taken since stays.
   *
   * @param options of `lock`
   * @throws as `lock` does
   */
  acquire(options?: WaitOptions): Guard

  /**
   * Takes the lock while a function runs, and while the promise that it may return is pending. Tasks of one thread that overlap take
   * it by lockAsync.
   *
   * @param run is told how the lock was got
   * @param options of `lock`
   * @returns what the function returns
   * @throws as `lock` does, and what the function throws; ERR_NOT_LOCKED: it has given the lock up itself, and thrown nothing
   */
  withLock<T>(run: (outcome: LockOutcome) => T, options?: WaitOptions): T

  /**
   * Frees its block and takes its names away. Nobody may use it meanwhile; whoever does so afterwards, in any thread, gets
   * ERR_NOT_A_STRUCTURE.
   *
   * @throws {Error} ERR_NOT_A_STRUCTURE: it was destroyed before; ERR_HEAP_CORRUPTED
   */
  destroy(): void
}

/** What a Channel is made with. */
export interface ChannelOptions {
  /**
   * Bytes of the longest message, and of all that wait to be received, each a multiple of 8 and 8 more; by default 65,536, at
   * most 2^29.
   */
  capacity?: number | undefined
}

/** Room for a message in a Channel, which its sender fills where it lies. */
export interface Reservation extends Disposable {
  /** The message's bytes in the channel: anything, until they are written. Once sent or dropped they are not the sender's any more. */
  readonly bytes: Uint8Array

  /**
   * Sends the message. Nothing happens when it was sent or dropped before.
   *
   * @throws {Error} ERR_NOT_A_STRUCTURE: the channel was destroyed
   */
  commit(): void

  /**
   * Drops the message, unless it was sent.
   *
   * @throws {Error} ERR_NOT_A_STRUCTURE: the channel was destroyed
   */
  [Symbol.dispose](): void
}

/**
 * Messages from any thread of the process to any other: a queue of bounded length. Each message is received by one thread; those
 * of one sender come in their order. A thread that is terminated takes one message with it at the most.
 *
 * Messages are copied in and out: strings, numbers, bigints, booleans, null and bytes as they are, everything else that structured
 * clone takes by `v8.serialize`. Bytes come as a Uint8Array; from 65 to 262,144 of them are a part of an ArrayBuffer
 * that other copies lie in too, as in Node.js's small Buffers.
 */
export class Channel<T = any> {
  private constructor()

  /**
   * Makes a channel. `destroy` frees it.
   *
   * @param memory a shared one
   * @param options
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE, ERR_OUT_OF_MEMORY
   */
  static create<T = any>(memory: LocalSharedMemory, options?: ChannelOptions): Channel<T>

  /**
   * The channel at a pointer, which another thread may have sent.
   *
   * @param memory the one that it lies in
   * @param ptr its `ptr`
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE
   * @throws {Error} ERR_INVALID_POINTER; ERR_NOT_A_STRUCTURE: the block is something else; ERR_STRUCTURE_MISMATCH: it was
   * made by another version of the package
   */
  static at<T = any>(memory: LocalSharedMemory, ptr: number): Channel<T>

  /**
   * The channel of a name, made if there is none: the same for all threads, also for those that ask at the same moment. The name
   * is a root of the memory.
   *
   * @param memory a shared one
   * @param name 1 to 256 characters
   * @param options those that it was made with
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE, ERR_OUT_OF_MEMORY
   * @throws {Error} ERR_INVALID_POINTER, ERR_NOT_A_STRUCTURE: the name is another block's; ERR_STRUCTURE_MISMATCH: it was made
   * with other options
   */
  static open<T = any>(
    memory: LocalSharedMemory,
    name: string,
    options?: ChannelOptions,
  ): Channel<T>

  /** The memory that it lies in. */
  readonly memory: LocalSharedMemory

  /** Pointer to its block. */
  readonly ptr: number

  /** Bytes of the longest message: the option, rounded up to a multiple of 8. */
  readonly capacity: number

  /** Whether nothing can be sent any more. Throws ERR_NOT_A_STRUCTURE when it was destroyed. */
  readonly closed: boolean

  /**
   * Sends a message. The thread sleeps until there is room for it; the main thread too, with all that it has to do.
   *
   * @param message
   * @param options
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE, also when it is longer than `capacity`
   * @throws {Error} ERR_CHANNEL_CLOSED; ERR_TIMED_OUT; ERR_DEADLOCK: what this thread has reserved and not yet sent is in the way;
   * ERR_NOT_A_STRUCTURE: it was destroyed; ERR_HEAP_CORRUPTED: the channel was written over
   */
  send(message: T, options?: WaitOptions): void

  /**
   * Sends a message if there is room for it at once.
   *
   * @param message
   * @returns whether it was sent
   * @throws as `send` does
   */
  trySend(message: T): boolean

  /**
   * Sends a message without putting the thread to sleep. Bytes are those of the moment of the call. The thread stays alive until the
   * promise is settled. What the same thread sends while this one waits for room may come first.
   *
   * @param message
   * @param options
   * @returns rejected as `send` throws, or with the signal's reason
   */
  sendAsync(message: T, options?: AsyncWaitOptions): Promise<void>

  /**
   * Room for a message of bytes, to be filled where it lies. Messages that are sent after it are received after it, once it was
   * sent or dropped, or this thread has ended. The thread sleeps until there is room.
   *
   * @param byteLength bytes
   * @param options
   * @throws as `send` does
   */
  reserve(byteLength: number, options?: WaitOptions): Reservation

  /**
   * Receives a message. The thread sleeps until there is one; the main thread too, with all that it has to do.
   *
   * @param options
   * @returns undefined once the channel is closed and empty
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE
   * @throws {Error} ERR_TIMED_OUT; ERR_DEADLOCK: the oldest message is one that this thread has reserved and not yet sent;
   * ERR_NOT_A_STRUCTURE: it was destroyed; ERR_HEAP_CORRUPTED: the channel was written over
   */
  receive(options?: WaitOptions): T | undefined

  /**
   * Receives a message if there is one at once.
   *
   * @returns undefined when there is none
   * @throws as `receive` does
   */
  tryReceive(): T | undefined

  /**
   * Receives a message without putting the thread to sleep; where there is none yet it looks for one, for up to some 16 µs. The
   * thread stays alive until the promise is settled. Promises of one object that are pending get messages in the order of the calls.
   *
   * @param options
   * @returns undefined once the channel is closed and empty; rejected as `receive` throws, or with the signal's reason
   */
  receiveAsync(options?: AsyncWaitOptions): Promise<T | undefined>

  /** Receives messages until the channel is closed and empty. */
  [Symbol.asyncIterator](): AsyncGenerator<T, void, undefined>

  /**
   * Ends sending, for all threads. What was sent before can still be received.
   *
   * @throws {Error} ERR_NOT_A_STRUCTURE: it was destroyed
   */
  close(): void

  /**
   * Frees its block and takes its names away. Nobody may use it meanwhile; whoever does so afterwards, in any thread, gets
   * ERR_NOT_A_STRUCTURE.
   *
   * @throws {Error} ERR_NOT_A_STRUCTURE: it was destroyed before; ERR_HEAP_CORRUPTED
   */
  destroy(): void
}

/** What a key of a SharedMap can be. Keys are the same where a Map says so, and Uint8Arrays where they hold the same bytes. */
export type SharedMapKey = string | number | bigint | Uint8Array

/** What a SharedMap is made with. */
export interface SharedMapOptions {
  /** Milliseconds after which an entry expires, unless `set` gives it another time; never when left out. */
  ttl?: number | undefined
  /** The most entries: what was not read for long is evicted. Without a limit when left out. */
  maxEntries?: number | undefined
  /** The most bytes that the blocks of all entries take, headers included. Without a limit when left out. */
  maxBytes?: number | undefined
}

/** What `set` does otherwise than the map's options say. */
export interface SharedMapSetOptions {
  /** Milliseconds after which the entry expires; Infinity for never. */
  ttl?: number | undefined
}

/** How a SharedMap is used. */
export interface SharedMapStats {
  /** Entries, with those that have expired and were not met since. */
  size: number
  /** Bytes that the blocks of all entries take, headers included. */
  bytes: number
  /** Calls of `get` and `getOrInsert`, by all threads, that found the key. */
  hits: number
  /** Those that did not. */
  misses: number
  /** Entries that were taken out for want of room. */
  evictions: number
  /** Entries that were taken out because they had expired. */
  expiries: number
}

/**
 * A Map for all threads of the process. Keys and values are copied in and out: strings, numbers, bigints, booleans, null and
 * bytes as they are, everything else that structured clone takes by `v8.serialize`. Bytes come as a Uint8Array; from 65 to
 * 262,144 of them are a part of an ArrayBuffer that other copies lie in too, as in Node.js's small Buffers.
 *
 * Reading takes no lock, as a rule. Writing takes that of a part of the map; there are up to 64. A thread that is terminated in any
 * method leaves each key with its old or its new value, and whoever comes next to that part of the map puts it in order.
 */
export class SharedMap<K extends SharedMapKey = SharedMapKey, V = any> {
  private constructor()

  /**
   * Makes a map. `destroy` frees it.
   *
   * @param memory a shared one
   * @param options
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE, ERR_OUT_OF_MEMORY
   */
  static create<K extends SharedMapKey = SharedMapKey, V = any>(
    memory: LocalSharedMemory,
    options?: SharedMapOptions,
  ): SharedMap<K, V>

  /**
   * The map at a pointer, which another thread may have sent.
   *
   * @param memory the one that it lies in
   * @param ptr its `ptr`
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE
   * @throws {Error} ERR_INVALID_POINTER; ERR_NOT_A_STRUCTURE: the block is something else; ERR_STRUCTURE_MISMATCH: it was
   * made by another version of the package; ERR_HEAP_CORRUPTED: something wrote over it
   */
  static at<K extends SharedMapKey = SharedMapKey, V = any>(
    memory: LocalSharedMemory,
    ptr: number,
  ): SharedMap<K, V>

  /**
   * The map of a name, made if there is none: the same for all threads, also for those that ask at the same moment. The name is
   * a root of the memory.
   *
   * @param memory a shared one
   * @param name 1 to 256 characters
   * @param options those that it was made with, if there is one
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE, ERR_OUT_OF_MEMORY
   * @throws {Error} ERR_INVALID_POINTER, ERR_NOT_A_STRUCTURE: the name is another block's; ERR_STRUCTURE_MISMATCH: it was made
   * with other options, or by another version of the package; ERR_HEAP_CORRUPTED: something wrote over it
   */
  static open<K extends SharedMapKey = SharedMapKey, V = any>(
    memory: LocalSharedMemory,
    name: string,
    options?: SharedMapOptions,
  ): SharedMap<K, V>

  /** The memory that it lies in. */
  readonly memory: LocalSharedMemory

  /** Pointer to its block. */
  readonly ptr: number

  /** The entries, with those that have expired and were not met since. */
  readonly size: number

  /**
   * @param key
   * @returns a copy of the value; undefined when there is none
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE: the key is longer than 16,777,215 bytes
   * @throws {Error} ERR_NOT_A_STRUCTURE: the map was destroyed; ERR_HEAP_CORRUPTED, ERR_INVALID_POINTER: something wrote over
   * it. All methods throw these three
   */
  get(key: K): V | undefined

  /**
   * @param key
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE
   */
  has(key: K): boolean

  /**
   * Gives a key a value, and evicts others where the map has limits.
   *
   * @param key
   * @param value anything that structured clone takes, but not undefined, a SharedArrayBuffer, a WebAssembly.Memory, a
   * WebAssembly.Module or an object of Node.js's own, such as a Blob
   * @param options
   * @returns the map
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE: also when the entry is larger than `maxBytes`; ERR_OUT_OF_MEMORY. The key has its old
   * value then
   * @throws {Error} ERR_DEADLOCK: a function given to `update` called it
   */
  set(key: K, value: V, options?: SharedMapSetOptions): this

  /**
   * @param key
   * @returns whether there was such a key
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE
   * @throws {Error} ERR_DEADLOCK: as `set`
   */
  delete(key: K): boolean

  /**
   * Takes out all entries, one part of the map after the other: some of those that others set meanwhile may stay.
   *
   * @throws {Error} ERR_DEADLOCK: as `set`
   */
  clear(): void

  /**
   * Gives a key a value unless it has one, in one step for all threads.
   *
   * @param key
   * @param value
   * @returns the value that it has then
   * @throws as `set` does
   */
  getOrInsert(key: K, value: V): V

  /**
   * Adds to a value, in one step for all threads. A key without one gets `by`, and expires by the map's `ttl`; one that has a
   * value goes on to expire when it did.
   *
   * @param key
   * @param by a number or a bigint, as the value; by default 1
   * @returns the sum
   * @throws as `set` does, with ERR_INVALID_ARG_TYPE also when the value is of another type than `by`
   */
  increment(key: K, by?: number): number
  /**
   * Adds to a bigint, likewise.
   *
   * @param key
   * @param by
   * @returns the sum
   * @throws as `set` does
   */
  increment(key: K, by: bigint): bigint

  /**
   * Puts in a value's place what a function makes of it, in one step for all threads. Those that write to the same part of
   * the map wait until it returns. A key without a value gets one that expires by the map's `ttl`; one that has a value goes on
   * to expire when it did.
   *
   * @param key
   * @param make gets the value, undefined when there is none; when it returns undefined, the key is taken out. It may read
   * SharedMaps, and must neither change nor go over one. A promise is no value: it cannot be asynchronous
   * @returns what the function returns
   * @throws as `set` does, and what the function throws: the key has its old value then
   */
  update<T extends V | undefined>(key: K, make: (value: V | undefined) => T): T

  /**
   * Goes over copies of the entries, in no particular order. It meets each one that stays for the whole time once, whatever
   * other threads do, and of those that come, go or change meanwhile, some.
   *
   * @throws {Error} ERR_DEADLOCK: as `set`
   */
  entries(): Generator<[K, V], void, undefined>

  /** Goes over the keys, as `entries` does. */
  keys(): Generator<K, void, undefined>

  /** Goes over the values, as `entries` does. */
  values(): Generator<V, void, undefined>

  /** The same as `entries`. */
  [Symbol.iterator](): Generator<[K, V], void, undefined>

  /**
   * Calls a function for each entry, as `entries` goes over them.
   *
   * @param act
   * @param receiver its `this`
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   */
  forEach(act: (value: V, key: K, map: this) => void, receiver?: unknown): void

  /** How the map is used, by all threads. */
  stats(): SharedMapStats

  /**
   * Frees every byte of it and takes its names away. Nobody may use it meanwhile; whoever does so afterwards, in any thread, gets
   * ERR_NOT_A_STRUCTURE. After a thread was terminated in it, another can call it again.
   *
   * @throws {Error} ERR_NOT_A_STRUCTURE: it was destroyed before; ERR_DEADLOCK: as `set`; ERR_HEAP_CORRUPTED
   */
  destroy(): void
}

export * from './struct.js'
