// The maps that are measured, in the order of the tables. One is
//
//   name, module      for the tables, and what a worker imports to find it
//   lacks(load)       why it cannot do a workload, undefined when it can; a load is { keys, values, threads }
//   create(load) -> { handle, close() }     an empty map, and what a worker is sent
//   attach(handle) -> the map there         with get(key) and set(key, value), either of which may return a promise;
//                                           settle(), when sets go on after they have returned
//   asks              true when every call has to be awaited

import { contender as askWorker } from './ask-worker.js'
import { contender as lmdb } from './lmdb.js'
import { contender as map } from './map.js'
import { contender as redis } from './redis.js'
import { contender as attached } from './shared-map-attached.js'
import { contender as oneEach } from './shared-map-each.js'
import { contender as sharedMap } from './shared-map.js'
import { contender as sharedMemoryObjects } from './shared-memory-objects.js'

export const maps = [sharedMap, oneEach, attached, map, lmdb, redis, sharedMemoryObjects, askWorker]
