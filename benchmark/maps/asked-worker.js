// Has the Map, and answers all who ask.

import { parentPort } from 'node:worker_threads'

const map = new Map()

parentPort.on('message', (port) => {
  port.on('message', ({ key, value }) => {
    port.postMessage(value === undefined ? map.get(key) : map.set(key, value).size)
  })
})
