// One of the servers: each runs in a worker of its own, and all of them share the two maps.

import LocalSharedMemory from 'local-shared-memory'
import { SharedMap } from 'local-shared-memory/structures'
import { createServer } from 'node:http'
import { parentPort, workerData } from 'node:worker_threads'
import { handlerOf } from './handler.js'
import { LIMITER, LIMIT, SESSIONS } from './settings.js'

const memory = LocalSharedMemory.shared('rate limiter')
const limiter = SharedMap.open(memory, 'limiter', LIMITER)
const sessions = SharedMap.open(memory, 'sessions', SESSIONS)

const server = createServer(handlerOf({ limiter, sessions, limit: LIMIT }, workerData.name))
server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port))
