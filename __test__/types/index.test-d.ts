import { expectTypeOf } from 'expect-type'
import DefaultExport, {
  LocalSharedMemory,
  type Allocation,
  type ErrorCode,
  type HeapArea,
  type HeapFault,
  type HeapStats,
  type Leak,
  type LibcImports,
  type LocalSharedMemoryDescriptor,
  type MemoryBuffer,
} from 'local-shared-memory'

expectTypeOf(DefaultExport).toEqualTypeOf(LocalSharedMemory)

// Construction
const memory = new LocalSharedMemory()
const constructible = expectTypeOf(LocalSharedMemory)
constructible.toBeConstructibleWith(10)
constructible.toBeConstructibleWith(10, 20)
constructible.toBeConstructibleWith(10, 20, false)
constructible.toBeConstructibleWith({ initial: 10 })
constructible.toBeConstructibleWith({
  initial: 10,
  maximum: 20,
  shared: true,
  heapBase: 65536,
  storage: 'native',
})
// @ts-expect-error the initial size is a number of pages
constructible.toBeConstructibleWith('10')
// @ts-expect-error a descriptor has an initial size
constructible.toBeConstructibleWith({ maximum: 20 })
// @ts-expect-error there are two kinds of storage
constructible.toBeConstructibleWith({ initial: 10, storage: 'disk' })
constructible.toBeConstructibleWith({ initial: 10, address: 'i32' })
// @ts-expect-error pointers are 32-bit
constructible.toBeConstructibleWith({ initial: 10, address: 'i64' })
// @ts-expect-error a descriptor stands alone
constructible.toBeConstructibleWith({ initial: 10 }, 20)

expectTypeOf(memory.grow(1)).toEqualTypeOf<number>()
expectTypeOf(LocalSharedMemory.devicePageSize).toEqualTypeOf<number>()
expectTypeOf(memory.storage).toEqualTypeOf<'native' | 'engine'>()
// @ts-expect-error the storage is chosen at construction
memory.storage = 'engine'
expectTypeOf(memory.length).toEqualTypeOf<number>()
// @ts-expect-error the length is measured
memory.length = 0

// A buffer can be passed on as what it is, of a memory that is shared or not.
expectTypeOf(memory.buffer).toEqualTypeOf<MemoryBuffer>()
expectTypeOf(memory.buffer).toExtend<SharedArrayBuffer>()
expectTypeOf(memory.buffer).toExtend<ArrayBuffer>()
expectTypeOf(new Uint8Array(memory.buffer)).toExtend<Uint8Array>()
if (memory.buffer instanceof SharedArrayBuffer) {
  expectTypeOf(memory.buffer.byteLength).toEqualTypeOf<number>()
} else {
  expectTypeOf(memory.buffer.byteLength).toEqualTypeOf<number>()
}
// @ts-expect-error it changes by growth only
memory.buffer = new SharedArrayBuffer(1)

const plain: { readonly buffer: MemoryBuffer; grow(delta: number): number } = memory
expectTypeOf(LocalSharedMemory.from(plain)).toEqualTypeOf<LocalSharedMemory>()
expectTypeOf(LocalSharedMemory.from(plain, { heapBase: 65536 })).toEqualTypeOf<LocalSharedMemory>()
// @ts-expect-error a buffer is not a memory
LocalSharedMemory.from(plain.buffer)

// Debug mode
constructible.toBeConstructibleWith({ initial: 10, debug: true })
// @ts-expect-error it is on or off
constructible.toBeConstructibleWith({ initial: 10, debug: 'true' })
expectTypeOf(LocalSharedMemory.from(plain, { debug: true })).toEqualTypeOf<LocalSharedMemory>()
expectTypeOf(memory.check()).toEqualTypeOf<HeapFault[]>()
expectTypeOf<HeapFault['made']>().toEqualTypeOf<
  { threadId: number; stack: string; structure?: string } | undefined
>()
expectTypeOf(memory.leaks()).toEqualTypeOf<Leak[]>()
expectTypeOf<Leak['stack']>().toEqualTypeOf<string | undefined>()
expectTypeOf<Leak['blocks']>().toEqualTypeOf<number[]>()
// @ts-expect-error check takes no options
memory.check({})

expectTypeOf(LocalSharedMemory.shared('name')).toEqualTypeOf<LocalSharedMemory>()
LocalSharedMemory.shared('name', {})
LocalSharedMemory.shared('name', { initial: 1, maximum: 2, shared: true, storage: 'engine' })
// @ts-expect-error a memory that is not shared cannot be sent to a worker
LocalSharedMemory.shared('name', { initial: 1, shared: false })
// @ts-expect-error a memory has a name
LocalSharedMemory.shared()

// C's malloc
expectTypeOf(memory.imports()).toEqualTypeOf<LibcImports>()
expectTypeOf(memory.imports().memory).toEqualTypeOf<LocalSharedMemory>()
expectTypeOf(memory.imports().calloc).toEqualTypeOf<(count: number, byteLength: number) => number>()
// @ts-expect-error there are no options
memory.imports({})

// Heap
expectTypeOf(memory.malloc).toEqualTypeOf<(byteLength: number, alignBytes?: number) => number>()
expectTypeOf(memory.calloc(2)).toEqualTypeOf<number>()
expectTypeOf(memory.calloc(2, 8, 64)).toEqualTypeOf<number>()
expectTypeOf(memory.realloc).toEqualTypeOf<(ptr: number, byteLength: number) => number>()
expectTypeOf(memory.free).toEqualTypeOf<(ptr: number) => void>()
expectTypeOf(memory.sizeof).toEqualTypeOf<(ptr: number) => number>()
expectTypeOf(memory.lengthof).toEqualTypeOf<(ptr: number) => number>()
expectTypeOf(memory.allocs()).toEqualTypeOf<Allocation[]>()
expectTypeOf<Allocation['buffer']>().toEqualTypeOf<SharedArrayBuffer>()
expectTypeOf(memory.stats()).toEqualTypeOf<HeapStats>()
expectTypeOf<keyof HeapStats>().toEqualTypeOf<
  | 'byteLength'
  | 'usedBytes'
  | 'requestedBytes'
  | 'freeBytes'
  | 'cachedBytes'
  | 'largestFreeBlock'
  | 'blockCount'
>()
expectTypeOf<HeapStats[keyof HeapStats]>().toEqualTypeOf<number>()
expectTypeOf(memory.heapMap()).toEqualTypeOf<HeapArea[]>()
expectTypeOf<HeapArea['kind']>().toEqualTypeOf<'span' | 'large' | 'free' | 'table' | 'outside'>()
expectTypeOf<Omit<HeapArea, 'kind'>[keyof Omit<HeapArea, 'kind'>]>().toEqualTypeOf<number>()
expectTypeOf(memory.trim()).toEqualTypeOf<number>()
expectTypeOf<'ERR_OUT_OF_MEMORY'>().toExtend<ErrorCode>()
// @ts-expect-error pointers are numbers
memory.free(16n)
// @ts-expect-error a size has to be given
memory.malloc()

expectTypeOf(memory.setRoot).toEqualTypeOf<(name: string, ptr: number) => void>()
expectTypeOf(memory.getRoot).toEqualTypeOf<(name: string) => number | undefined>()
// @ts-expect-error names are strings
memory.setRoot(Symbol('queue'), 16)

// Copies and views
expectTypeOf(memory.arrayBuffer(16)).toEqualTypeOf<ArrayBuffer>()
expectTypeOf(memory.sharedArrayBuffer(16, 8)).toEqualTypeOf<SharedArrayBuffer>()
expectTypeOf(memory.dataView(16, 8)).toEqualTypeOf<DataView>()
expectTypeOf(memory.arrayView(Uint8Array, 16)).toEqualTypeOf<Uint8Array>()
expectTypeOf(memory.arrayView(BigInt64Array, 16, 2)).toEqualTypeOf<BigInt64Array>()
expectTypeOf(memory.arrayView(Float16Array, 16, 2)).toEqualTypeOf<Float16Array>()
// @ts-expect-error a DataView is not a typed array
memory.arrayView(DataView, 16)
// @ts-expect-error an array is not its constructor
memory.arrayView(new Uint8Array(1), 16)

expectTypeOf(memory.Int8Array(4)).toEqualTypeOf<Int8Array>()
expectTypeOf(memory.Uint8Array([1, 2])).toEqualTypeOf<Uint8Array>()
expectTypeOf(memory.Uint8ClampedArray(new Set([1]))).toEqualTypeOf<Uint8ClampedArray>()
expectTypeOf(memory.Int16Array({ length: 1, 0: 1 })).toEqualTypeOf<Int16Array>()
expectTypeOf(memory.Uint16Array(4)).toEqualTypeOf<Uint16Array>()
expectTypeOf(memory.Int32Array(new Float64Array(4))).toEqualTypeOf<Int32Array>()
expectTypeOf(memory.Uint32Array(4)).toEqualTypeOf<Uint32Array>()
expectTypeOf(memory.BigInt64Array([1n])).toEqualTypeOf<BigInt64Array>()
expectTypeOf(memory.BigUint64Array(4)).toEqualTypeOf<BigUint64Array>()
expectTypeOf(memory.Float32Array(4)).toEqualTypeOf<Float32Array>()
expectTypeOf(memory.Float64Array(4)).toEqualTypeOf<Float64Array>()
expectTypeOf(memory.Float16Array(4)).toEqualTypeOf<Float16Array>()
// @ts-expect-error numbers are no elements of a BigInt64Array
memory.BigInt64Array([1])
// @ts-expect-error bigints are no elements of an Int32Array
memory.Int32Array([1n])

expectTypeOf(memory.alloc(Float64Array, 4)).toEqualTypeOf<Float64Array & Disposable>()
expectTypeOf(memory.alloc(BigInt64Array, [1n])).toEqualTypeOf<BigInt64Array & Disposable>()
{
  using block = memory.alloc(Uint8Array, new Set([1]))
  expectTypeOf(block[0]).toEqualTypeOf<number | undefined>()
}
// @ts-expect-error numbers are no elements of a BigInt64Array
memory.alloc(BigInt64Array, [1])
// @ts-expect-error a DataView is not a typed array
memory.alloc(DataView, 16)

// Accessors
expectTypeOf(memory.getInt8).toEqualTypeOf<(offset: number) => number>()
expectTypeOf(memory.setInt8).toEqualTypeOf<(offset: number, value?: number) => void>()
expectTypeOf(memory.getBigUint64).toEqualTypeOf<(offset: number) => bigint>()
expectTypeOf(memory.setBigUint64).toEqualTypeOf<(offset: number, value?: bigint) => void>()
expectTypeOf(memory.getFloat16).toEqualTypeOf<(offset: number) => number>()
// @ts-expect-error an offset has to be given
memory.getInt32()
// @ts-expect-error 64-bit integers are bigints
memory.setBigInt64(16, 1)
// @ts-expect-error an Int32 is a number
memory.setInt32(16, 1n)

// Bytes
expectTypeOf(memory.memcpy).toEqualTypeOf<
  (dst: number, src: number, byteLength: number) => number
>()
expectTypeOf(memory.memset(16, 0, 8)).toEqualTypeOf<number>()
expectTypeOf(memory.memset(16, new ArrayBuffer(8))).toEqualTypeOf<number>()
memory.memset(16, new SharedArrayBuffer(8), 2)
memory.memset(16, Buffer.from('text'), 2, 2)
memory.memset(16, new DataView(new ArrayBuffer(8)))
// @ts-expect-error a byte is repeated a number of times
memory.memset(16, 0)
// @ts-expect-error a string is not a buffer
memory.memset(16, 'text')

// Text
expectTypeOf(memory.mallocString).toEqualTypeOf<(text: string) => number>()
expectTypeOf(memory.setString).toEqualTypeOf<(ptr: number, text: string) => number>()
expectTypeOf(memory.getString).toEqualTypeOf<(ptr: number, byteLength?: number) => string>()
// @ts-expect-error a buffer is not a string
memory.setString(16, Buffer.from('text'))

// The whole memory
expectTypeOf(memory.at(Float32Array, -1)).toEqualTypeOf<number | undefined>()
expectTypeOf(memory.at(BigUint64Array, 4)).toEqualTypeOf<bigint | undefined>()
expectTypeOf(memory.fill(Uint8Array, 1, 16, 32)).toEqualTypeOf<LocalSharedMemory>()
expectTypeOf(memory.copyWithin(Uint8Array, 16, 32)).toEqualTypeOf<LocalSharedMemory>()
expectTypeOf(memory.subarray(Int16Array, 16)).toEqualTypeOf<Int16Array>()
expectTypeOf(memory.set(Int32Array, [1, 2], 16)).toEqualTypeOf<void>()
memory.set(BigInt64Array, [1n])
// @ts-expect-error a BigInt64Array is filled with bigints
memory.fill(BigInt64Array, 1)
// @ts-expect-error an Int32Array takes numbers
memory.set(Int32Array, [1n])
declare const either: Int32ArrayConstructor | BigInt64ArrayConstructor
expectTypeOf(memory.subarray(either)).toEqualTypeOf<Int32Array | BigInt64Array>()
// @ts-expect-error numbers or bigints, but not whichever it may be
memory.fill(either, 1)

// Atomics
expectTypeOf(memory.add(Int32Array, 4, 1)).toEqualTypeOf<number>()
expectTypeOf(memory.sub(BigInt64Array, 4, 1n)).toEqualTypeOf<bigint>()
expectTypeOf(memory.exchange(memory.arrayView(Uint16Array, 16), 0, 1)).toEqualTypeOf<number>()
expectTypeOf(memory.compareExchange(BigUint64Array, 4, 0n, 1n)).toEqualTypeOf<bigint>()
expectTypeOf(memory.load(memory.BigInt64Array(1), 0)).toEqualTypeOf<bigint>()
expectTypeOf(memory.store(Uint8Array, 16, 1)).toEqualTypeOf<number>()
expectTypeOf(memory.wait(Int32Array, 4, 0, 100)).toEqualTypeOf<'ok' | 'not-equal' | 'timed-out'>()
expectTypeOf(memory.wait(BigInt64Array, 4, 0n)).toEqualTypeOf<'ok' | 'not-equal' | 'timed-out'>()
expectTypeOf(memory.notify(BigInt64Array, 4)).toEqualTypeOf<number>()
expectTypeOf(memory.isLockFree(4)).toEqualTypeOf<boolean>()
const waiting = memory.waitAsync(Int32Array, 4, 0)
if (waiting.async) expectTypeOf(waiting.value).toEqualTypeOf<Promise<'ok' | 'timed-out'>>()
else expectTypeOf(waiting.value).toEqualTypeOf<'not-equal' | 'timed-out'>()
// @ts-expect-error bigint elements take bigints
memory.add(BigInt64Array, 4, 1)
// @ts-expect-error number elements take numbers
memory.xor(Int32Array, 4, 1n)
// @ts-expect-error a bigint is not exchanged for a number
memory.compareExchange(BigInt64Array, 4, 0n, 1)
// @ts-expect-error a bigint is waited on with a bigint
memory.wait(BigInt64Array, 4, 0)
// @ts-expect-error numbers or bigints, but not whichever it may be
memory.add(either, 4, 1)
// @ts-expect-error Atomics know no floats
memory.load(Float64Array, 4)
// @ts-expect-error Atomics know no clamped bytes
memory.or(Uint8ClampedArray, 4, 1)
// @ts-expect-error only 32-bit and 64-bit signed integers can be waited on
memory.wait(Uint8Array, 16, 0)
// @ts-expect-error only 32-bit and 64-bit signed integers can be notified
memory.notify(Uint32Array, 4)
// What is left out may be undefined, too.
declare const count: number | undefined
declare const flag: boolean | undefined
const optional: LocalSharedMemoryDescriptor = {
  initial: 1,
  maximum: count,
  shared: flag,
  address: undefined,
  heapBase: count,
  storage: undefined,
  debug: flag,
}
expectTypeOf(new LocalSharedMemory(optional)).toEqualTypeOf<LocalSharedMemory>()
LocalSharedMemory.from(memory, { heapBase: count, debug: flag })
LocalSharedMemory.attach('heap', { initial: count, maximum: count, create: flag })
LocalSharedMemory.shared('heap', { initial: 1, maximum: count, create: flag })
