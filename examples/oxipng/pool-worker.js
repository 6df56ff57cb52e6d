// One thread of the package's own pool. Once started it stays in WebAssembly, and ends with the process.

import { parentPort } from 'node:worker_threads'
import {
  initSync,
  wbg_rayon_start_worker,
} from '@jsquash/oxipng/codec/pkg-parallel/squoosh_oxipng.js'

parentPort.once('message', ({ module, memory, receiver }) => {
  initSync(module, memory)
  parentPort.postMessage('ready')
  wbg_rayon_start_worker(receiver)
})
