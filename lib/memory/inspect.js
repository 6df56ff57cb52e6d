// What util.inspect, and with it console.log, shows of a memory: what its heap is used for, in a line.

const summaryOf = (memory) => {
  let summary = {}
  try {
    summary = { storage: memory.storage, byteLength: memory.buffer.byteLength }
    const { usedBytes, freeBytes, cachedBytes, blockCount } = memory.stats()
    return { ...summary, usedBytes, freeBytes, cachedBytes, blockCount }
  } catch (error) {
    return { ...summary, error: error.code ?? error.message }
  }
}

/**
 * Node's hook for util.inspect. It never throws for what it finds.
 *
 * @param {import('../../index.js').LocalSharedMemory} memory
 * @param {number} depth how many levels may still be shown
 * @param {import('node:util').InspectOptionsStylized} options
 * @param {typeof import('node:util').inspect} inspect
 * @returns {string}
 */
export const inspectMemory = (memory, depth, options, inspect) => {
  const { name } = memory.constructor
  if (depth < 0) return options.stylize(`[${name}]`, 'special')
  return `${name} ${inspect(summaryOf(memory), { ...options, breakLength: Infinity })}`
}
