// For programs that have TypeScript's DOM library, and WebAssembly's types with it.

import { expectTypeOf } from 'expect-type'
import { LocalSharedMemory, type LibcImports } from 'local-shared-memory'

const memory = new LocalSharedMemory()
expectTypeOf(memory).toExtend<WebAssembly.Memory>()
expectTypeOf<LibcImports>().toExtend<WebAssembly.ModuleImports>()
void WebAssembly.instantiate(new Uint8Array(), { env: { memory }, libc: { ...memory.imports() } })

const plain = new WebAssembly.Memory({ initial: 1, maximum: 2, shared: true })
expectTypeOf(LocalSharedMemory.from(plain)).toEqualTypeOf<LocalSharedMemory>()
expectTypeOf(LocalSharedMemory.from(plain, { heapBase: 65536 })).toEqualTypeOf<LocalSharedMemory>()
// @ts-expect-error a buffer is not a memory
LocalSharedMemory.from(plain.buffer)
