// For programs that have no types but the language's own.

import { LocalSharedMemory } from 'local-shared-memory'
import { Channel, Mutex, SharedMap, struct } from 'local-shared-memory/structures'

const memory = new LocalSharedMemory()
void Mutex.create(memory).lockAsync({ timeout: 1 })
void Channel.create<string>(memory).receiveAsync({ timeout: 1 })
SharedMap.create<string, number>(memory).set('one', 1)
struct({ hits: 'atomic u32' }).create(memory).hits = 1
