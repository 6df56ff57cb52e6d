// A skip list in JavaScript; alignment 8, the only one it has.

import Allocator from 'malloc'
import { version } from './version.js'

const HEAP = 256 * 2 ** 20

export const contender = {
  name: 'malloc (codemix)',
  version: version('../node_modules/malloc/package.json'),
  language: 'JS',
  locking: 'one thread, shared memory',
  alignment: 8,
  sizeOf: 'usable',
  lacks: { realloc: 'no realloc', threads: 'not safe between threads' },
  limits: [{ what: 'live', most: 100_000, why: 'its skip list is slow with many free blocks' }],
  open() {
    const allocator = new Allocator(Buffer.from(new SharedArrayBuffer(HEAP)))
    return { malloc: (size) => allocator.alloc(size), free: (ptr) => allocator.free(ptr) }
  },
}
