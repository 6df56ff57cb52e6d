// Free lists in JavaScript. The pool keeps its own state at its start, and 0 is its null.

import { MemPool } from '@thi.ng/malloc'
import { settings } from '../harness/settings.js'
import { version } from './version.js'

const LIVE = settings.quick ? 1_000 : 10_000
const POOL = 256 * 2 ** 20

export const contender = {
  name: '@thi.ng/malloc',
  version: version('../node_modules/@thi.ng/malloc/package.json'),
  language: 'JS',
  locking: 'one thread, shared memory',
  lacks: { threads: 'not safe between threads' },
  limits: [{ what: 'live', most: LIVE, why: 'free walks all live blocks' }],
  open: () => new MemPool({ buf: new SharedArrayBuffer(POOL), start: 16, align: 16 }),
}
