// Builds what has to be there before the contenders can be imported: the native program, a module of
// AssemblyScript's heap, one that calls malloc and free, and a bundle of a peer that ships TypeScript only.
//
// A program of its own: AssemblyScript's compiler grows a memory, which detaches its old buffer, and in a
// process where any buffer was ever detached the engine looks at every use of a typed array whether that
// one is.

import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { assemblyScriptHeap, sharedMemoryObjects, wasmLoop } from './built.js'

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url))

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

mkdirSync(path('../build'), { recursive: true })
execFileSync('cargo', ['build', '--release', '--quiet'], {
  cwd: path('../native'),
  stdio: ['ignore', 'ignore', 'inherit'],
})
await buildAssemblyScript()
await bundleSharedMemoryObjects()
