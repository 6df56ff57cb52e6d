// One of the threads that blur the image of main.js: it takes bands of rows or columns as long as there are any.

import { workerData } from 'node:worker_threads'
import LocalSharedMemory from '../../index.js'
import { Channel } from '../../structures/index.js'
import { blurColumns, blurRows } from './blur.js'
import { Image } from './image.js'

const memory = LocalSharedMemory.from(workerData)
const image = new Image(memory, memory.getRoot('image'))
const bands = Channel.open(memory, 'bands')
const done = Channel.open(memory, 'done')

for (let band; (band = bands.receive()) !== undefined;) {
  const { isRows, from, to } = band
  if (isRows) blurRows(image, from, to)
  else blurColumns(image, from, to)
  done.send(to - from)
}
