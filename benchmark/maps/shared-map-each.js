// This package: a map for each worker, in one memory. Whatever two threads do less here than twice what one does, it is not for want of
// maps that they share.

import LocalSharedMemory from '../../index.js'
import { SharedMap } from '../../structures/index.js'

export const contender = {
  name: 'SharedMap, one each',
  module: import.meta.url,
  lacks: () => undefined,
  create() {
    const memory = new LocalSharedMemory({ initial: 1000, maximum: 65_536, shared: true })
    return { handle: memory, close() {} }
  },
  attach: (memory) => SharedMap.create(LocalSharedMemory.from(memory)),
}
