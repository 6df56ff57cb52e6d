// The types of struct(): what a description says, read by the compiler.

import type { LocalSharedMemory } from '../index.js'

type NumberName = 'i8' | 'u8' | 'i16' | 'u16' | 'i32' | 'u32' | 'f16' | 'f32' | 'f64'
type BigIntName = 'i64' | 'u64'
type IntegerName = Exclude<NumberName, `f${string}`> | BigIntName

/** A class that struct() made, or one that extends it. */
type StructClass = Pick<Struct<any>, 'byteLength' | 'alignBytes'> &
  (new (memory: LocalSharedMemory, ptr: number) => Pick<StructView<{}>, 'memory' | 'ptr'>)

/** What a field can be. */
export type FieldType =
  | NumberName
  | BigIntName
  | 'bool'
  | `atomic ${IntegerName}`
  | `${NumberName | BigIntName}[${number}]`
  | `utf8(${number})`
  | StructClass

/** Types of fields by their names, in the order in which they lie. */
export type StructDescription = Record<string, FieldType>

interface ArrayTypes {
  i8: Int8Array
  u8: Uint8Array
  i16: Int16Array
  u16: Uint16Array
  i32: Int32Array
  u32: Uint32Array
  i64: BigInt64Array
  u64: BigUint64Array
  f16: typeof globalThis extends { Float16Array: { readonly prototype: infer A } } ? A : never
  f32: Float32Array
  f64: Float64Array
}

/** What a field of a type holds. */
export type FieldValue<T> = T extends NumberName | `atomic ${Exclude<IntegerName, BigIntName>}`
  ? number
  : T extends BigIntName | `atomic ${BigIntName}`
    ? bigint
    : T extends 'bool'
      ? boolean
      : T extends `utf8(${number})`
        ? string
        : T extends `${infer N extends keyof ArrayTypes}[${number}]`
          ? ArrayTypes[N]
          : T extends StructClass
            ? InstanceType<T>
            : never

/** What can be assigned to a field of a type, by pointer. */
export type FieldInput<T> = T extends `${infer N extends keyof ArrayTypes}[${number}]`
  ? | ArrayTypes[N]
    | ArrayLike<N extends BigIntName ? bigint : number>
    | Iterable<N extends BigIntName ? bigint : number>
  : FieldValue<T>

/**
 * An object that shows a struct in the memory: its fields are properties. An array field takes any array, but the compiler knows
 * one type for reading and writing a property of a mapped type: `it.sizes.set([1, 2])` and `fields.sizes.set(ptr, [1, 2])` are
 * what it accepts.
 */
export type StructView<D extends StructDescription> = {
  -readonly [K in keyof D]: FieldValue<D[K]>
} & {
  /** The memory that it lies in. */
  readonly memory: LocalSharedMemory
  /** Pointer to it. */
  readonly ptr: number
}

/** A field of the structs of one memory, by pointer. */
export interface Field<V, I = V> {
  /** Where it begins in its struct, in bytes. */
  readonly offset: number
  /**
   * Reads it, as the property does.
   *
   * @param ptr of the struct, in bytes
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE: no such struct can be at the pointer. All methods throw these two; at the end of the
   * memory those of Atomics look for the field only
   */
  get(ptr: number): V
  /**
   * Writes it, as the property does.
   *
   * @param ptr of the struct, in bytes
   * @param value
   */
  set(ptr: number, value: I): void
}

/**
 * A field of integers: what Atomics does with the index of an element, this does with the pointer of a struct. Values are converted
 * as Atomics converts them.
 */
export interface IntegerField<V extends number | bigint> extends Field<V> {
  /**
   * @param ptr of the struct, in bytes
   * @returns the value
   */
  load(ptr: number): V
  /**
   * @param ptr of the struct, in bytes
   * @param value
   * @returns the value
   */
  store(ptr: number, value: V): V
  /**
   * @param ptr of the struct, in bytes
   * @param value
   * @returns the old value
   */
  add(ptr: number, value: V): V
  /**
   * @param ptr of the struct, in bytes
   * @param value
   * @returns the old value
   */
  sub(ptr: number, value: V): V
  /**
   * @param ptr of the struct, in bytes
   * @param value
   * @returns the old value
   */
  and(ptr: number, value: V): V
  /**
   * @param ptr of the struct, in bytes
   * @param value
   * @returns the old value
   */
  or(ptr: number, value: V): V
  /**
   * @param ptr of the struct, in bytes
   * @param value
   * @returns the old value
   */
  xor(ptr: number, value: V): V
  /**
   * @param ptr of the struct, in bytes
   * @param value
   * @returns the old value
   */
  exchange(ptr: number, value: V): V
  /**
   * @param ptr of the struct, in bytes
   * @param expected
   * @param replacement is written if the field holds `expected`
   * @returns the old value
   */
  compareExchange(ptr: number, expected: V, replacement: V): V
}

/** A field that a thread can wait on: 'i32' or 'i64'. The memory must be shared. */
export interface WaitableField<V extends number | bigint> extends IntegerField<V> {
  /**
   * Puts the thread to sleep until it is notified.
   *
   * @param ptr of the struct, in bytes
   * @param value sleep only while the field holds it
   * @param timeout milliseconds, without limit by default
   */
  wait(ptr: number, value: V, timeout?: number): 'ok' | 'not-equal' | 'timed-out'
  /**
   * Waits without putting the thread to sleep. The thread stays alive until the promise is settled.
   *
   * @param ptr of the struct, in bytes
   * @param value wait only while the field holds it
   * @param timeout milliseconds, without limit by default
   */
  waitAsync(
    ptr: number,
    value: V,
    timeout?: number,
  ):
    | { async: false; value: 'not-equal' | 'timed-out' }
    | { async: true; value: Promise<'ok' | 'timed-out'> }
  /**
   * Wakes threads that wait on the field.
   *
   * @param ptr of the struct, in bytes
   * @param count how many at most, all by default
   * @returns how many were woken
   */
  notify(ptr: number, count?: number): number
}

/** What a field of a type is by pointer. */
export type FieldOf<T> = T extends 'i32' | 'atomic i32'
  ? WaitableField<number>
  : T extends 'i64' | 'atomic i64'
    ? WaitableField<bigint>
    : T extends IntegerName | `atomic ${IntegerName}`
      ? IntegerField<T extends BigIntName | `atomic ${BigIntName}` ? bigint : number>
      : Field<FieldValue<T>, FieldInput<T>>

/** Structs one behind the other. */
export interface StructArray<S> extends Iterable<S> {
  /** The memory that they lie in. */
  readonly memory: LocalSharedMemory
  /** Pointer to the first one. */
  readonly ptr: number
  /** How many there are. */
  readonly length: number
  /** Their bytes. */
  readonly byteLength: number
  /**
   * @param index
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE
   */
  at(index: number): S
  /**
   * @param index
   * @returns pointer to that one, for fields
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE
   */
  ptrAt(index: number): number
}

/** A class that struct() made. A class of your own can extend it. */
export interface Struct<D extends StructDescription> {
  /**
   * What `at` does.
   *
   * @param memory
   * @param ptr
   */
  new (memory: LocalSharedMemory, ptr: number): StructView<D>
  /** What its objects have. */
  readonly prototype: StructView<D>
  /** Bytes of one: a multiple of alignBytes, so that each in an array is aligned. */
  readonly byteLength: number
  /** What the pointer to one has to be a multiple of. */
  readonly alignBytes: number
  /** Where each field begins, in bytes. */
  readonly offsets: { readonly [K in keyof D]: number }
  /**
   * The one at a pointer, in a block or inside of one. Nothing is checked but that the bytes lie in the memory.
   *
   * @param memory
   * @param ptr a multiple of alignBytes
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE
   */
  at<S>(
    this: new (memory: LocalSharedMemory, ptr: number) => S,
    memory: LocalSharedMemory,
    ptr: number,
  ): S
  /**
   * A new one, all zero. `memory.free(it.ptr)` frees it.
   *
   * @param memory
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_MEMORY
   */
  create<S>(this: new (memory: LocalSharedMemory, ptr: number) => S, memory: LocalSharedMemory): S
  /**
   * New ones, all zero, in one block. `memory.free(array.ptr)` frees them.
   *
   * @param memory
   * @param length how many
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE, ERR_OUT_OF_MEMORY
   */
  array<S>(
    this: new (memory: LocalSharedMemory, ptr: number) => S,
    memory: LocalSharedMemory,
    length: number,
  ): StructArray<S>
  /**
   * Those that lie one behind the other from a pointer on.
   *
   * @param memory
   * @param ptr a multiple of alignBytes
   * @param length how many
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE
   */
  arrayAt<S>(
    this: new (memory: LocalSharedMemory, ptr: number) => S,
    memory: LocalSharedMemory,
    ptr: number,
    length: number,
  ): StructArray<S>
  /**
   * The fields of all that lie in a memory, by pointer: `fields.hits.add(ptr, 1)`.
   *
   * @param memory
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   */
  fields(memory: LocalSharedMemory): { readonly [K in keyof D]: FieldOf<D[K]> }
}

/**
 * Describes a struct: its fields lie in the order of the description, each aligned as C aligns it.
 *
 * @param description types by names: ASCII letters, digits, `_` and `$`, the first no digit, and not `memory`, `ptr`, `constructor` or
 * `__proto__`
 * @throws {TypeError} ERR_INVALID_ARG_TYPE: it is no object
 * @throws {RangeError} ERR_OUT_OF_RANGE: a name or a type that there is not, or no field
 */
export function struct<const D extends StructDescription>(description: D): Struct<D>
