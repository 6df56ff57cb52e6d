// What people do without shared memory: one worker has the Map, the others ask it by postMessage.

import { MessageChannel, Worker } from 'node:worker_threads'

export const contender = {
  name: 'a worker that is asked',
  module: import.meta.url,
  asks: true,
  lacks: () => undefined,
  create({ threads }) {
    const worker = new Worker(new URL('asked-worker.js', import.meta.url))
    const handles = Array.from({ length: threads }, () => {
      const { port1, port2 } = new MessageChannel()
      worker.postMessage(port1, [port1])
      return port2
    })
    return { handles, close: () => worker.terminate() }
  },
  attach(port) {
    let answer
    port.on('message', (value) => answer(value))
    const ask = (question) =>
      new Promise((resolve) => {
        answer = resolve
        port.postMessage(question)
      })
    return { get: (key) => ask({ key }), set: (key, value) => ask({ key, value }) }
  },
}
