// One of the servers: each runs in a worker of its own, and all of them share the two maps. A request names its client; a
// client may send LIMIT requests in a window of time, to whichever server, and has one session on all of them.

import LocalSharedMemory from 'local-shared-memory'
import { SharedMap } from 'local-shared-memory/structures'
import { createServer } from 'node:http'
import { parentPort, workerData } from 'node:worker_threads'
import { LIMITER, LIMIT, SESSIONS } from './settings.js'

const memory = LocalSharedMemory.shared('rate limiter')
const limiter = SharedMap.open(memory, 'limiter', LIMITER)
const sessions = SharedMap.open(memory, 'sessions', SESSIONS)

const visit = (client) =>
  sessions.update(client, (session = { client, visits: 0, servers: [] }) => ({
    ...session,
    visits: session.visits + 1,
    servers: [...new Set([...session.servers, workerData.name])],
  }))

const server = createServer((request, response) => {
  const { client } = request.headers
  // The first request of a client begins its window, at the end of which the count expires.
  if (limiter.increment(client) > LIMIT) {
    response.writeHead(429).end()
    return
  }
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify(visit(client)))
})

server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port))
