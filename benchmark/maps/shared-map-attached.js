// This package: in a file that processes attach. Here each worker attaches it for itself, as a process does.

import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import LocalSharedMemory from '../../index.js'
import { SharedMap } from '../../structures/index.js'

const NAME = 'map'

export const contender = {
  name: 'SharedMap, attached',
  module: import.meta.url,
  lacks: () => (process.platform === 'linux' ? undefined : 'needs Linux'),
  create() {
    const folder = mkdtempSync('/dev/shm/lsm-maps-')
    const path = join(folder, 'heap')
    const memory = LocalSharedMemory.attach(path, { initial: 1000, maximum: 16_000 })
    SharedMap.open(memory, NAME)
    return {
      handle: path,
      close() {
        memory.close()
        rmSync(folder, { recursive: true })
      },
    }
  },
  attach: (path) => SharedMap.open(LocalSharedMemory.attach(path), NAME),
}
