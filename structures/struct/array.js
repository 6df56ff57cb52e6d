// Structs one behind the other.

import { inspect } from 'node:util'
import { checkInteger } from '../../lib/base/errors.js'
import { makeArray } from './makers.js'
import { specialised } from './specialised.js'
import { viewsAt } from './view.js'

/** As many structs of a kind as were asked for, from a pointer on. */
class StructArray {
  constructor(Struct, memory, ptr, length) {
    this.memory = memory
    this.ptr = ptr
    this.length = length
    this.byteLength = length * Struct.byteLength
    viewsAt(memory, ptr, this.byteLength, Struct.alignBytes)
  }

  [inspect.custom](depth, options) {
    const { memory: _, ...facts } = this
    return `StructArray ${inspect(facts, { ...options, breakLength: Infinity })}`
  }
}

const checkIndex = (array, index) => {
  checkInteger('index', index, 0, array.length - 1, 'elements')
}

/** Those that there are, by what their structs are shown as. */
const kinds = new WeakMap()

/**
 * The class of arrays of a struct, with what is compiled for it alone.
 *
 * @param {Function} Struct a class that struct() made, or one derived from it
 * @returns {typeof StructArray}
 */
export const arrayOf = (Struct) => {
  if (!kinds.has(Struct)) {
    kinds.set(Struct, specialised(makeArray, StructArray, Struct, Struct.byteLength, checkIndex))
  }
  return kinds.get(Struct)
}
