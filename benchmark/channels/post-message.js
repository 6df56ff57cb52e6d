// What Node.js has: the two ends of a MessageChannel.

import { MessageChannel } from 'node:worker_threads'

export const contender = {
  name: 'postMessage',
  module: import.meta.url,
  create() {
    const { port1, port2 } = new MessageChannel()
    return { handles: [port1, port2], transfer: true }
  },
  attach(port) {
    let take
    port.on('message', (message) => take(message))
    const times = (count, handle) =>
      new Promise((resolve) => {
        let taken = 0
        take = (message) => {
          handle(message)
          if (++taken === count) resolve()
        }
      })
    return {
      send(message, count) {
        for (let sent = 0; sent < count; sent++) port.postMessage(message)
      },
      receive: times,
      ask(message, count, check) {
        let left = count
        const done = times(count, (answer) => {
          check(answer)
          if (--left > 0) port.postMessage(message)
        })
        port.postMessage(message)
        return done
      },
      answer: (count) => times(count, (message) => port.postMessage(message)),
    }
  },
}
