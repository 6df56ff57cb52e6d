// Compiles list.c, if clang and wasm-ld are installed, else assembles list.wat.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import initialize from 'wabt'

/** One page for the module's data and stack; threads: the memory is imported, shared, and has up to 100 pages. */
const FLAGS = [
  ...['--target=wasm32', '-O2', '-nostdlib', '-matomics', '-mbulk-memory', '-mmutable-globals'],
  ...['--no-entry', '--import-memory', '--shared-memory', '--allow-undefined'].map(linker),
  ...['--initial-memory=65536', '--max-memory=6553600', '-zstack-size=4096'].map(linker),
  linker('--export=__stack_pointer'),
]

function linker(flag) {
  return `-Wl,${flag}`
}

const path = (name) => new URL(name, import.meta.url).pathname

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
