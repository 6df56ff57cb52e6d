// A rate limiter and a session cache that four HTTP servers share, each in a worker of its own. Clients send their requests
// to one server after the other; half-way one server is terminated and another started. Whatever the order,
// each client gets exactly as many answers as the limit allows, and its session has seen all of them:
//
//   node examples/rate-limiter/main.js

import LocalSharedMemory from 'local-shared-memory'
import { SharedMap } from 'local-shared-memory/structures'
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { Worker } from 'node:worker_threads'
import { LIMITER, LIMIT, SESSIONS } from './settings.js'

const SERVERS = 4
const CLIENTS = 25
/** Sent by each client in all. */
const REQUESTS = 2 * LIMIT

const memory = LocalSharedMemory.shared('rate limiter', { initial: 10, maximum: 1000 })
const agent = new Agent({ keepAlive: true })

const start = async (name) => {
  const worker = new Worker(new URL('server.js', import.meta.url), { workerData: { name } })
  const [port] = await once(worker, 'message')
  return { worker, port }
}

/** Sends one request; resolves with the status and the session that came back. */
const ask = async ({ port }, client) => {
  const sent = request({ port, agent, headers: { client } })
  sent.end()
  const [response] = await once(sent, 'response')
  const parts = await response.toArray()
  const body = Buffer.concat(parts).toString()
  return { status: response.statusCode, session: body === '' ? undefined : JSON.parse(body) }
}

/** Has each client ask the servers in turn; returns how many answers each one got. */
const askAll = async (servers, requests) => {
  const allowed = new Map()
  for (let round = 0; round < requests; round++) {
    const clients = Array.from({ length: CLIENTS }, (_, number) => `client ${number}`)
    // oxlint-disable-next-line no-await-in-loop -- all clients at once, one request after the other
    const answers = await Promise.all(
      clients.map((client, number) => ask(servers[(round + number) % SERVERS], client)),
    )
    for (const [number, { status }] of answers.entries()) {
      const client = clients[number]
      allowed.set(client, (allowed.get(client) ?? 0) + (status === 200 ? 1 : 0))
    }
  }
  return allowed
}

const main = async () => {
  const limiter = SharedMap.open(memory, 'limiter', LIMITER)
  const sessions = SharedMap.open(memory, 'sessions', SESSIONS)
  const names = Array.from({ length: SERVERS }, (_, number) => `server ${number}`)
  const servers = await Promise.all(names.map(start))
  const begin = performance.now()

  const first = await askAll(servers, LIMIT / 2)
  await servers[0].worker.terminate()
  servers[0] = await start('server 0, the second')
  const rest = await askAll(servers, REQUESTS - LIMIT / 2)
  const milliseconds = performance.now() - begin

  for (const [client, count] of first) assert.equal(count + rest.get(client), LIMIT)
  for (const [client, count] of limiter) assert.deepEqual([client, count], [client, REQUESTS])
  for (const [client, session] of sessions) {
    assert.equal(session.client, client)
    assert.equal(session.visits, LIMIT)
    assert.equal(session.servers.length, SERVERS + 1)
  }
  assert.deepEqual([limiter.size, sessions.size], [CLIENTS, CLIENTS])
  console.log(
    `${CLIENTS} clients sent ${CLIENTS * REQUESTS} requests to ${SERVERS} servers in ${milliseconds.toFixed(0)} ms; ` +
      `${CLIENTS * LIMIT} were answered, ${LIMIT} of each client, though one server was terminated.`,
  )
  console.log(limiter, sessions)

  await Promise.all(servers.map(({ worker }) => worker.terminate()))
  agent.destroy()
  limiter.destroy()
  sessions.destroy()
  assert.equal(memory.length, 0)
  console.log('The heap is empty.')
}

try {
  await main()
} catch (error) {
  console.error(`rate-limiter: ${error.stack}`)
  process.exit(1)
}
