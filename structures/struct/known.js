// Which classes are structs, and their layouts.

const layouts = new WeakMap()

/** Lets layoutOf know. */
export const keepLayout = (Struct, layout) => {
  layouts.set(Struct, layout)
}

/**
 * @param {unknown} Struct
 * @returns {import('./layout.js').Layout | undefined} that of a class which struct() made, or of one derived from it
 */
export const layoutOf = (Struct) => {
  for (let at = Struct; typeof at === 'function'; at = Object.getPrototypeOf(at)) {
    if (layouts.has(at)) return layouts.get(at)
  }
  return undefined
}
