// A package from npm, wasm-vips, built with Emscripten and threads, runs on one memory with the photos that it makes smaller:
// workers draw them into the heap, the package's own threads read them there and write the small ones there, and no pixel
// is copied in or out. The results must be those of the package when it is used normally:
//
//   npm --prefix examples/vips ci
//   node examples/vips/main.js

import { Worker } from 'node:worker_threads'
import { BYTES, HEIGHT, imageAt, shrink, SMALL_BYTES, WIDTH } from './photo.js'
import { startAlone, startOnMemory } from './package-on-memory.js'

/** Bytes that libvips has for itself. */
const SHARE = 2 ** 26
const WORKERS = 3
const PHOTOS = 30
/** Bytes that the heap has before the workers start. */
const RESERVE = 2 ** 24

/** Has workers draw photos, and calls `take` with the pointer of each. */
const drawn = (memory, worker, take) =>
  new Promise((resolve, reject) => {
    const seeds = Array.from({ length: PHOTOS / WORKERS }, (_, i) => 1 + worker + i * WORKERS)
    const thread = new Worker(new URL('worker.js', import.meta.url), {
      workerData: { memory, seeds },
    })
    thread.on('message', take)
    thread.on('error', reject)
    thread.on('exit', resolve)
  })

const shrinkAlone = (vips, pixels) =>
  shrink(vips.Image.newFromMemory(pixels, WIDTH, HEIGHT, 3, 'uchar'), (small) =>
    small.writeToMemory(),
  )

const shrinkInMemory = (vips, memory, ptr) => {
  const result = memory.malloc(SMALL_BYTES)
  const target = imageAt(vips, result, 4)
  shrink(imageAt(vips, ptr, 1), (small) => target.drawImage(small, 0, 0))
  target.delete()
  return result
}

const main = async () => {
  const { vips, memory } = await startOnMemory(SHARE)
  // Threads that are in WebAssembly learn late of pages that others grow: those are there before the work begins.
  memory.free(memory.malloc(RESERVE))
  const alone = await startAlone()
  console.log(`libvips has ${SHARE} bytes for itself; ${WORKERS} workers draw ${PHOTOS} photos`)

  const counts = { photos: 0, bytes: 0 }
  const take = (ptr) => {
    const result = shrinkInMemory(vips, memory, ptr)
    const expected = shrinkAlone(alone, new Uint8Array(memory.arrayBuffer(ptr)))
    if (Buffer.compare(Buffer.from(memory.arrayBuffer(result)), expected) !== 0) {
      throw new Error(`the photo at ${ptr} is not what the package makes of it alone`)
    }
    memory.free(ptr)
    memory.free(result)
    counts.photos++
    counts.bytes += BYTES + SMALL_BYTES
  }
  await Promise.all(Array.from({ length: WORKERS }, (_, i) => drawn(memory, i, take)))

  if (counts.photos !== PHOTOS) throw new Error('photos are missing')
  if (memory.length !== 0) throw new Error(`${memory.length} bytes are still in use`)
  console.log(`${counts.photos} small photos, all as the package makes them on a memory of its own`)
  console.log(`${counts.bytes} bytes of pixels stayed where they were`)
  vips.shutdown()
  alone.shutdown()
}

try {
  await main()
} catch (error) {
  console.error(`vips: ${error.message}`)
  process.exitCode = 1
}
