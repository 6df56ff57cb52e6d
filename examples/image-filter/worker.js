// One of the threads that blur the image of main.js: a band of its rows, and when all rows are done, a band of its columns.

import { workerData } from 'node:worker_threads'
import LocalSharedMemory from '../../index.js'
import { blurColumns, blurRows } from './blur.js'
import { Image } from './image.js'

const { memory: received, index, threads } = workerData
const memory = LocalSharedMemory.from(received)
const image = new Image(memory, memory.getRoot('image'))

const bound = (length, part) => Math.floor((length * part) / threads)

blurRows(image, bound(image.height, index), bound(image.height, index + 1))
image.awaitAll(threads)
blurColumns(image, bound(image.width, index), bound(image.width, index + 1))
