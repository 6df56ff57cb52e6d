import { expectTypeOf } from 'expect-type'
import LocalSharedMemory = require('local-shared-memory')

const memory: LocalSharedMemory = new LocalSharedMemory(1, 10)
expectTypeOf(LocalSharedMemory.from(memory)).toEqualTypeOf<LocalSharedMemory>()
expectTypeOf(memory.allocs()).toEqualTypeOf<LocalSharedMemory.Allocation[]>()
expectTypeOf(memory.arrayView(Int16Array, 16)).toEqualTypeOf<
  LocalSharedMemory.ArrayOf<Int16ArrayConstructor>
>()

class Subclass extends LocalSharedMemory {}
expectTypeOf(new Subclass(1).malloc(8)).toEqualTypeOf<number>()

// The class has itself under the names that a module would export.
import { LocalSharedMemory as Named, type Allocation } from 'local-shared-memory'
const named: Named = new Named(1, 10)
expectTypeOf(named).toEqualTypeOf(memory)
expectTypeOf(named.allocs()).toEqualTypeOf<Allocation[]>()
expectTypeOf(LocalSharedMemory.default).toEqualTypeOf(LocalSharedMemory.LocalSharedMemory)
expectTypeOf(new LocalSharedMemory.default(1)).toEqualTypeOf(memory)
