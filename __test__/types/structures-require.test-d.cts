import { expectTypeOf } from 'expect-type'
import LocalSharedMemory = require('local-shared-memory')
import { Mutex, struct } from 'local-shared-memory/structures'

const memory = new LocalSharedMemory(1, 10)
const mutex: Mutex = Mutex.create(memory)
expectTypeOf(mutex.ptr).toEqualTypeOf<number>()
expectTypeOf(struct({ id: 'i64' }).at(memory, 16).id).toEqualTypeOf<bigint>()
