// Make the class of a struct, the accessors of its fields, and the methods of a field by pointer. They are compiled for each anew
// (specialised.js), so they refer to nothing but their arguments: the symbols of an object's views and pointer, which view to
// use, the bytes of an element as a power of two, the offset of the field, what renews views that growth has emptied, what
// refuses a value, and the type of one.

/** `viewsFor` checks where a struct is to be shown. */
export const makeStruct = (Described, MEMORY, VIEWS, PTR, viewsFor) =>
  class Struct extends Described {
    constructor(memory, ptr) {
      super()
      this[VIEWS] = viewsFor(memory, ptr)
      this[MEMORY] = memory
      this[PTR] = ptr
    }
  }

/** `checkIndex` refuses what is no element's. */
export const makeArray = (Base, Struct, byteLength, checkIndex) =>
  class StructArray extends Base {
    ptrAt(index) {
      checkIndex(this, index)
      return this.ptr + index * byteLength
    }

    at(index) {
      checkIndex(this, index)
      return new Struct(this.memory, this.ptr + index * byteLength)
    }

    *[Symbol.iterator]() {
      for (let index = 0; index < this.length; index++) yield this.at(index)
    }
  }

export const makeNumber = (VIEWS, PTR, view, shift, offset, renew, refuse, type) => ({
  get() {
    const value = this[VIEWS][view][(this[PTR] + offset) >>> shift]
    return value === undefined ? renew(this)[view][(this[PTR] + offset) >>> shift] : value
  },
  set(value) {
    // oxlint-disable-next-line valid-typeof -- one of two names of types
    if (typeof value !== type) refuse(value)
    const array = this[VIEWS][view]
    const index = (this[PTR] + offset) >>> shift
    if (index < array.length) array[index] = value
    else renew(this)[view][index] = value
  },
})

export const makeBool = (VIEWS, PTR, view, shift, offset, renew, refuse) => ({
  get() {
    const value = this[VIEWS][view][this[PTR] + offset]
    return (value === undefined ? renew(this)[view][this[PTR] + offset] : value) !== 0
  },
  set(value) {
    if (typeof value !== 'boolean') refuse(value)
    const array = this[VIEWS][view]
    const index = this[PTR] + offset
    if (index < array.length) array[index] = value ? 1 : 0
    else renew(this)[view][index] = value ? 1 : 0
  },
})

export const makeAtomic = (VIEWS, PTR, view, shift, offset, renew, refuse, type) => ({
  get() {
    const array = this[VIEWS][view]
    const index = (this[PTR] + offset) >>> shift
    return Atomics.load(index < array.length ? array : renew(this)[view], index)
  },
  set(value) {
    // oxlint-disable-next-line valid-typeof -- one of two names of types
    if (typeof value !== type) refuse(value)
    const array = this[VIEWS][view]
    const index = (this[PTR] + offset) >>> shift
    Atomics.store(index < array.length ? array : renew(this)[view], index, value)
  },
})

export const makeNested = (MEMORY, PTR, offset, Struct) => ({
  get() {
    return new Struct(this[MEMORY], this[PTR] + offset)
  },
})

// A method, not a function by itself: tools that keep the names of functions put a call around those.
export const makeMethod = (PLACE, indexAt, name) =>
  ({
    [name](ptr, value, other) {
      const place = this[PLACE]
      return place.memory[name](place.array, indexAt(place, ptr), value, other)
    },
  })[name]
