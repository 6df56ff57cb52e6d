// One of the servers, a process of node:cluster: all of them attach one file and share the two maps in it. A request names its
// client; a client may send LIMIT requests in a window of time, to whichever process, and has one session in all of them.

import LocalSharedMemory from 'local-shared-memory'
import { SharedMap } from 'local-shared-memory/structures'
import { createServer } from 'node:http'
import { LIMIT, LIMITER, PATH, SESSIONS } from './settings.js'

const memory = LocalSharedMemory.attach(PATH, { create: false })
const limiter = SharedMap.open(memory, 'limiter', LIMITER)
const sessions = SharedMap.open(memory, 'sessions', SESSIONS)

const visit = (client) =>
  sessions.update(client, (session = { client, visits: 0, servers: [] }) => ({
    ...session,
    visits: session.visits + 1,
    servers: [...new Set([...session.servers, process.pid])],
  }))

const server = createServer((request, response) => {
  const { client } = request.headers
  // The first request of a client begins its window, at the end of which the count expires.
  if (limiter.increment(client) > LIMIT) {
    response.writeHead(429).end()
    return
  }
  response.writeHead(200, { 'content-type': 'application/json', pid: process.pid })
  response.end(JSON.stringify(visit(client)))
})
server.listen(0, 'localhost')
