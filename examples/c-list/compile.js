// Compiles list.c, if clang and wasm-ld are installed, else assembles list.wat.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const COMPILER =
  '--target=wasm32 -O2 -nostdlib -fno-builtin -matomics -mbulk-memory -mmutable-globals'
/** One page for the module's data and stack; the memory is imported, shared between threads, and has up to 100 pages. */
const LINKER =
  '--no-entry --import-memory --shared-memory --allow-undefined --initial-memory=65536 ' +
  '--max-memory=6553600 -zstack-size=4096 --export=__stack_pointer'
const FLAGS = [...COMPILER.split(' '), ...LINKER.split(' ').map((flag) => `-Wl,${flag}`)]

const path = (name) => fileURLToPath(new URL(name, import.meta.url))

const withClang = () => {
  const folder = mkdtempSync(join(tmpdir(), 'c-list-'))
  const output = join(folder, 'list.wasm')
  try {
    execFileSync('clang', [...FLAGS, path('list.c'), '-o', output], { stdio: 'ignore' })
    return readFileSync(output)
  } catch {
    return null
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const withWabt = async () => {
  // A development dependency: an installed package has none.
  const { default: initialize } = await import('wabt')
  const wabt = await initialize()
  const text = readFileSync(path('list.wat'), 'utf8')
  return wabt.parseWat('list.wat', text, { threads: true, mutable_globals: true }).toBinary({})
    .buffer
}

/** @returns {Promise<{ module: WebAssembly.Module, source: string }>} */
export const compile = async () => {
  const bytes = withClang()
  return bytes === null
    ? { module: new WebAssembly.Module(await withWabt()), source: 'list.wat' }
    : { module: new WebAssembly.Module(bytes), source: 'list.c' }
}
