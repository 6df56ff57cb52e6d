import { expectTypeOf } from 'expect-type'
import LocalSharedMemory = require('local-shared-memory')

const memory: LocalSharedMemory = new LocalSharedMemory(1, 10)
expectTypeOf(memory).toExtend<WebAssembly.Memory>()
expectTypeOf(LocalSharedMemory.from(memory)).toEqualTypeOf<LocalSharedMemory>()
expectTypeOf(memory.allocs()).toEqualTypeOf<LocalSharedMemory.Allocation[]>()
expectTypeOf(memory.arrayView(Int16Array, 16)).toEqualTypeOf<
  LocalSharedMemory.ArrayOf<Int16ArrayConstructor>
>()

class Subclass extends LocalSharedMemory {}
expectTypeOf(new Subclass(1).malloc(8)).toEqualTypeOf<number>()

// @ts-expect-error the class itself is what require returns
void LocalSharedMemory.LocalSharedMemory
