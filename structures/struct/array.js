// Structs one behind the other.

import { inspect } from 'node:util'
import { checkInteger } from '../../lib/errors.js'
import { viewsAt } from './view.js'

/** As many structs of a kind as were asked for, from a pointer on. */
export class StructArray {
  #Struct

  constructor(Struct, memory, ptr, length) {
    this.#Struct = Struct
    this.memory = memory
    this.ptr = ptr
    this.length = length
    this.byteLength = length * Struct.byteLength
    viewsAt(memory, ptr, this.byteLength, Struct.alignBytes)
  }

  /**
   * @param {number} index
   * @returns {number} pointer to that struct
   * @throws {TypeError} ERR_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_OUT_OF_RANGE
   */
  ptrAt(index) {
    checkInteger('index', index, 0, this.length - 1, 'elements')
    return this.ptr + index * this.#Struct.byteLength
  }

  /** The struct itself, as ptrAt has it. */
  at(index) {
    return new this.#Struct(this.memory, this.ptrAt(index))
  }

  *[Symbol.iterator]() {
    for (let index = 0; index < this.length; index++) yield this.at(index)
  }

  [inspect.custom](depth, options) {
    const { memory: _, ...facts } = this
    return `StructArray ${inspect(facts, { ...options, breakLength: Infinity })}`
  }
}
