// Allocates nothing: what remains is the cost of the kernels themselves, to be seen or subtracted.

export const contender = {
  name: 'empty loop (JS)',
  version: '',
  language: 'JS',
  locking: '',
  sizeOf: '',
  alignment: '',
  lacks: { threads: 'no heap' },
  open: () => ({ malloc: (size) => size, free() {}, realloc: (_, size) => size }),
}
