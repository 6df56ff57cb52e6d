// struct(): from a description of fields to a class whose objects show them somewhere in the memory.

import { inspect } from 'node:util'
import { checkInteger, MAX_BYTES } from '../../lib/base/errors.js'
import { withNewBlock } from '../../lib/base/new-block.js'
import { checkMemory } from '../memories.js'
import { accessorOf } from './accessors.js'
import { arrayOf } from './array.js'
import { fieldsOf } from './fields.js'
import { keepLayout } from './known.js'
import { plan } from './layout.js'
import { makeStruct } from './makers.js'
import { specialised } from './specialised.js'
import { MEMORY, PTR, View, VIEWS, viewsAt } from './view.js'

const define = (Struct, fields) => {
  for (const field of fields) {
    const accessor = { ...accessorOf(field), enumerable: true, configurable: true }
    Object.defineProperty(Struct.prototype, field.name, accessor)
  }
}

const offsetsOf = (fields) =>
  Object.freeze(Object.fromEntries(fields.map(({ name, offset }) => [name, offset])))

const valuesOf = (view, fields) => Object.fromEntries(fields.map(({ name }) => [name, view[name]]))

/**
 * Describes a struct: fields by name, in order, laid out as C does it.
 *
 * @param {object} description types by names: numbers from 'i8' to 'f64', 'bool', 'atomic u32' and the like, 'u16[4]',
 * 'utf8(32)', and structs
 * @returns {Function} a class: at, create, array, arrayAt and fields make what shows the fields
 * @throws {TypeError} ERR_INVALID_ARG_TYPE
 * @throws {RangeError} ERR_OUT_OF_RANGE for a name or type that there is not
 */
export const struct = (description) => {
  const layout = plan(description)
  const { fields, byteLength, alignBytes } = layout
  const offsets = offsetsOf(fields)
  const most = Math.floor(MAX_BYTES / byteLength)
  const checkLength = (length) => checkInteger('length', length, 1, most, 'elements')

  const viewsFor = (memory, ptr) => {
    checkMemory(memory)
    return viewsAt(memory, ptr, byteLength, alignBytes)
  }

  class Described extends View {
    /** Bytes of one, a multiple of alignBytes. */
    static get byteLength() {
      return byteLength
    }

    /** What the pointer to one is a multiple of. */
    static get alignBytes() {
      return alignBytes
    }

    /** Where each field begins, in bytes. */
    static get offsets() {
      return offsets
    }

    /** The one at a pointer. */
    static at(memory, ptr) {
      return new this(memory, ptr)
    }

    /** A new one in a block of its own, all zero. */
    static create(memory) {
      checkMemory(memory)
      const make = () => memory.calloc(1, byteLength)
      return withNewBlock(memory, make, (ptr) => new this(memory, ptr))
    }

    /** New ones, one behind the other, in a block of their own, all zero. */
    static array(memory, length) {
      checkMemory(memory)
      checkLength(length)
      const make = () => memory.calloc(length, byteLength)
      return withNewBlock(memory, make, (ptr) => new (arrayOf(this))(this, memory, ptr, length))
    }

    /** Those from a pointer on. */
    static arrayAt(memory, ptr, length) {
      checkMemory(memory)
      checkLength(length)
      return new (arrayOf(this))(this, memory, ptr, length)
    }

    /** The fields of all that lie in a memory, by pointer. */
    static fields(memory) {
      return fieldsOf(this, memory)
    }

    [inspect.custom](depth, options) {
      const { name } = this.constructor
      if (depth < 0) return options.stylize(`[${name}]`, 'special')
      return `${name} ${inspect({ ptr: this.ptr, ...valuesOf(this, fields) }, options)}`
    }
  }

  const Struct = specialised(makeStruct, Described, MEMORY, VIEWS, PTR, viewsFor)
  keepLayout(Struct, layout)
  define(Struct, fields)
  return Struct
}
