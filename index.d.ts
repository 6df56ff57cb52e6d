// The public types, written by hand. `using` has a library of TypeScript's to itself.
/// <reference lib="esnext.disposable" />

// WebAssembly's own types are in TypeScript's DOM library, which would bring `window` into programs that have none: they are
// used where a program has them.
type EngineMemory = typeof globalThis extends { WebAssembly: { Memory: { prototype: infer M } } }
  ? M
  : { readonly buffer: MemoryBuffer; grow(delta: number): number }

declare const EngineMemory: new () => EngineMemory

/** What has the members of two types, each as it is in both. */
type Both<A, B> = {
  readonly [K in keyof A | keyof B]: (K extends keyof A ? A[K] : unknown) &
    (K extends keyof B ? B[K] : unknown)
}

type Float16ArrayConstructor = typeof globalThis extends { Float16Array: infer Constructor }
  ? Constructor
  : never

/** The typed arrays whose elements are bigints. */
export type BigIntArrayConstructor = BigInt64ArrayConstructor | BigUint64ArrayConstructor

/** The typed arrays whose elements are numbers. */
export type NumberArrayConstructor =
  | Int8ArrayConstructor
  | Uint8ArrayConstructor
  | Uint8ClampedArrayConstructor
  | Int16ArrayConstructor
  | Uint16ArrayConstructor
  | Int32ArrayConstructor
  | Uint32ArrayConstructor
  | Float32ArrayConstructor
  | Float64ArrayConstructor
  | Float16ArrayConstructor

/** The typed arrays. */
export type TypedArrayConstructor = BigIntArrayConstructor | NumberArrayConstructor

/** What Atomics can work on with numbers: the constructor of an integer array, or such an array. */
export type NumberAtomicArray =
  | Int8ArrayConstructor
  | Uint8ArrayConstructor
  | Int16ArrayConstructor
  | Uint16ArrayConstructor
  | Int32ArrayConstructor
  | Uint32ArrayConstructor
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array

/** What Atomics can work on with bigints: the constructor of a 64-bit array, or such an array. */
export type BigIntAtomicArray = BigIntArrayConstructor | BigInt64Array | BigUint64Array

/** What a thread can wait on while it holds a number. */
export type NumberWaitableArray = Int32ArrayConstructor | Int32Array

/** What a thread can wait on while it holds a bigint. */
export type BigIntWaitableArray = BigInt64ArrayConstructor | BigInt64Array

/** The array that a constructor makes. */
export type ArrayOf<C> = C extends { readonly prototype: infer A } ? A : never

/** The `code` of every error that the package throws on its own account. */
export type ErrorCode =
  | 'ERR_INVALID_ARG_TYPE'
  | 'ERR_OUT_OF_RANGE'
  | 'ERR_OUT_OF_MEMORY'
  | 'ERR_INVALID_POINTER'
  | 'ERR_HEAP_CORRUPTED'
  | 'ERR_NOT_A_HEAP'
  | 'ERR_UNKNOWN_NAME'
  | 'ERR_ADDON_MISMATCH'
  | 'ERR_STORAGE_UNAVAILABLE'
  | 'ERR_ADDON_UNAVAILABLE'
  | 'ERR_DEBUG_UNAVAILABLE'
  | 'ERR_NOT_A_STRUCTURE'
  | 'ERR_STRUCTURE_MISMATCH'
  | 'ERR_DEADLOCK'
  | 'ERR_NOT_LOCKED'
  | 'ERR_TIMED_OUT'
  | 'ERR_CHANNEL_CLOSED'
  | 'ERR_ATTACH_REFUSED'
  | 'ERR_ATTACH_FULL'
  | 'ERR_HEAP_UNCLEAN'
  | 'ERR_HEAP_BUSY'
  | 'ERR_HEAP_CLOSED'
  | 'ERR_WEBASSEMBLY_NOT_SUPPORTED'
  | 'ERR_INTERNAL'

/** Who allocated the bytes: Rust ('native') or the JavaScript engine. */
export type Storage = 'native' | 'engine'

/**
 * The bytes of a memory: a SharedArrayBuffer, or an ArrayBuffer when it is not shared. It can be passed for either, as
 * TypeScript's WebAssembly.Memory knows the second only; `instanceof` tells which it is.
 */
export type MemoryBuffer = Both<ArrayBuffer, SharedArrayBuffer>

/** The descriptor that WebAssembly.Memory takes, and what the heap needs besides. */
export interface LocalSharedMemoryDescriptor {
  /** Pages of 65,536 bytes at first. */
  initial: number
  /** Pages that it may grow to. A shared memory needs it. */
  maximum?: number | undefined
  /** Whether other threads can have it. Default false, as for WebAssembly.Memory. */
  shared?: boolean | undefined
  /** Pointers, headers and the records of the heap are 32-bit: memories with 64-bit addresses are refused. */
  address?: 'i32' | undefined
  /**
   * Bytes, for a memory that also holds a module's own data. The heap uses only the bytes from here to the initial size, and
   * pages that it grows itself; what lies below, and pages that others grow, it leaves alone. The initial size means: grown
   * pages only. Left out, the heap owns the whole memory, pages that anyone grows included.
   */
  heapBase?: number | undefined
  /** Where the bytes live. Left out: native where that works, else engine. See [Where the bytes live](storage.md). */
  storage?: Storage | undefined
  /**
   * Whether the memory is in [debug mode](debug-mode.md). Left out: when the environment variable LSM_DEBUG was 1 as the
   * package was loaded.
   */
  debug?: boolean | undefined
}

/**
 * The constructor's descriptor, with the defaults of its other form, and `create`: whether to make the memory if there is none,
 * by default true.
 */
export type SharedMemoryOptions = Partial<LocalSharedMemoryDescriptor> & {
  shared?: true | undefined
  create?: boolean | undefined
}

/** What a memory in a file has, and may have. */
export interface AttachOptions {
  /** Pages of 65,536 bytes that a new memory has, default `maximum`, else {@link LocalSharedMemory.devicePageSize}. */
  initial?: number | undefined
  /** Pages that it may grow to, default `initial` for a new memory. For one that exists the same, or left out. */
  maximum?: number | undefined
  /** Whether to make the file if there is none, default true. */
  create?: boolean | undefined
}

/**
 * C's allocation functions over a heap, and its memory, for a module's import object. Sizes are in bytes, pointers may be signed.
 * What cannot be allocated is 0; ERR_INVALID_POINTER, ERR_HEAP_CORRUPTED and, where `posix_memalign` is to store the pointer outside the
 * memory, ERR_OUT_OF_RANGE are thrown through the module.
 */
export type LibcImports = {
  /** The memory itself. */
  memory: LocalSharedMemory
  /** Allocates a block at a multiple of 16. No bytes: a block of one byte. */
  malloc: (byteLength: number) => number
  /** Frees a block, whichever thread and language made it. 0 does nothing. */
  free: (ptr: number) => void
  /** Allocates a block of zeroed bytes; 0 when the product is above 2^32 - 1. */
  calloc: (count: number, byteLength: number) => number
  /** Resizes a block. 0 as `ptr` allocates; 0 as `byteLength` frees and returns 0. */
  realloc: (ptr: number, byteLength: number) => number
  /** Allocates at a multiple of a power of two up to 65,536; 0 for any other alignment. */
  aligned_alloc: (alignBytes: number, byteLength: number) => number
  /** Stores the pointer at `pointerAt`. Returns 0, EINVAL (22) or ENOMEM (12). */
  posix_memalign: (pointerAt: number, alignBytes: number, byteLength: number) => number
  /** The bytes that were asked for, which is what `realloc` keeps; 0 for 0. */
  malloc_usable_size: (ptr: number) => number
}

/** A live block. */
export interface Allocation {
  /** The pointer: bytes from the start of the memory. */
  byteOffset: number
  /** Bytes that were asked for. */
  byteLength: number
  /** Bytes that the block occupies, header and padding included. */
  bufferSize: number
  /** A copy of the block's bytes, made when it is read. */
  readonly buffer: SharedArrayBuffer
}

/** The heap in numbers. */
export interface HeapStats {
  /** Bytes of the memory. */
  byteLength: number
  /** Bytes that live blocks occupy, headers and padding included. */
  usedBytes: number
  /** Bytes that were asked for in live blocks. */
  requestedBytes: number
  /** Bytes that can be allocated without growth. */
  freeBytes: number
  /**
   * Bytes of free blocks that threads have to themselves, over all threads, and of those that other processes keep; in
   * debug mode, of those in quarantine.
   */
  cachedBytes: number
  /**
   * Bytes of a block that is sure to fit as the memory is. A longer one may fit, too, once all that is free is put together;
   * and a memory that can grow may do so for a shorter one.
   */
  largestFreeBlock: number
  /** Live blocks. */
  blockCount: number
}

/** Where in a program a block was made or freed. */
export interface Place {
  /** worker_threads' number of the thread. */
  threadId: number
  /** The JavaScript stack, a line a frame. */
  stack: string
  /** The kind of structure that did it for the program, 'SharedMap'; left out when none did. */
  structure?: string
}

/** A block, and in debug mode who made and freed it. What is not known is left out. */
export interface BlockFacts {
  /** The pointer. */
  ptr?: number
  /** Bytes that were asked for. */
  byteLength?: number
  /** Who made it. */
  made?: Place
  /** Who freed it. */
  freed?: Place
}

/** Something that was written over. */
export interface HeapFault extends BlockFacts {
  /**
   * What it was: the heap's own records, the header of a block, the guard behind a block, or a block that was freed. The last
   * two are found in debug mode only.
   */
  kind: 'record' | 'header' | 'overrun' | 'write-after-free'
  /** The first byte that cannot be right, in a header or a record the word that it lies in. */
  byteOffset: number
  /** All of this in words. */
  message: string
}

/** Live blocks that one place in one thread made. */
export interface Leak extends Partial<Place> {
  /** How many blocks. */
  count: number
  /** Bytes that were asked for in them. */
  byteLength: number
  /** Their pointers, ascending. */
  blocks: number[]
}

/** A range of the memory, and what it is used for. */
export interface HeapArea {
  /**
   * 'span': blocks of one size. 'large': one block. 'free': neither. 'table': the heap's own records. 'outside': not the
   * heap's, that is below `heapBase`, pages that others grew or that it has not taken in yet, and all of a memory before the
   * first allocation.
   */
  kind: 'span' | 'large' | 'free' | 'table' | 'outside'
  /** Bytes from the start of the memory. */
  byteOffset: number
  /** Bytes. */
  byteLength: number
  /** Bytes of a free area that take up no memory: never written to, or given back by `trim()`. */
  trimmedBytes: number
  /** Bytes of each block, header and padding included; 0 where there are none. */
  blockBytes: number
  /** Blocks of the area, in use or not. */
  slots: number
  /** Live blocks. */
  live: number
  /** Free blocks in the caches of threads, in debug mode those in quarantine. */
  cached: number
  /** Other free blocks. */
  free: number
}

/**
 * A WebAssembly.Memory with a heap that JavaScript, WebAssembly and native code use together, from every thread. Whatever
 * the engine gives a memory works as always, and a module can import it.
 *
 * A pointer is a byte offset into the memory: 0 is null and never valid, and pointers go up to 2^32 - 1. A page is 65,536
 * bytes. Bad input throws an error with an {@link ErrorCode} as its `code` and changes nothing. Besides what its comment lists,
 * every call on blocks may throw ERR_HEAP_CLOSED, on a handle that was closed, and, in a heap of several processes,
 * ERR_HEAP_BUSY, while another process has stopped in the middle of a call.
 */
export class LocalSharedMemory extends EngineMemory {
  // Making and finding a memory

  /**
   * A memory from three numbers. Whether it is in debug mode, the environment variable LSM_DEBUG says, and it has native
   * storage where that works.
   *
   * @param initial pages of the memory at first, default {@link LocalSharedMemory.devicePageSize}
   * @param maximum pages that it may grow to, default `initial`: then it keeps the size that it has at first. A high
   * maximum costs address space only
   * @param shared whether other threads can have it, default true. When false, the heap serves one thread, and `buffer` is
   * an ArrayBuffer
   * @throws {TypeError | RangeError} as WebAssembly.Memory does
   */
  constructor(initial?: number, maximum?: number, shared?: boolean)

  /**
   * A memory from the descriptor that WebAssembly.Memory takes, with exactly its meaning: `shared` defaults to false in
   * this form, and a shared memory needs a `maximum`. A memory that is not shared cannot be posted to a thread; the
   * engine's DataCloneError says so.
   *
   * @param descriptor each property is read once
   * @throws {TypeError | RangeError} as WebAssembly.Memory does
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: `heapBase`, `storage` or `debug` of the wrong type
   * @throws {RangeError} ERR_OUT_OF_RANGE: `heapBase` beyond the initial size, `address` other than 'i32', `storage`
   * another string
   * @throws {Error} ERR_STORAGE_UNAVAILABLE: native storage was asked for and cannot be had
   * @example
   * ```javascript
   * import LocalSharedMemory from 'local-shared-memory'
   *
   * // (import "env" "memory" (memory 1 2 shared)) (func (export "load") (param i32) (result i32) …i32.load)
   * const wasm =
   *   '0061736d0100000001060160017f017f02100103656e76066d656d6f727902030102030201000708' +
   *   '01046c6f616400000a0901070020002802000b'
   *
   * const memory = new LocalSharedMemory({ initial: 1, maximum: 2, shared: true, heapBase: 32_768 })
   * const { instance } = await WebAssembly.instantiate(Buffer.from(wasm, 'hex'), { env: { memory } })
   *
   * const ptr = memory.malloc(4)
   * memory.setInt32(ptr, 42)
   * console.log(ptr >= 32_768, instance.exports.load(ptr)) // true 42
   * ```
   */
  constructor(descriptor: LocalSharedMemoryDescriptor)

  /**
   * Gives this class to a memory that was received from another thread: the same bytes, the same heap. Structured clone
   * turns an instance into a plain WebAssembly.Memory, so this is the one line that a worker needs.
   *
   * A memory without a heap gets one on the first `malloc`. Whether it is in debug mode is found out. On a subclass, its
   * constructor is called without arguments; what it calls `super` with does not matter: it becomes the memory that was
   * given, and a LocalSharedMemory if the constructor throws after that. A memory that has the class already is returned as
   * it is, whatever the class and the options say.
   *
   * Copies of the package in one process, as npm installs them for dependencies that ask for it themselves, work on one
   * heap when they are of the same version. A memory has one class: where another copy gave it its own, the other one's
   * structures refuse it from then on, so give this copy a clone, `from(structuredClone(memory))`. A memory that another
   * version has open, or made the heap of, is refused, here and by the first call that needs the heap.
   *
   * @param memory as it was received
   * @param options `heapBase`, in bytes, says where the heap of a memory without one may begin, as in the constructor; it
   * need not be given, and is not looked at, while a handle lives that has opened the memory before, or once a block was
   * allocated. `debug`: true demands debug mode, and turns it on for a memory that nobody has in use yet
   * @returns the very object that was given
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: not a WebAssembly.Memory, a frozen one, options that are not an object, or a
   * constructor that returns another
   * @throws {RangeError} ERR_OUT_OF_RANGE: `heapBase` outside the memory, or a memory with 64-bit addresses; ERR_OUT_OF_MEMORY
   * @throws {Error} ERR_NOT_A_HEAP: its first page holds something else, and no `heapBase` was given; ERR_ADDON_MISMATCH:
   * another version of the package has it open, or made its heap; ERR_DEBUG_UNAVAILABLE: it is in use without debug mode;
   * ERR_HEAP_CLOSED: it lies in a file, which no handle in this process has any more
   */
  static from(
    memory: EngineMemory,
    options?: { heapBase?: number | undefined; debug?: boolean | undefined },
  ): LocalSharedMemory

  /**
   * The memory of a name: the same object each time in one thread, and the same memory in every worker that the thread
   * starts afterwards, without `workerData` or a message. It is made when this thread has none of that name; later calls
   * return it as it is, whatever their options say. It lives as long as the thread that made it, and those that got it.
   *
   * With `create: false` none is made. Give it wherever another thread is to have made the memory, so that a misspelt name
   * does not make a second one.
   *
   * @param name 1 to 256 characters
   * @param options the constructor's descriptor, for when the memory is made: `initial` is by default `devicePageSize`,
   * `maximum` is `initial`, and `shared` is true
   * @throws {TypeError | RangeError} as WebAssembly.Memory does
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the name is not a string, the options are not an object, or as the
   * constructor
   * @throws {RangeError} ERR_OUT_OF_RANGE: the name has another length, `shared` is false, or as the constructor
   * @throws {Error} ERR_UNKNOWN_NAME: there is none, and `create` is false; ERR_STORAGE_UNAVAILABLE
   */
  static shared(name: string, options?: SharedMemoryOptions): LocalSharedMemory

  /**
   * The memory in a file, with one heap for all processes that attach it, which stays whole when one of them is killed.
   * Linux only. It has no debug mode: LSM_DEBUG does nothing to it. See [One heap for several processes](processes.md).
   *
   * @param path of the file, in `/dev/shm` or on a disk. It is made with mode 0600 if there is none
   * @param options the pages of a memory that is made
   * @returns a memory of its own for each call; all are over the same bytes
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE: the path is empty or has a NUL in it, the pages are not from 1 to 65,536, `initial` is
   * above `maximum`, or `heapBase` is given; ERR_OUT_OF_MEMORY: the file system has no room, or a limit of the process stands
   * against it
   * @throws {Error} ERR_ATTACH_REFUSED: the file cannot be opened, is another user's, writable by others, a symbolic link, no
   * heap, cut short, of another version or of another maximum: the message says which; ERR_HEAP_UNCLEAN: it was in use when
   * the system stopped, or is a copy of one that had not been closed; ERR_HEAP_BUSY: a process that has it has stopped;
   * ERR_ATTACH_FULL: it is attached 127 times; ERR_DEBUG_UNAVAILABLE: `debug` is true; ERR_STORAGE_UNAVAILABLE: not on this
   * system, or not in this file system
   */
  static attach(path: string, options?: AttachOptions): LocalSharedMemory

  /** Pages of a memory that is made without `initial`. Default 1000; it is read at each construction. */
  static devicePageSize: number

  /** The bytes as they are now: another buffer, or a longer one, once the memory has grown. */
  readonly buffer: MemoryBuffer

  /**
   * Grows the memory, as WebAssembly.Memory does.
   *
   * @param delta pages
   * @returns the pages that it had
   * @throws {TypeError | RangeError} as WebAssembly.Memory does
   */
  grow(delta: number): number

  /**
   * Where the bytes live: 'native' when Rust allocated them, 'engine' when the JavaScript engine did. The same in every
   * thread.
   */
  readonly storage: Storage

  /**
   * Closes the heap for this handle: what the handle keeps goes back, and its calls on blocks throw ERR_HEAP_CLOSED from then on.
   * Other handles of the memory, in this thread (`from` makes one of each clone) and in others, are as they were. The bytes
   * stay readable for as long as someone has the memory. With its last handle in a process, the heap of a file gives the
   * file up for the process: to other processes it is as one that has ended, it is not to use structures of that heap any
   * more, and `from` makes no handle that works. Without it, both happen when the memory is collected, or the thread ends.
   */
  close(): void

  /**
   * Puts back what processes kept of the heap when they died: see [One heap for several processes](processes.md). Attaching
   * does so too, and so does a call that finds no room. What a process was in the middle of when it was killed is undone by this
   * and by any other call on blocks.
   *
   * @returns how many blocks that were; 0 for a heap that one process has to itself
   * @throws {Error} ERR_HEAP_CORRUPTED, ERR_HEAP_BUSY, ERR_HEAP_CLOSED
   */
  recover(): number

  // Allocating

  /**
   * Allocates a block. Its bytes are not cleared. The memory grows up to its maximum when it has to.
   *
   * @param byteLength bytes, 1 to 2^32 - 1
   * @param alignBytes power of two up to 65,536, default 16
   * @returns pointer, a multiple of `alignBytes`
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE, ERR_OUT_OF_MEMORY
   * @throws {Error} ERR_HEAP_CORRUPTED
   */
  malloc(byteLength: number, alignBytes?: number): number

  /**
   * Allocates `count * byteLength` bytes, all zero.
   *
   * @param count elements
   * @param byteLength bytes of an element, default 1; the product is at most 2^32 - 1
   * @param alignBytes power of two up to 65,536, default 16
   * @returns pointer, a multiple of `alignBytes`
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE, ERR_OUT_OF_MEMORY
   * @throws {Error} ERR_HEAP_CORRUPTED
   */
  calloc(count: number, byteLength?: number, alignBytes?: number): number

  /**
   * Changes the length of a block, in place if possible. The bytes up to the smaller length are kept. When the block moves,
   * it gets the default alignment of 16 bytes. When it throws, the block is as it was.
   *
   * @param ptr a live block, or 0 to allocate one
   * @param byteLength bytes, 1 to 2^32 - 1
   * @returns pointer to the block that holds the bytes now
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE, ERR_OUT_OF_MEMORY
   * @throws {Error} ERR_INVALID_POINTER, ERR_HEAP_CORRUPTED
   */
  realloc(ptr: number, byteLength: number): number

  /**
   * Frees a block, whichever thread made it.
   *
   * @param ptr a live block, or 0 to do nothing
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE
   * @throws {Error} ERR_INVALID_POINTER, ERR_HEAP_CORRUPTED
   */
  free(ptr: number): void

  /**
   * The bytes that were asked for in a block.
   *
   * @param ptr a live block
   * @returns bytes
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE
   * @throws {Error} ERR_INVALID_POINTER, ERR_HEAP_CORRUPTED
   * @example
   * ```javascript
   * import LocalSharedMemory from 'local-shared-memory'
   *
   * const memory = new LocalSharedMemory(1, 100)
   * let ptr = memory.malloc(100)
   * console.log(memory.sizeof(ptr), memory.lengthof(ptr)) // 100 112
   *
   * ptr = memory.realloc(ptr, 1000)
   * console.log(memory.sizeof(ptr)) // 1000
   *
   * memory.free(ptr)
   * try {
   *   memory.free(ptr)
   * } catch (error) {
   *   console.log(error.code) // ERR_INVALID_POINTER
   * }
   * ```
   */
  sizeof(ptr: number): number

  /**
   * The bytes that a block occupies, header and padding included.
   *
   * @param ptr a live block
   * @returns bytes
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE
   * @throws {Error} ERR_INVALID_POINTER, ERR_HEAP_CORRUPTED
   */
  lengthof(ptr: number): number

  // Names for blocks

  /**
   * Gives a block a name, so that other threads find it without a message, or moves the name to it. All threads see it at
   * once, and with it what this thread had written before.
   *
   * Afterwards the root is only a number: it does not keep the block alive, and does not follow it through `realloc`. Roots
   * belong to the memory and are kept outside of it, where nothing written to the memory reaches them. They last as long as
   * the memory, whatever becomes of the thread that set them.
   *
   * @param name 1 to 256 characters
   * @param ptr a live block, or 0 to take the name away
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE; ERR_OUT_OF_MEMORY: the heap of a file has 1,024 names already
   * @throws {Error} ERR_INVALID_POINTER, ERR_HEAP_CORRUPTED
   */
  setRoot(name: string, ptr: number): void

  /**
   * Finds a block by its name.
   *
   * @param name 1 to 256 characters
   * @returns the pointer that was last given that name, in whichever thread, or undefined; its block may have been freed
   * since
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the name is not a string
   * @throws {RangeError} ERR_OUT_OF_RANGE: it has another length
   */
  getRoot(name: string): number | undefined

  // Looking at the heap

  /**
   * Lists the live blocks of all threads.
   *
   * @returns by ascending `byteOffset`
   * @throws {Error} ERR_HEAP_CORRUPTED
   * @example
   * ```javascript
   * import LocalSharedMemory from 'local-shared-memory'
   *
   * const memory = new LocalSharedMemory(1, 100)
   * const ptr = memory.calloc(6, 4)
   *
   * const [block] = memory.allocs()
   * console.log(block.byteOffset === ptr, block.byteLength, block.buffer) // true 24 SharedArrayBuffer…
   * console.log(memory.length === memory.stats().usedBytes) // true
   * ```
   */
  allocs(): Allocation[]

  /**
   * Measures the heap. All figures but `byteLength` are 0 before the first allocation. Free blocks that no thread has to
   * itself go back to the heap first; no live block changes.
   *
   * @throws {Error} ERR_HEAP_CORRUPTED
   */
  stats(): HeapStats

  /**
   * Bytes that live blocks occupy, headers and padding included: `stats().usedBytes`. Reading it does what `stats` does, and
   * throws ERR_HEAP_CORRUPTED as that does.
   */
  readonly length: number

  /**
   * Tells what each range of the memory is used for. Free blocks that no thread has to itself go back to the heap first, as
   * with `stats`.
   *
   * @returns areas that cover all of the memory, ascending and without gaps
   * @throws {Error} ERR_HEAP_CORRUPTED
   */
  heapMap(): HeapArea[]

  /**
   * Gives the pages of free blocks back to the operating system, those that this thread's cache holds included. The memory
   * keeps its size, live blocks keep their bytes, and the pages come back, as zeros, when they are used again. Other
   * threads may use the heap meanwhile.
   *
   * @returns how many bytes of them were resident; 0 on macOS, on Windows and for a heap of several processes
   * @throws {Error} ERR_HEAP_CORRUPTED
   * @example
   * ```javascript
   * import LocalSharedMemory from 'local-shared-memory'
   *
   * const memory = new LocalSharedMemory(1, 2000)
   * const ptr = memory.calloc(100_000_000) // resident: every byte was written
   * memory.free(ptr)
   * console.log(memory.trim() >= 100_000_000) // true, on Linux
   * console.log(memory.trim()) // 0
   * ```
   */
  trim(): number

  /**
   * Looks at the whole heap for what was written over. It never throws for what it finds, changes nothing, and holds the
   * heap's lock meanwhile. See [Debug mode](debug-mode.md).
   *
   * @returns everything that was written over, 10,000 faults at the most; empty when nothing was
   */
  check(): HeapFault[]

  /**
   * Groups the live blocks by the thread and the stack that made them. Blocks that were not made in debug mode form one
   * group without these.
   *
   * @returns the group with the most bytes first
   * @throws {Error} ERR_HEAP_CORRUPTED
   */
  leaks(): Leak[]

  // For WebAssembly modules

  /**
   * The memory and C's allocation functions over its heap, for a module that imports them: `{ env: memory.imports() }`.
   * Each thread makes its own. Sizes and alignments are in bytes; pointers and sizes may come as the negative numbers that
   * WebAssembly makes of those above 2^31. What each function does is in [With
   * WebAssembly](webassembly.md#a-module-that-uses-this-heap).
   *
   * @returns an object that may be extended with the module's other imports
   */
  imports(): LibcImports

  // Copies and views
  //
  // By default the length is that of the block at the offset, which then has to be a block's pointer. With a length, any range
  // inside the memory will do. Views are JavaScript's own: see [Growth and stale views](growth.md).

  /**
   * Copies bytes out, for APIs that take no shared buffer.
   *
   * @param offset bytes
   * @param length bytes, default `sizeof(offset)`; with one, any range inside the memory will do
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: an argument is not a number
   * @throws {RangeError} ERR_OUT_OF_RANGE: the range is not inside the memory
   * @throws {Error} ERR_INVALID_POINTER, ERR_HEAP_CORRUPTED: no length, and no block at the offset
   */
  arrayBuffer(offset: number, length?: number): ArrayBuffer

  /**
   * Copies bytes out to a SharedArrayBuffer, whether the memory is shared or not.
   *
   * @param offset bytes
   * @param length bytes, default `sizeof(offset)`; with one, any range inside the memory will do
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: an argument is not a number
   * @throws {RangeError} ERR_OUT_OF_RANGE: the range is not inside the memory
   * @throws {Error} ERR_INVALID_POINTER, ERR_HEAP_CORRUPTED: no length, and no block at the offset
   */
  sharedArrayBuffer(offset: number, length?: number): SharedArrayBuffer

  /**
   * Makes a live DataView.
   *
   * @param offset bytes
   * @param length bytes, default `sizeof(offset)`; with one, any range inside the memory will do
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: an argument is not a number
   * @throws {RangeError} ERR_OUT_OF_RANGE: the range is not inside the memory
   * @throws {Error} ERR_INVALID_POINTER, ERR_HEAP_CORRUPTED: no length, and no block at the offset
   */
  dataView(offset: number, length?: number): DataView

  /**
   * Makes a live typed array. It keeps its length, whatever becomes of the block.
   *
   * @param TypedArray a typed array constructor
   * @param offset bytes, a multiple of the element size
   * @param length elements, default as many as the block at the offset holds; with one, any range inside the memory will do
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: `TypedArray` is not a typed array constructor, or another argument not a number
   * @throws {RangeError} ERR_OUT_OF_RANGE: the range is not inside the memory, or the offset is not aligned
   * @throws {Error} ERR_INVALID_POINTER, ERR_HEAP_CORRUPTED: no length, and no block at the offset
   * @example
   * ```javascript
   * import LocalSharedMemory from 'local-shared-memory'
   *
   * const memory = new LocalSharedMemory(1, 100)
   * const samples = memory.Float32Array([0.5, 1.5, 2.5])
   * const same = memory.arrayView(Float32Array, samples.byteOffset)
   * same[0] = 9
   * console.log(samples[0]) // 9
   * console.log(memory.arrayBuffer(samples.byteOffset).byteLength) // 12
   * memory.free(samples.byteOffset)
   * ```
   */
  arrayView<C extends TypedArrayConstructor>(
    TypedArray: C,
    offset: number,
    length?: number,
  ): ArrayOf<C>

  // Blocks as typed arrays
  //
  // Each allocates a block and returns a live view of it, whose `byteOffset` is the pointer. `source` is a length in elements, and
  // then the bytes are not cleared, or the values to copy in: an iterable, an array-like or a typed array.

  /**
   * Allocates an array with a `Symbol.dispose` method that frees its block. With `using`, where the language has it
   * (Node.js 24, or TypeScript), the block is freed at the end of the scope, however that is left; elsewhere call
   * `array[Symbol.dispose]()`. All versions of Node.js that the package runs on have the symbol.
   *
   * The array owns its block: free it by disposing of the array, not with `free`. Disposing a second time does nothing, so
   * it never frees a block that was allocated since. When the block was freed or resized by its pointer, disposing
   * throws ERR_INVALID_POINTER and frees nothing, unless the same bytes are in use again for a block of the same length:
   * these two cannot be told apart. Arrays made from it, with `subarray` or `map`, own nothing.
   *
   * @param TypedArray a typed array constructor
   * @param source length in elements, or the values to copy in: an iterable, an array-like or a typed array
   * @returns live view; its elements hold whatever the block held when only a length is given
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: not a typed array constructor, or a value that cannot be converted
   * @throws {RangeError} ERR_OUT_OF_RANGE: no element, or too many; ERR_OUT_OF_MEMORY
   * @throws {Error} ERR_HEAP_CORRUPTED
   * @example
   * ```javascript
   * import LocalSharedMemory from 'local-shared-memory'
   *
   * const memory = new LocalSharedMemory(1, 100)
   * const block = memory.alloc(Float64Array, 1000) // or: using block = …
   * block.fill(0.5)
   * console.log(memory.sizeof(block.byteOffset)) // 8000
   * block[Symbol.dispose]()
   * console.log(memory.length) // 0
   * ```
   */
  alloc<C extends NumberArrayConstructor>(
    TypedArray: C,
    source: number | Iterable<number> | ArrayLike<number>,
  ): ArrayOf<C> & Disposable

  /**
   * Allocates an array with a `Symbol.dispose` method that frees its block. With `using`, where the language has it
   * (Node.js 24, or TypeScript), the block is freed at the end of the scope, however that is left; elsewhere call
   * `array[Symbol.dispose]()`. All versions of Node.js that the package runs on have the symbol.
   *
   * The array owns its block: free it by disposing of the array, not with `free`. Disposing a second time does nothing, so
   * it never frees a block that was allocated since. When the block was freed or resized by its pointer, disposing
   * throws ERR_INVALID_POINTER and frees nothing, unless the same bytes are in use again for a block of the same length:
   * these two cannot be told apart. Arrays made from it, with `subarray` or `map`, own nothing.
   *
   * @param TypedArray a typed array constructor
   * @param source length in elements, or the values to copy in: an iterable, an array-like or a typed array
   * @returns live view; its elements hold whatever the block held when only a length is given
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: not a typed array constructor, or a value that cannot be converted
   * @throws {RangeError} ERR_OUT_OF_RANGE: no element, or too many; ERR_OUT_OF_MEMORY
   * @throws {Error} ERR_HEAP_CORRUPTED
   * @example
   * ```javascript
   * import LocalSharedMemory from 'local-shared-memory'
   *
   * const memory = new LocalSharedMemory(1, 100)
   * const block = memory.alloc(Float64Array, 1000) // or: using block = …
   * block.fill(0.5)
   * console.log(memory.sizeof(block.byteOffset)) // 8000
   * block[Symbol.dispose]()
   * console.log(memory.length) // 0
   * ```
   */
  alloc<C extends BigIntArrayConstructor>(
    TypedArray: C,
    source: number | Iterable<bigint> | ArrayLike<bigint>,
  ): ArrayOf<C> & Disposable

  /**
   * Allocates an Int8Array: its `byteOffset` is the pointer to free.
   *
   * @param source length in elements, or the values to copy in
   * @returns live view; its elements hold whatever the block held when only a length is given
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the source is of another type, or a value cannot be converted
   * @throws {RangeError} ERR_OUT_OF_RANGE: no element, or too many; ERR_OUT_OF_MEMORY
   * @throws {Error} ERR_HEAP_CORRUPTED
   */
  Int8Array(source: number | Iterable<number> | ArrayLike<number>): Int8Array

  /**
   * Allocates a Uint8Array: its `byteOffset` is the pointer to free.
   *
   * @param source length in elements, or the values to copy in
   * @returns live view; its elements hold whatever the block held when only a length is given
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the source is of another type, or a value cannot be converted
   * @throws {RangeError} ERR_OUT_OF_RANGE: no element, or too many; ERR_OUT_OF_MEMORY
   * @throws {Error} ERR_HEAP_CORRUPTED
   */
  Uint8Array(source: number | Iterable<number> | ArrayLike<number>): Uint8Array

  /**
   * Allocates a Uint8ClampedArray: its `byteOffset` is the pointer to free.
   *
   * @param source length in elements, or the values to copy in
   * @returns live view; its elements hold whatever the block held when only a length is given
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the source is of another type, or a value cannot be converted
   * @throws {RangeError} ERR_OUT_OF_RANGE: no element, or too many; ERR_OUT_OF_MEMORY
   * @throws {Error} ERR_HEAP_CORRUPTED
   */
  Uint8ClampedArray(source: number | Iterable<number> | ArrayLike<number>): Uint8ClampedArray

  /**
   * Allocates an Int16Array: its `byteOffset` is the pointer to free.
   *
   * @param source length in elements, or the values to copy in
   * @returns live view; its elements hold whatever the block held when only a length is given
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the source is of another type, or a value cannot be converted
   * @throws {RangeError} ERR_OUT_OF_RANGE: no element, or too many; ERR_OUT_OF_MEMORY
   * @throws {Error} ERR_HEAP_CORRUPTED
   */
  Int16Array(source: number | Iterable<number> | ArrayLike<number>): Int16Array

  /**
   * Allocates a Uint16Array: its `byteOffset` is the pointer to free.
   *
   * @param source length in elements, or the values to copy in
   * @returns live view; its elements hold whatever the block held when only a length is given
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the source is of another type, or a value cannot be converted
   * @throws {RangeError} ERR_OUT_OF_RANGE: no element, or too many; ERR_OUT_OF_MEMORY
   * @throws {Error} ERR_HEAP_CORRUPTED
   */
  Uint16Array(source: number | Iterable<number> | ArrayLike<number>): Uint16Array

  /**
   * Allocates an Int32Array: its `byteOffset` is the pointer to free.
   *
   * @param source length in elements, or the values to copy in
   * @returns live view; its elements hold whatever the block held when only a length is given
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the source is of another type, or a value cannot be converted
   * @throws {RangeError} ERR_OUT_OF_RANGE: no element, or too many; ERR_OUT_OF_MEMORY
   * @throws {Error} ERR_HEAP_CORRUPTED
   */
  Int32Array(source: number | Iterable<number> | ArrayLike<number>): Int32Array

  /**
   * Allocates a Uint32Array: its `byteOffset` is the pointer to free.
   *
   * @param source length in elements, or the values to copy in
   * @returns live view; its elements hold whatever the block held when only a length is given
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the source is of another type, or a value cannot be converted
   * @throws {RangeError} ERR_OUT_OF_RANGE: no element, or too many; ERR_OUT_OF_MEMORY
   * @throws {Error} ERR_HEAP_CORRUPTED
   */
  Uint32Array(source: number | Iterable<number> | ArrayLike<number>): Uint32Array

  /**
   * Allocates a BigInt64Array: its `byteOffset` is the pointer to free.
   *
   * @param source length in elements, or the values to copy in
   * @returns live view; its elements hold whatever the block held when only a length is given
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the source is of another type, or a value cannot be converted
   * @throws {RangeError} ERR_OUT_OF_RANGE: no element, or too many; ERR_OUT_OF_MEMORY
   * @throws {Error} ERR_HEAP_CORRUPTED
   */
  BigInt64Array(source: number | Iterable<bigint> | ArrayLike<bigint>): BigInt64Array

  /**
   * Allocates a BigUint64Array: its `byteOffset` is the pointer to free.
   *
   * @param source length in elements, or the values to copy in
   * @returns live view; its elements hold whatever the block held when only a length is given
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the source is of another type, or a value cannot be converted
   * @throws {RangeError} ERR_OUT_OF_RANGE: no element, or too many; ERR_OUT_OF_MEMORY
   * @throws {Error} ERR_HEAP_CORRUPTED
   */
  BigUint64Array(source: number | Iterable<bigint> | ArrayLike<bigint>): BigUint64Array

  /**
   * Allocates a Float32Array: its `byteOffset` is the pointer to free.
   *
   * @param source length in elements, or the values to copy in
   * @returns live view; its elements hold whatever the block held when only a length is given
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the source is of another type, or a value cannot be converted
   * @throws {RangeError} ERR_OUT_OF_RANGE: no element, or too many; ERR_OUT_OF_MEMORY
   * @throws {Error} ERR_HEAP_CORRUPTED
   */
  Float32Array(source: number | Iterable<number> | ArrayLike<number>): Float32Array

  /**
   * Allocates a Float64Array: its `byteOffset` is the pointer to free.
   *
   * @param source length in elements, or the values to copy in
   * @returns live view; its elements hold whatever the block held when only a length is given
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the source is of another type, or a value cannot be converted
   * @throws {RangeError} ERR_OUT_OF_RANGE: no element, or too many; ERR_OUT_OF_MEMORY
   * @throws {Error} ERR_HEAP_CORRUPTED
   */
  Float64Array(source: number | Iterable<number> | ArrayLike<number>): Float64Array

  /**
   * Allocates a Float16Array, where the engine has them: its `byteOffset` is the pointer to free.
   *
   * @param source length in elements, or the values to copy in
   * @returns live view; its elements hold whatever the block held when only a length is given
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the source is of another type, or a value cannot be converted
   * @throws {RangeError} ERR_OUT_OF_RANGE: no element, or too many; ERR_OUT_OF_MEMORY
   * @throws {Error} ERR_HEAP_CORRUPTED
   */
  Float16Array(
    source: number | Iterable<number> | ArrayLike<number>,
  ): ArrayOf<Float16ArrayConstructor>

  // Single values
  //
  // One value at a byte offset, little-endian, at any alignment. Values are converted as a DataView does. The bounds of the memory
  // are checked, not those of a block.

  /**
   * Reads a signed 8-bit integer: little-endian, at any alignment.
   *
   * @param offset bytes
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the offset is not a number
   * @throws {RangeError} ERR_OUT_OF_RANGE: null, or not 1 byte inside the memory
   * @example
   * ```javascript
   * import LocalSharedMemory from 'local-shared-memory'
   *
   * const memory = new LocalSharedMemory(1, 100)
   * const ptr = memory.malloc(16)
   * memory.setFloat64(ptr, Math.PI)
   * memory.setBigUint64(ptr + 8, 2n ** 63n)
   * console.log(memory.getFloat64(ptr), memory.getBigUint64(ptr + 8)) // 3.141592653589793 9223372036854775808n
   * ```
   */
  getInt8(offset: number): number

  /**
   * Writes a signed 8-bit integer: little-endian, at any alignment.
   *
   * @param offset bytes
   * @param value default 0
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the offset is not a number, or the value cannot become one
   * @throws {RangeError} ERR_OUT_OF_RANGE: null, or not 1 byte inside the memory
   */
  setInt8(offset: number, value?: number): void

  /**
   * Reads an unsigned 8-bit integer: little-endian, at any alignment.
   *
   * @param offset bytes
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the offset is not a number
   * @throws {RangeError} ERR_OUT_OF_RANGE: null, or not 1 byte inside the memory
   */
  getUint8(offset: number): number

  /**
   * Writes an unsigned 8-bit integer: little-endian, at any alignment.
   *
   * @param offset bytes
   * @param value default 0
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the offset is not a number, or the value cannot become one
   * @throws {RangeError} ERR_OUT_OF_RANGE: null, or not 1 byte inside the memory
   */
  setUint8(offset: number, value?: number): void

  /**
   * Reads a signed 16-bit integer: little-endian, at any alignment.
   *
   * @param offset bytes
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the offset is not a number
   * @throws {RangeError} ERR_OUT_OF_RANGE: null, or not 2 bytes inside the memory
   */
  getInt16(offset: number): number

  /**
   * Writes a signed 16-bit integer: little-endian, at any alignment.
   *
   * @param offset bytes
   * @param value default 0
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the offset is not a number, or the value cannot become one
   * @throws {RangeError} ERR_OUT_OF_RANGE: null, or not 2 bytes inside the memory
   */
  setInt16(offset: number, value?: number): void

  /**
   * Reads an unsigned 16-bit integer: little-endian, at any alignment.
   *
   * @param offset bytes
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the offset is not a number
   * @throws {RangeError} ERR_OUT_OF_RANGE: null, or not 2 bytes inside the memory
   */
  getUint16(offset: number): number

  /**
   * Writes an unsigned 16-bit integer: little-endian, at any alignment.
   *
   * @param offset bytes
   * @param value default 0
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the offset is not a number, or the value cannot become one
   * @throws {RangeError} ERR_OUT_OF_RANGE: null, or not 2 bytes inside the memory
   */
  setUint16(offset: number, value?: number): void

  /**
   * Reads a signed 32-bit integer: little-endian, at any alignment.
   *
   * @param offset bytes
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the offset is not a number
   * @throws {RangeError} ERR_OUT_OF_RANGE: null, or not 4 bytes inside the memory
   */
  getInt32(offset: number): number

  /**
   * Writes a signed 32-bit integer: little-endian, at any alignment.
   *
   * @param offset bytes
   * @param value default 0
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the offset is not a number, or the value cannot become one
   * @throws {RangeError} ERR_OUT_OF_RANGE: null, or not 4 bytes inside the memory
   */
  setInt32(offset: number, value?: number): void

  /**
   * Reads an unsigned 32-bit integer: little-endian, at any alignment.
   *
   * @param offset bytes
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the offset is not a number
   * @throws {RangeError} ERR_OUT_OF_RANGE: null, or not 4 bytes inside the memory
   */
  getUint32(offset: number): number

  /**
   * Writes an unsigned 32-bit integer: little-endian, at any alignment.
   *
   * @param offset bytes
   * @param value default 0
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the offset is not a number, or the value cannot become one
   * @throws {RangeError} ERR_OUT_OF_RANGE: null, or not 4 bytes inside the memory
   */
  setUint32(offset: number, value?: number): void

  /**
   * Reads a signed 64-bit integer: little-endian, at any alignment.
   *
   * @param offset bytes
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the offset is not a number
   * @throws {RangeError} ERR_OUT_OF_RANGE: null, or not 8 bytes inside the memory
   */
  getBigInt64(offset: number): bigint

  /**
   * Writes a signed 64-bit integer: little-endian, at any alignment.
   *
   * @param offset bytes
   * @param value default 0n
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the offset is not a number, or the value cannot become a bigint
   * @throws {RangeError} ERR_OUT_OF_RANGE: null, or not 8 bytes inside the memory
   */
  setBigInt64(offset: number, value?: bigint): void

  /**
   * Reads an unsigned 64-bit integer: little-endian, at any alignment.
   *
   * @param offset bytes
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the offset is not a number
   * @throws {RangeError} ERR_OUT_OF_RANGE: null, or not 8 bytes inside the memory
   */
  getBigUint64(offset: number): bigint

  /**
   * Writes an unsigned 64-bit integer: little-endian, at any alignment.
   *
   * @param offset bytes
   * @param value default 0n
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the offset is not a number, or the value cannot become a bigint
   * @throws {RangeError} ERR_OUT_OF_RANGE: null, or not 8 bytes inside the memory
   */
  setBigUint64(offset: number, value?: bigint): void

  /**
   * Reads a 32-bit float: little-endian, at any alignment.
   *
   * @param offset bytes
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the offset is not a number
   * @throws {RangeError} ERR_OUT_OF_RANGE: null, or not 4 bytes inside the memory
   */
  getFloat32(offset: number): number

  /**
   * Writes a 32-bit float: little-endian, at any alignment.
   *
   * @param offset bytes
   * @param value default 0
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the offset is not a number, or the value cannot become one
   * @throws {RangeError} ERR_OUT_OF_RANGE: null, or not 4 bytes inside the memory
   */
  setFloat32(offset: number, value?: number): void

  /**
   * Reads a 64-bit float: little-endian, at any alignment.
   *
   * @param offset bytes
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the offset is not a number
   * @throws {RangeError} ERR_OUT_OF_RANGE: null, or not 8 bytes inside the memory
   */
  getFloat64(offset: number): number

  /**
   * Writes a 64-bit float: little-endian, at any alignment.
   *
   * @param offset bytes
   * @param value default 0
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the offset is not a number, or the value cannot become one
   * @throws {RangeError} ERR_OUT_OF_RANGE: null, or not 8 bytes inside the memory
   */
  setFloat64(offset: number, value?: number): void

  /**
   * Reads a 16-bit float, where the engine has them: little-endian, at any alignment.
   *
   * @param offset bytes
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the offset is not a number
   * @throws {RangeError} ERR_OUT_OF_RANGE: null, or not 2 bytes inside the memory
   */
  getFloat16(offset: number): number

  /**
   * Writes a 16-bit float, where the engine has them: little-endian, at any alignment.
   *
   * @param offset bytes
   * @param value default 0
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the offset is not a number, or the value cannot become one
   * @throws {RangeError} ERR_OUT_OF_RANGE: null, or not 2 bytes inside the memory
   */
  setFloat16(offset: number, value?: number): void

  // Bytes

  /**
   * Copies bytes within the memory. The ranges may overlap.
   *
   * @param dst bytes
   * @param src bytes
   * @param byteLength bytes
   * @returns `dst`
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE: a range is not inside the memory
   */
  memcpy(dst: number, src: number, byteLength: number): number

  /**
   * Fills bytes with a byte.
   *
   * @param dst bytes
   * @param byte a signed 32-bit integer, of which the low 8 bits are taken
   * @param byteLength bytes
   * @returns `dst`
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE: the range is not inside the memory, or the byte not a signed integer of 32 bits
   */
  memset(dst: number, byte: number, byteLength: number): number

  /**
   * Copies bytes of a buffer from elsewhere in.
   *
   * @param dst bytes
   * @param buffer an ArrayBuffer, a SharedArrayBuffer or any view of one
   * @param srcOffset bytes from the start of the buffer or view, default 0
   * @param byteLength bytes, default up to its end
   * @returns `dst`
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE: a range is not inside the memory or the buffer
   */
  memset(
    dst: number,
    buffer: ArrayBufferLike | ArrayBufferView,
    srcOffset?: number,
    byteLength?: number,
  ): number

  // Text

  /**
   * Allocates a block that holds a text in UTF-8, and a NUL behind it, as C expects. A surrogate without its other half
   * becomes U+FFFD.
   *
   * @param text
   * @returns pointer
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_MEMORY
   * @throws {Error} ERR_HEAP_CORRUPTED
   */
  mallocString(text: string): number

  /**
   * Writes a text into a block, as UTF-8, and a NUL behind it if the block has room for one. A surrogate without its other
   * half becomes U+FFFD.
   *
   * @param ptr a live block
   * @param text
   * @returns bytes of the text, the NUL not counted
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE: the text is longer than the block; nothing is written
   * @throws {Error} ERR_INVALID_POINTER, ERR_HEAP_CORRUPTED
   */
  setString(ptr: number, text: string): number

  /**
   * Reads a text in UTF-8. Bytes that are not UTF-8 become U+FFFD, and a byte order mark is kept. Other threads may write the
   * bytes meanwhile: it is a text then, too, of any characters.
   *
   * @param ptr a live block; with a length, any byte offset
   * @param byteLength bytes, NULs included, which need not be in one block; default those of the block up to its first NUL,
   * all of them if it has none
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE: not inside the memory, or more bytes than the engine's longest string has characters
   * @throws {Error} ERR_INVALID_POINTER, ERR_HEAP_CORRUPTED: no length, and no block at the offset
   * @example
   * ```javascript
   * import LocalSharedMemory from 'local-shared-memory'
   *
   * const memory = new LocalSharedMemory(1, 100)
   * const ptr = memory.mallocString('größer')
   * console.log(memory.getString(ptr), memory.sizeof(ptr)) // größer 9
   *
   * const field = memory.malloc(16)
   * const byteLength = memory.setString(field, 'a\0b')
   * console.log(memory.getString(field)) // a
   * console.log(memory.getString(field, byteLength) === 'a\0b') // true
   * ```
   */
  getString(ptr: number, byteLength?: number): string

  // The whole memory as a typed array
  //
  // The typed array's own methods, on an array of that type over the whole memory, as large as it is now. Indices count elements
  // from the start of the memory; negative ones count from the end, except in `set`. They reach the records of the heap:
  // `fill(Uint8Array, 0)` destroys it.

  /**
   * Reads an element of the whole memory.
   *
   * @param TypedArray a typed array constructor
   * @param index elements from the start of the memory, from its end when negative
   * @returns undefined when there is no such element
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: `TypedArray` is not a typed array constructor
   */
  at(TypedArray: NumberArrayConstructor, index: number): number | undefined

  /**
   * Reads an element of the whole memory.
   *
   * @param TypedArray a typed array constructor
   * @param index elements from the start of the memory, from its end when negative
   * @returns undefined when there is no such element
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: `TypedArray` is not a typed array constructor
   */
  at(TypedArray: BigIntArrayConstructor, index: number): bigint | undefined

  /**
   * Fills elements of the whole memory, the heap's own records included.
   *
   * @param TypedArray a typed array constructor
   * @param value
   * @param start elements, from the end when negative, default 0
   * @param end elements, from the end when negative, default the end
   * @returns the memory
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: `TypedArray` is not a typed array constructor, or the value is of the other kind
   */
  fill(TypedArray: NumberArrayConstructor, value: number, start?: number, end?: number): this

  /**
   * Fills elements of the whole memory, the heap's own records included.
   *
   * @param TypedArray a typed array constructor
   * @param value
   * @param start elements, from the end when negative, default 0
   * @param end elements, from the end when negative, default the end
   * @returns the memory
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: `TypedArray` is not a typed array constructor, or the value is of the other kind
   */
  fill(TypedArray: BigIntArrayConstructor, value: bigint, start?: number, end?: number): this

  /**
   * Copies elements within the whole memory. The ranges may overlap.
   *
   * @param TypedArray a typed array constructor
   * @param target elements, from the end when negative
   * @param start elements, from the end when negative, default 0
   * @param end elements, from the end when negative, default the end
   * @returns the memory
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: `TypedArray` is not a typed array constructor
   */
  copyWithin(TypedArray: TypedArrayConstructor, target: number, start?: number, end?: number): this

  /**
   * Makes a live typed array over elements of the whole memory.
   *
   * @param TypedArray a typed array constructor
   * @param begin elements, from the end when negative, default 0
   * @param end elements, from the end when negative, default the end
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: `TypedArray` is not a typed array constructor
   */
  subarray<C extends TypedArrayConstructor>(TypedArray: C, begin?: number, end?: number): ArrayOf<C>

  /**
   * Copies values into the whole memory.
   *
   * @param TypedArray a typed array constructor
   * @param source
   * @param offset elements, default 0
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: `TypedArray` is not a typed array constructor, or a value cannot be converted
   * @throws {RangeError} ERR_OUT_OF_RANGE: the values do not fit there
   */
  set(TypedArray: NumberArrayConstructor, source: ArrayLike<number>, offset?: number): void

  /**
   * Copies values into the whole memory.
   *
   * @param TypedArray a typed array constructor
   * @param source
   * @param offset elements, default 0
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: `TypedArray` is not a typed array constructor, or a value cannot be converted
   * @throws {RangeError} ERR_OUT_OF_RANGE: the values do not fit there
   */
  set(TypedArray: BigIntArrayConstructor, source: ArrayLike<bigint>, offset?: number): void

  // Atomics
  //
  // The functions of the global Atomics, with its results. `TypedArray` is the constructor of an integer array: then `index` counts
  // elements of that type from the start of the memory, so that the index of a block's first 32-bit element is `ptr / 4`. Or it is
  // such an array, as `arrayView` makes it: then `index` counts from its start.

  /**
   * Adds to an element.
   *
   * @param TypedArray constructor: the index counts from the start of the memory; array: from the array's start
   * @param index elements
   * @param value
   * @returns the old value
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the array or a value is of the wrong kind
   * @throws {RangeError} ERR_OUT_OF_RANGE: the index is not an element of the array
   * @example
   * ```javascript
   * import LocalSharedMemory from 'local-shared-memory'
   *
   * const memory = new LocalSharedMemory(1, 100)
   * const ptr = memory.calloc(2, 4)
   * memory.add(Int32Array, ptr / 4, 5)
   *
   * const pair = memory.arrayView(Int32Array, ptr)
   * console.log(memory.compareExchange(pair, 0, 5, 6)) // 5
   * console.log(memory.load(pair, 0)) // 6
   *
   * memory.memset(ptr, Buffer.from([1, 2, 3, 4]))
   * memory.memcpy(ptr + 4, ptr, 4)
   * console.log(memory.at(Uint8Array, ptr + 7)) // 4
   * ```
   */
  add(TypedArray: NumberAtomicArray, index: number, value: number): number

  /**
   * Adds to an element.
   *
   * @param TypedArray constructor: the index counts from the start of the memory; array: from the array's start
   * @param index elements
   * @param value
   * @returns the old value
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the array or a value is of the wrong kind
   * @throws {RangeError} ERR_OUT_OF_RANGE: the index is not an element of the array
   * @example
   * ```javascript
   * import LocalSharedMemory from 'local-shared-memory'
   *
   * const memory = new LocalSharedMemory(1, 100)
   * const ptr = memory.calloc(2, 4)
   * memory.add(Int32Array, ptr / 4, 5)
   *
   * const pair = memory.arrayView(Int32Array, ptr)
   * console.log(memory.compareExchange(pair, 0, 5, 6)) // 5
   * console.log(memory.load(pair, 0)) // 6
   *
   * memory.memset(ptr, Buffer.from([1, 2, 3, 4]))
   * memory.memcpy(ptr + 4, ptr, 4)
   * console.log(memory.at(Uint8Array, ptr + 7)) // 4
   * ```
   */
  add(TypedArray: BigIntAtomicArray, index: number, value: bigint): bigint

  /**
   * Subtracts from an element.
   *
   * @param TypedArray constructor: the index counts from the start of the memory; array: from the array's start
   * @param index elements
   * @param value
   * @returns the old value
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the array or a value is of the wrong kind
   * @throws {RangeError} ERR_OUT_OF_RANGE: the index is not an element of the array
   */
  sub(TypedArray: NumberAtomicArray, index: number, value: number): number

  /**
   * Subtracts from an element.
   *
   * @param TypedArray constructor: the index counts from the start of the memory; array: from the array's start
   * @param index elements
   * @param value
   * @returns the old value
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the array or a value is of the wrong kind
   * @throws {RangeError} ERR_OUT_OF_RANGE: the index is not an element of the array
   */
  sub(TypedArray: BigIntAtomicArray, index: number, value: bigint): bigint

  /**
   * Bitwise AND into an element.
   *
   * @param TypedArray constructor: the index counts from the start of the memory; array: from the array's start
   * @param index elements
   * @param value
   * @returns the old value
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the array or a value is of the wrong kind
   * @throws {RangeError} ERR_OUT_OF_RANGE: the index is not an element of the array
   */
  and(TypedArray: NumberAtomicArray, index: number, value: number): number

  /**
   * Bitwise AND into an element.
   *
   * @param TypedArray constructor: the index counts from the start of the memory; array: from the array's start
   * @param index elements
   * @param value
   * @returns the old value
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the array or a value is of the wrong kind
   * @throws {RangeError} ERR_OUT_OF_RANGE: the index is not an element of the array
   */
  and(TypedArray: BigIntAtomicArray, index: number, value: bigint): bigint

  /**
   * Bitwise OR into an element.
   *
   * @param TypedArray constructor: the index counts from the start of the memory; array: from the array's start
   * @param index elements
   * @param value
   * @returns the old value
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the array or a value is of the wrong kind
   * @throws {RangeError} ERR_OUT_OF_RANGE: the index is not an element of the array
   */
  or(TypedArray: NumberAtomicArray, index: number, value: number): number

  /**
   * Bitwise OR into an element.
   *
   * @param TypedArray constructor: the index counts from the start of the memory; array: from the array's start
   * @param index elements
   * @param value
   * @returns the old value
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the array or a value is of the wrong kind
   * @throws {RangeError} ERR_OUT_OF_RANGE: the index is not an element of the array
   */
  or(TypedArray: BigIntAtomicArray, index: number, value: bigint): bigint

  /**
   * Bitwise XOR into an element.
   *
   * @param TypedArray constructor: the index counts from the start of the memory; array: from the array's start
   * @param index elements
   * @param value
   * @returns the old value
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the array or a value is of the wrong kind
   * @throws {RangeError} ERR_OUT_OF_RANGE: the index is not an element of the array
   */
  xor(TypedArray: NumberAtomicArray, index: number, value: number): number

  /**
   * Bitwise XOR into an element.
   *
   * @param TypedArray constructor: the index counts from the start of the memory; array: from the array's start
   * @param index elements
   * @param value
   * @returns the old value
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the array or a value is of the wrong kind
   * @throws {RangeError} ERR_OUT_OF_RANGE: the index is not an element of the array
   */
  xor(TypedArray: BigIntAtomicArray, index: number, value: bigint): bigint

  /**
   * Replaces an element.
   *
   * @param TypedArray constructor: the index counts from the start of the memory; array: from the array's start
   * @param index elements
   * @param value
   * @returns the old value
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the array or a value is of the wrong kind
   * @throws {RangeError} ERR_OUT_OF_RANGE: the index is not an element of the array
   */
  exchange(TypedArray: NumberAtomicArray, index: number, value: number): number

  /**
   * Replaces an element.
   *
   * @param TypedArray constructor: the index counts from the start of the memory; array: from the array's start
   * @param index elements
   * @param value
   * @returns the old value
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the array or a value is of the wrong kind
   * @throws {RangeError} ERR_OUT_OF_RANGE: the index is not an element of the array
   */
  exchange(TypedArray: BigIntAtomicArray, index: number, value: bigint): bigint

  /**
   * Replaces an element if it holds the expected value.
   *
   * @param TypedArray constructor: the index counts from the start of the memory; array: from the array's start
   * @param index elements
   * @param expected
   * @param replacement
   * @returns the old value
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the array or a value is of the wrong kind
   * @throws {RangeError} ERR_OUT_OF_RANGE: the index is not an element of the array
   */
  compareExchange(
    TypedArray: NumberAtomicArray,
    index: number,
    expected: number,
    replacement: number,
  ): number

  /**
   * Replaces an element if it holds the expected value.
   *
   * @param TypedArray constructor: the index counts from the start of the memory; array: from the array's start
   * @param index elements
   * @param expected
   * @param replacement
   * @returns the old value
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the array or a value is of the wrong kind
   * @throws {RangeError} ERR_OUT_OF_RANGE: the index is not an element of the array
   */
  compareExchange(
    TypedArray: BigIntAtomicArray,
    index: number,
    expected: bigint,
    replacement: bigint,
  ): bigint

  /**
   * Reads an element.
   *
   * @param TypedArray constructor: the index counts from the start of the memory; array: from the array's start
   * @param index elements
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the array is of the wrong kind
   * @throws {RangeError} ERR_OUT_OF_RANGE: the index is not an element of the array
   */
  load(TypedArray: NumberAtomicArray, index: number): number

  /**
   * Reads an element.
   *
   * @param TypedArray constructor: the index counts from the start of the memory; array: from the array's start
   * @param index elements
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the array is of the wrong kind
   * @throws {RangeError} ERR_OUT_OF_RANGE: the index is not an element of the array
   */
  load(TypedArray: BigIntAtomicArray, index: number): bigint

  /**
   * Writes an element.
   *
   * @param TypedArray constructor: the index counts from the start of the memory; array: from the array's start
   * @param index elements
   * @param value
   * @returns the value
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the array or a value is of the wrong kind
   * @throws {RangeError} ERR_OUT_OF_RANGE: the index is not an element of the array
   */
  store(TypedArray: NumberAtomicArray, index: number, value: number): number

  /**
   * Writes an element.
   *
   * @param TypedArray constructor: the index counts from the start of the memory; array: from the array's start
   * @param index elements
   * @param value
   * @returns the value
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the array or a value is of the wrong kind
   * @throws {RangeError} ERR_OUT_OF_RANGE: the index is not an element of the array
   */
  store(TypedArray: BigIntAtomicArray, index: number, value: bigint): bigint

  /**
   * Puts the thread to sleep until it is notified. The memory must be shared.
   *
   * @param TypedArray constructor: the index counts from the start of the memory; array: from the array's start
   * @param index elements
   * @param value sleep only while the element holds it
   * @param timeout milliseconds, without limit by default
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the memory is not shared, the array is not an Int32Array or BigInt64Array, or the
   * value is of the other kind
   * @throws {RangeError} ERR_OUT_OF_RANGE: the index is not an element of the array
   */
  wait(
    TypedArray: NumberWaitableArray,
    index: number,
    value: number,
    timeout?: number,
  ): 'ok' | 'not-equal' | 'timed-out'

  /**
   * Puts the thread to sleep until it is notified. The memory must be shared.
   *
   * @param TypedArray constructor: the index counts from the start of the memory; array: from the array's start
   * @param index elements
   * @param value sleep only while the element holds it
   * @param timeout milliseconds, without limit by default
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the memory is not shared, the array is not an Int32Array or BigInt64Array, or the
   * value is of the other kind
   * @throws {RangeError} ERR_OUT_OF_RANGE: the index is not an element of the array
   */
  wait(
    TypedArray: BigIntWaitableArray,
    index: number,
    value: bigint,
    timeout?: number,
  ): 'ok' | 'not-equal' | 'timed-out'

  /**
   * Waits for a notification without putting the thread to sleep. The memory must be shared. The thread stays alive until
   * the promise is settled.
   *
   * @param TypedArray constructor: the index counts from the start of the memory; array: from the array's start
   * @param index elements
   * @param value wait only while the element holds it
   * @param timeout milliseconds, without limit by default
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the memory is not shared, the array is not an Int32Array or BigInt64Array, or the
   * value is of the other kind
   * @throws {RangeError} ERR_OUT_OF_RANGE: the index is not an element of the array
   */
  waitAsync(
    TypedArray: NumberWaitableArray,
    index: number,
    value: number,
    timeout?: number,
  ):
    | { async: false; value: 'not-equal' | 'timed-out' }
    | { async: true; value: Promise<'ok' | 'timed-out'> }

  /**
   * Waits for a notification without putting the thread to sleep. The memory must be shared. The thread stays alive until
   * the promise is settled.
   *
   * @param TypedArray constructor: the index counts from the start of the memory; array: from the array's start
   * @param index elements
   * @param value wait only while the element holds it
   * @param timeout milliseconds, without limit by default
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the memory is not shared, the array is not an Int32Array or BigInt64Array, or the
   * value is of the other kind
   * @throws {RangeError} ERR_OUT_OF_RANGE: the index is not an element of the array
   */
  waitAsync(
    TypedArray: BigIntWaitableArray,
    index: number,
    value: bigint,
    timeout?: number,
  ):
    | { async: false; value: 'not-equal' | 'timed-out' }
    | { async: true; value: Promise<'ok' | 'timed-out'> }

  /**
   * Wakes threads that wait on an element.
   *
   * @param TypedArray constructor: the index counts from the start of the memory; array: from the array's start
   * @param index elements
   * @param count at most so many, all by default
   * @returns how many were woken; 0 when the memory is not shared
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the array is not an Int32Array or BigInt64Array
   * @throws {RangeError} ERR_OUT_OF_RANGE: the index is not an element of the array
   */
  notify(
    TypedArray: NumberWaitableArray | BigIntWaitableArray,
    index: number,
    count?: number,
  ): number

  /**
   * Whether atomic operations on elements of a size need no lock.
   *
   * @param size bytes
   * @throws {TypeError} ERR_INVALID_ARG_TYPE: the size is not a number
   */
  isLockFree(size: number): boolean
}

export { LocalSharedMemory as default }
