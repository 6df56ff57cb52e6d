// What has to be built before the contenders can be imported: the native program, a module of
// AssemblyScript's heap, one that calls malloc and free, and a bundle of a peer that ships TypeScript only.

import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
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

const HEAP_SOURCE = `
export function malloc(size: usize): usize { return heap.alloc(size) }
export function free(ptr: usize): void { heap.free(ptr) }
export function realloc(ptr: usize, size: usize): usize { return heap.realloc(ptr, size) }`

const LOOP_SOURCE = `
@external("env", "malloc") declare function malloc(size: usize): usize
@external("env", "free") declare function free(ptr: usize): void
export function pairs(size: usize, ops: i32): void {
  for (let i = 0; i < ops; i++) free(malloc(size))
}`

/** Builds all of them. */
export async function build() {
  mkdirSync(path('../build'), { recursive: true })
  execFileSync('cargo', ['build', '--release', '--quiet'], {
    cwd: path('../native'),
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  await buildAssemblyScript()
  await bundleSharedMemoryObjects()
}

async function buildAssemblyScript() {
  await assemble(LOOP_SOURCE, wasmLoop, { runtime: 'stub' })
  await assemble(HEAP_SOURCE, assemblyScriptHeap, {
    runtime: 'minimal',
    importMemory: true,
    sharedMemory: true,
    initialMemory: 1,
    maximumMemory: 65_536,
    enable: ['threads'],
  })
}

async function assemble(source, file, options) {
  const { default: asc } = await import('assemblyscript/asc')
  const { error, stderr, binary } = await asc.compileString(source, {
    optimizeLevel: 3,
    noAssert: true,
    ...options,
  })
  if (error) throw new Error(`${error.message}\n${stderr}`)
  writeFileSync(file, binary)
}

async function bundleSharedMemoryObjects() {
  const { build: bundle } = await import('esbuild')
  await bundle({
    entryPoints: [path('../node_modules/@daneren2005/shared-memory-objects/src/main.ts')],
    outfile: sharedMemoryObjects,
    bundle: true,
    format: 'esm',
    define: { 'import.meta.env.MODE': '"production"' },
  })
}
