// Free lists in JavaScript behind a lock made of Atomics: the buffer under the package's MemoryHeap,
// with the options that MemoryHeap gives it. In a worker the lock waits, as it does in a browser.

import { isMainThread } from 'node:worker_threads'
import { sharedMemoryObjects } from './built.js'
import { settings } from '../harness/settings.js'
import { version } from './version.js'

globalThis.self ??= isMainThread ? {} : { WorkerGlobalScope: true }
const { MemoryBuffer } = await import(sharedMemoryObjects)

const LIVE = settings.quick ? 1_000 : 10_000
const BUFFER = 256 * 2 ** 20

export const contender = {
  name: 'shared-memory-objects',
  version: version('../node_modules/@daneren2005/shared-memory-objects/package.json'),
  language: 'JS',
  module: import.meta.url,
  locking: 'any thread, lock of Atomics',
  sizeOf: 'usable, O(live)',
  limits: [{ what: 'live', most: LIVE, why: 'free walks all live blocks' }],
  open: () =>
    new MemoryBuffer({
      buf: new SharedArrayBuffer(BUFFER),
      start: 16,
      align: 16,
      compact: false,
      split: false,
    }),
  share: ({ buf }) => buf,
  attach: (buf) => new MemoryBuffer({ buf, start: 16, skipInitialization: true }),
}
