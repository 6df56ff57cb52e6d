// glibc's malloc through a foreign function interface: what it costs to cross into native code.

import koffi from 'koffi'
import { version } from './version.js'

const libc = koffi.load(null)
const heap = {
  malloc: libc.func('uintptr_t malloc(size_t size)'),
  free: libc.func('void free(uintptr_t pointer)'),
  realloc: libc.func('uintptr_t realloc(uintptr_t pointer, size_t size)'),
}

export const contender = {
  name: 'koffi + glibc',
  version: version('../node_modules/koffi/package.json'),
  language: 'native calls',
  module: import.meta.url,
  locking: 'any thread',
  Pointers: Float64Array,
  open: () => heap,
  share: () => null,
  attach: () => heap,
}
