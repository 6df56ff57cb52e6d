// This package.

import LocalSharedMemory from '../../index.js'
import { version } from './version.js'

const MAXIMUM = 65_536

/** A heap of this package; the whole class, not a wrapper around it. */
export const contender = {
  name: 'local-shared-memory',
  version: version('../../package.json'),
  language: 'JS + Rust',
  module: import.meta.url,
  locking: 'any thread',
  sizeOf: 'requested',
  Class: LocalSharedMemory,
  open: () => new LocalSharedMemory({ initial: 1000, maximum: MAXIMUM, shared: true }),
  openSmall: (maximum = MAXIMUM) => new LocalSharedMemory({ initial: 1, maximum, shared: true }),
  share: (memory) => memory,
  attach: (received) => LocalSharedMemory.from(received),
  check: (memory) => {
    const { usedBytes } = memory.stats()
    if (usedBytes !== 0) throw new Error(`${usedBytes} bytes are still used after every free`)
  },
}
