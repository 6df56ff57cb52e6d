// One of the servers, a process of node:cluster: all of them attach one file and share the two maps in it.

import LocalSharedMemory from 'local-shared-memory'
import { SharedMap } from 'local-shared-memory/structures'
import { createServer } from 'node:http'
import { handlerOf } from '../rate-limiter/handler.js'
import { LIMIT, LIMITER, PATH, SESSIONS } from './settings.js'

const memory = LocalSharedMemory.attach(PATH, { create: false })
const limiter = SharedMap.open(memory, 'limiter', LIMITER)
const sessions = SharedMap.open(memory, 'sessions', SESSIONS)

createServer(handlerOf({ limiter, sessions, limit: LIMIT }, process.pid)).listen(0, 'localhost')
