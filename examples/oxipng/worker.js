// One thread of main.js: turns images of the heap into PNG files of the heap, with an instance of the package.

import { parentPort, workerData } from 'node:worker_threads'
import { initSync, optimise_raw } from '@jsquash/oxipng/codec/pkg-parallel/squoosh_oxipng.js'
import LocalSharedMemory from '../../index.js'
import { imageAt } from './image.js'

const { module, images, level } = workerData
initSync(module, workerData.memory)
const memory = LocalSharedMemory.from(workerData.memory)

const results = images.map((image) => {
  const { width, height, pixels } = imageAt(memory, image)
  const png = memory.Uint8Array(optimise_raw(pixels, width, height, level, false, false))
  memory.free(image)
  return png.byteOffset
})
parentPort.postMessage(results)
