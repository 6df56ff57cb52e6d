// This package: a Channel each way.

import LocalSharedMemory from '../../index.js'
import { Channel } from '../../structures/index.js'

const PAGES = 1000
const CAPACITY = 4 * 2 ** 20

export const contender = {
  name: 'Channel',
  module: import.meta.url,
  create() {
    const memory = new LocalSharedMemory(PAGES)
    const [there, back] = [1, 2].map(() => Channel.create(memory, { capacity: CAPACITY }).ptr)
    const handles = [
      { memory, send: there, receive: back },
      { memory, send: back, receive: there },
    ]
    return { handles }
  },
  attach(handle) {
    const memory = LocalSharedMemory.from(handle.memory)
    const outward = Channel.at(memory, handle.send)
    const inward = Channel.at(memory, handle.receive)
    return {
      send(message, count) {
        for (let sent = 0; sent < count; sent++) outward.send(message)
      },
      receive(count, check) {
        for (let received = 0; received < count; received++) check(inward.receive())
      },
      ask(message, count, check) {
        for (let asked = 0; asked < count; asked++) {
          outward.send(message)
          check(inward.receive())
        }
      },
      answer(count) {
        for (let answered = 0; answered < count; answered++) outward.send(inward.receive())
      },
    }
  },
}
