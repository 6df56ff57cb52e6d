// The types of `require('local-shared-memory')`, which returns the class itself.

import type * as types from './index.js' with { 'resolution-mode': 'import' }

declare const LocalSharedMemory: typeof types.LocalSharedMemory & {
  /** The class itself, as a module would export it. */
  readonly LocalSharedMemory: typeof types.LocalSharedMemory
  /** The class itself, as a module would export it. */
  readonly default: typeof types.LocalSharedMemory
}
type LocalSharedMemory = types.LocalSharedMemory

declare namespace LocalSharedMemory {
  export type LocalSharedMemory = types.LocalSharedMemory
  export type BigIntArrayConstructor = types.BigIntArrayConstructor
  export type NumberArrayConstructor = types.NumberArrayConstructor
  export type TypedArrayConstructor = types.TypedArrayConstructor
  export type NumberAtomicArray = types.NumberAtomicArray
  export type BigIntAtomicArray = types.BigIntAtomicArray
  export type NumberWaitableArray = types.NumberWaitableArray
  export type BigIntWaitableArray = types.BigIntWaitableArray
  export type ArrayOf<C> = types.ArrayOf<C>
  export type ErrorCode = types.ErrorCode
  export type Storage = types.Storage
  export type MemoryBuffer = types.MemoryBuffer
  export type LocalSharedMemoryDescriptor = types.LocalSharedMemoryDescriptor
  export type LibcImports = types.LibcImports
  export type SharedMemoryOptions = types.SharedMemoryOptions
  export type HeapArea = types.HeapArea
  export type Place = types.Place
  export type BlockFacts = types.BlockFacts
  export type HeapFault = types.HeapFault
  export type Leak = types.Leak
  export type Allocation = types.Allocation
  export type AttachOptions = types.AttachOptions
  export type HeapStats = types.HeapStats
}

export = LocalSharedMemory
