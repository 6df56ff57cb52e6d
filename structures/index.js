// The second entry point: what threads share, besides bytes. Each structure lies in blocks of a memory's heap.

export { Channel } from './channel/channel.js'
export { Mutex } from './mutex.js'
export { SharedMap } from './shared-map/shared-map.js'
export { struct } from './struct/struct.js'
