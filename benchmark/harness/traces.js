// The recorded traces: calls of malloc (0), free (1) and realloc (2) as triples of u32
// [call, id, size]. Blocks still live at the end were never freed.

import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'

const HEADER = 8
const GRAIN = 16

/** The recorded programs. */
export const traceNames = ['git', 'sqlite', 'python', 'bash', 'gcc', 'jq', 'perl']

/**
 * Reads a trace and what it asks of a heap.
 * @param {string} name
 * @returns {{ script: Uint32Array, ids: number, calls: number, reallocs: number, peakBlocks: number,
 *   leastBytes: number }} `leastBytes` is the peak sum of (n + 8) rounded up to 16 over live blocks
 */
export function readTrace(name) {
  const bytes = gunzipSync(readFileSync(new URL(`../traces/${name}.trace.gz`, import.meta.url)))
  const script = new Uint32Array(
    bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length),
  )
  return { script, calls: script.length / 3, ...survey(script) }
}

function survey(script) {
  const sizes = new Map()
  const peak = { blocks: 0, bytes: 0 }
  let bytes = 0
  let reallocs = 0
  let ids = 0
  for (let i = 0; i < script.length; i += 3) {
    const [call, id, size] = script.subarray(i, i + 3)
    if (call > 2) throw new RangeError(`call ${call} at ${i / 3} is not malloc, free or realloc`)
    bytes -= sizes.get(id) ?? 0
    sizes.delete(id)
    if (call !== 1) {
      sizes.set(id, Math.ceil((size + HEADER) / GRAIN) * GRAIN)
      bytes += sizes.get(id)
    }
    reallocs += call === 2
    ids = Math.max(ids, id + 1)
    peak.blocks = Math.max(peak.blocks, sizes.size)
    peak.bytes = Math.max(peak.bytes, bytes)
  }
  return { ids, reallocs, peakBlocks: peak.blocks, leastBytes: peak.bytes }
}
