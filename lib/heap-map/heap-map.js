// The heap as a map, for whoever wants to see or draw it: what the native side counted, as objects.

/** What an area can be, in the order of the native side's numbers. */
export const KINDS = ['outside', 'table', 'free', 'large', 'span']
const COLUMNS = 8

/**
 * @param {Float64Array} rows what Heap.map() returns
 * @returns {import('../../index.js').HeapArea[]}
 */
export const areasOf = (rows) => {
  const areas = []
  for (let at = 0; at < rows.length; at += COLUMNS) {
    const [kind, byteOffset, byteLength, trimmedBytes, blockBytes, live, cached, free] =
      rows.subarray(at, at + COLUMNS)
    const slots = live + cached + free
    areas.push({
      kind: KINDS[kind],
      byteOffset,
      byteLength,
      trimmedBytes,
      blockBytes,
      slots,
      live,
      cached,
      free,
    })
  }
  return areas
}
