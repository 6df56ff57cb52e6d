// Redis over a local socket, in memory only. The protocol is written out: a client's own work would be measured with it.

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'

const isInstalled = () => {
  try {
    execFileSync('redis-server', ['--version'])
    return true
  } catch {
    return false
  }
}

const missing = isInstalled() ? undefined : 'redis-server is not installed'

const part = (text) => `$${Buffer.byteLength(text)}\r\n${text}\r\n`
const encode = (parts) => `*${parts.length}\r\n${parts.map(part).join('')}`

/** The end of one answer, which is a line, or a length and so many bytes; -1 when it is not all there. */
const endOf = (answer) => {
  const line = answer.indexOf('\r\n')
  if (line < 0 || answer[0] !== '$') return line < 0 ? -1 : line + 2
  const end = line + 2 + Math.max(Number(answer.slice(1, line)), 0) + 2
  return answer.length < end ? -1 : end
}

export const contender = {
  name: 'Redis',
  module: import.meta.url,
  asks: true,
  lacks: () => missing,
  create(load) {
    const folder = mkdtempSync(join(tmpdir(), 'redis-'))
    const path = join(folder, 'socket')
    const settings = { port: 0, unixsocket: path, save: '', appendonly: 'no', dir: folder }
    const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, `${value}`])
    const server = spawn('redis-server', args, { stdio: 'ignore' })
    return {
      handle: { path, ...load },
      async close() {
        server.kill()
        await once(server, 'exit')
        rmSync(folder, { recursive: true })
      },
    }
  },
  attach({ path, values }) {
    const decode = values === 'number' ? Number : (text) => text
    let socket
    let received = ''
    let take
    const open = async () => {
      // oxlint-disable-next-line no-await-in-loop -- until the server is there
      while (!existsSync(path)) await setTimeout(5)
      socket = connect(path).setEncoding('latin1')
      socket.on('data', (text) => {
        received += text
        if (endOf(received) < 0) return
        const answer = received
        received = ''
        take(answer)
      })
    }
    const ask = async (...parts) => {
      if (socket === undefined) await open()
      const answered = new Promise((resolve) => (take = resolve))
      socket.write(encode(parts))
      return answered
    }
    return {
      async get(key) {
        const answer = await ask('GET', `${key}`)
        if (answer.startsWith('$-1')) return undefined
        return decode(answer.slice(answer.indexOf('\r\n') + 2, -2))
      },
      set: (key, value) => ask('SET', `${key}`, `${value}`),
    }
  },
}
