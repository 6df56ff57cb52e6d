// Where `build.js` puts what it builds.

import { fileURLToPath } from 'node:url'

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url))

/** The program that `native.js` starts. */
export const nativeProgram = path('../native/target/release/native-contenders')
/** The module that `assemblyscript.js` instantiates. */
export const assemblyScriptHeap = path('../build/heap.wasm')
/** The module that `workloads/wasm.js` times. */
export const wasmLoop = path('../build/loop.wasm')
/** The bundle that `shared-memory-objects.js` imports. */
export const sharedMemoryObjects = path('../build/shared-memory-objects.js')
