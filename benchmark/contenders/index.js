// Everyone that is measured, in the order of the tables. A contender is
//
//   name, version, language, locking, alignment (16 unless given), sizeOf   for the tables
//   open() -> { malloc, free, realloc? }   a heap of its own, or runNatively(…) in its place
//   openSmall(maximum = 65_536) -> the same with a `buffer` that starts at one page and grows to `maximum`
//   share(heap) -> what a worker is sent;  attach(received) -> the heap there
//   module        what a worker imports to find the contender
//   lacks: { duty: why }, limits: [{ what, most, why }]   what it cannot do
//   check(heap)   throws unless every block was freed
//   Pointers      the array that holds its pointers, Uint32Array unless given

import { contender as assemblyScript } from './assemblyscript.js'
import { contender as codemix } from './codemix-malloc.js'
import { contender as floor } from './floor.js'
import { contender as koffi } from './koffi-glibc.js'
import { close, contenders as native } from './native.js'
import { contender as nothing } from './nothing.js'
import { contender as sharedMemoryObjects } from './shared-memory-objects.js'
import { contender as thing } from './thing-malloc.js'
import { contender as walloc } from './walloc.js'
import { contender as wasiLibc } from './wasi-libc.js'

const { contender: ours } = await import('./local-shared-memory.js').catch((error) => {
  console.error(`local-shared-memory is left out, it cannot be imported: ${error.message}`)
  return {}
})

export const contenders = [
  ...(ours ? [ours] : []),
  ...native.slice(0, 2),
  walloc,
  wasiLibc,
  assemblyScript,
  thing,
  codemix,
  sharedMemoryObjects,
  koffi,
  floor,
  nothing,
  native[2],
]

export { close, ours }

/**
 * Why a contender cannot do a workload.
 * @param {object} contender
 * @param {{ needs?: string[], live?: number, bytes?: number }} workload
 * @returns {string | undefined} the reason, or undefined when it can
 */
export function refusal({ lacks = {}, limits = [] }, workload) {
  const duty = workload.needs?.find((need) => need in lacks)
  return lacks[duty] ?? limits.find(({ what, most }) => workload[what] > most)?.why
}
