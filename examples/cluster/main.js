// Four processes of node:cluster answer on one port, and share a rate limiter and a session cache in a file that all of
// them attach. Under load one is killed with SIGKILL, and another started. Nothing is lost but the requests that it was at:
//
//   node examples/cluster/main.js

import LocalSharedMemory from 'local-shared-memory'
import { SharedMap } from 'local-shared-memory/structures'
import assert from 'node:assert/strict'
import cluster from 'node:cluster'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { request } from 'node:http'
import { fileURLToPath } from 'node:url'
import { LIMIT, LIMITER, PATH, SESSIONS } from './settings.js'

const SERVERS = 4
const CLIENTS = 20
/** Sent by each client in all. */
const REQUESTS = 80

// Each process takes its requests from the system. Those that the primary process deals out are not even refused when they
// have just been sent to one that is killed.
cluster.schedulingPolicy = cluster.SCHED_NONE
cluster.setupPrimary({ exec: fileURLToPath(new URL('server.js', import.meta.url)) })

/** @returns {Promise<number>} the port, once the process answers there */
const start = async () => {
  const [{ port }] = await once(cluster.fork({ EXAMPLE_ID: process.pid }), 'listening')
  return port
}

/** Sends one request; resolves with the status and who has answered, or an empty object when nobody has. */
const ask = async (port, client) => {
  const sent = request({ port, host: 'localhost', agent: false, headers: { client } })
  sent.end()
  try {
    const [response] = await once(sent, 'response')
    await response.toArray()
    return { status: response.statusCode, pid: Number(response.headers.server) }
  } catch {
    return {}
  }
}

/** Sends all requests of a client, one after the other; returns how many were answered, and in which way. */
const askAll = async (port, client, answered) => {
  const counts = { allowed: 0, refused: 0, failed: 0 }
  for (let number = 0; number < REQUESTS; number++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const { status, pid } = await ask(port, client)
    if (status === undefined) counts.failed++
    else counts[status === 200 ? 'allowed' : 'refused']++
    answered(pid)
  }
  return counts
}

/** Calls a function once, when so many requests are over, with who answered the last one. */
const after = (many, act) => {
  let over = 0
  return (pid) => {
    over++
    if (over === many) act(pid)
  }
}

// What a client was told is so; what it was not told, as the process was killed, may be either way.
const check = (counts, limited, session) => {
  const { allowed, refused, failed } = counts
  assert.equal(allowed + refused + failed, REQUESTS)
  const isBetween = (count, least) => count >= least && count <= least + failed
  assert.ok(isBetween(limited, allowed + refused), `${limited} counted, ${allowed + refused} told`)
  assert.ok(isBetween(session.visits, allowed), `${session.visits} visits, ${allowed} told`)
  assert.ok(allowed + failed >= LIMIT && allowed <= LIMIT)
}

const main = async (memory) => {
  const limiter = SharedMap.open(memory, 'limiter', LIMITER)
  const sessions = SharedMap.open(memory, 'sessions', SESSIONS)
  const [port] = await Promise.all(Array.from({ length: SERVERS }, start))
  let second
  const kill = after((CLIENTS * REQUESTS) / 4, (pid) => {
    process.kill(pid, 'SIGKILL')
    second = start()
  })
  const clients = Array.from({ length: CLIENTS }, (_, number) => `client ${number}`)
  const counts = await Promise.all(clients.map((client) => askAll(port, client, kill)))

  for (const [number, client] of clients.entries()) {
    check(counts[number], limiter.get(client), sessions.get(client))
  }
  const sum = (kind) => counts.reduce((total, count) => total + count[kind], 0)
  const failed = sum('failed')
  assert.ok(failed <= CLIENTS, `${failed} requests were lost`)
  await second
  console.log(
    `${CLIENTS} clients sent ${CLIENTS * REQUESTS} requests to ${SERVERS} processes, one of which was killed: ` +
      `${sum('allowed')} were answered, ${sum('refused')} refused by the rate limit, ${failed} lost with that process.`,
  )
  console.log(limiter, sessions)

  for (const server of Object.values(cluster.workers)) {
    server.process.kill('SIGKILL')
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await once(server, 'exit')
  }
  memory.recover()
  limiter.destroy()
  sessions.destroy()
  assert.deepEqual([memory.length, memory.check()], [0, []])
  console.log('The heap is empty.')
}

if (process.platform !== 'linux') {
  console.log('Heaps of several processes need Linux.')
} else {
  const memory = LocalSharedMemory.attach(PATH, { initial: 10, maximum: 4000 })
  try {
    await main(memory)
  } catch (error) {
    console.error(`cluster: ${error.stack}`)
    process.exitCode = 1
  } finally {
    rmSync(PATH)
    process.exit()
  }
}
