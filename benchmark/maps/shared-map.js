// This package.

import LocalSharedMemory from '../../index.js'
import { SharedMap } from '../../structures/index.js'

export const contender = {
  name: 'SharedMap',
  module: import.meta.url,
  lacks: () => undefined,
  create() {
    const memory = new LocalSharedMemory({ initial: 1000, maximum: 65_536, shared: true })
    const map = SharedMap.create(memory)
    return { handle: { memory, ptr: map.ptr }, close: () => map.destroy() }
  },
  attach: ({ memory, ptr }) => SharedMap.at(LocalSharedMemory.from(memory), ptr),
}
