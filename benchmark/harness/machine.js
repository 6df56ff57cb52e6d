// What the figures were measured on.

import os from 'node:os'

/** @returns {object} the machine, the system and the moment */
export function machine() {
  const cpus = os.cpus()
  return {
    date: new Date().toISOString(),
    cpu: cpus[0].model.trim(),
    cores: cpus.length,
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    system: `${os.type()} ${os.release()} ${os.arch()}`,
    node: process.version,
    v8: process.versions.v8,
  }
}
