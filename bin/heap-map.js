// Draws a heap map that a program wrote with JSON.stringify(memory.heapMap()): to the terminal, or to a file as SVG.

import { readFile, writeFile } from 'node:fs/promises'
import { KINDS } from '../lib/heap-map/heap-map.js'
import { drawSvg } from '../lib/heap-map/svg.js'
import { drawText } from '../lib/heap-map/text.js'

const NUMBERS = ['byteLength', 'trimmedBytes', 'blockBytes', 'slots', 'live', 'cached', 'free']

/** Whether the bytes of an area suffice for what it says of them. */
const isPossible = ({ byteLength, trimmedBytes, blockBytes, slots, live, cached, free }) =>
  slots === live + cached + free && slots * blockBytes + trimmedBytes <= byteLength

const isArea = (area, start) =>
  KINDS.includes(area?.kind) &&
  area.byteOffset === start &&
  area.byteLength > 0 &&
  NUMBERS.every((name) => Number.isSafeInteger(area[name]) && area[name] >= 0) &&
  isPossible(area)

/** What a file holds, if it is a heap map: areas without gaps. */
const readMap = async (file) => {
  const map = JSON.parse(await readFile(file, 'utf8'))
  if (!Array.isArray(map) || map.length === 0) throw new Error('it holds no heap map')
  let start = 0
  for (const area of map) {
    if (!isArea(area, start)) throw new Error(`it holds no heap map at byte ${start} of the heap`)
    start += area.byteLength
  }
  return map
}

/**
 * @param {string} input path of the map
 * @param {string} [output] path of the picture; by default the map is printed
 * @throws {Error} when the file cannot be read, or holds no map
 */
export const drawHeapMap = async (input, output) => {
  const map = await readMap(input)
  if (output !== undefined) await writeFile(output, drawSvg(map))
  else process.stdout.write(drawText(map, process.stdout.hasColors?.() ?? false))
}
