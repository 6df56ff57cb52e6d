// The other process: keeps free blocks until it is killed, or sends back what it receives.

import LocalSharedMemory from '../../index.js'
import { Channel } from '../../structures/index.js'

const [role, path] = process.argv.slice(2)

const roles = {
  keep() {
    const memory = LocalSharedMemory.attach(path)
    memory.free(memory.malloc(64))
    process.on('message', () => {})
    process.send('ready')
  },
  channel() {
    const memory = LocalSharedMemory.attach(path)
    const [there, back] = ['there', 'back'].map((name) => Channel.open(memory, name))
    process.send('ready', () => {
      for (;;) back.send(there.receive())
    })
  },
  send() {
    process.on('message', (message) => process.send(message))
    process.send('ready')
  },
}

roles[role]()
