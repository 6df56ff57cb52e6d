// The public types of the second entry point, written by hand.
/// <reference lib="esnext.disposable" />

import type { LocalSharedMemory } from '../index.js'

/** How a lock was got: 'ownerDied' when the thread that held it has ended, so that what it guards may be half changed. */
export type LockOutcome = 'locked' | 'ownerDied'

/** How long to wait. */
export interface WaitOptions {
  /** Milliseconds; for ever when left out. */
  timeout?: number
}

/** How long to wait, and what ends the wait. */
export interface AsyncWaitOptions extends WaitOptions {
  /** The promise is rejected with its reason when it is aborted. */
  signal?: AbortSignal
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
   * @returns false when a thread holds it, be it this one
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
   * Takes the lock until the end of a scope: `using guard = mutex.acquire()`.
   *
   * @param options of `lock`
   * @throws as `lock` does
   */
  acquire(options?: WaitOptions): Guard

  /**
   * Takes the lock while a function runs, and while the promise that it may return is pending.
   *
   * @param run is told how the lock was got
   * @param options of `lock`
   * @returns what the function returns
   * @throws as `lock` does, and what the function throws
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
