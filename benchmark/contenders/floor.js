// The least that JavaScript can do for a malloc and a free: a free list through the blocks for each size class,
// no check of any kind, no lock, every array a constant of the module, blocks carved one behind the other and
// never given back to anything. Nobody could use it: it is what the figures of the others are held against.

const MIB = 2 ** 20
const PAGE = 65_536
const GRAIN = 16
const LARGEST = 32_768
const CARVED_AT_ONCE = 4096
const FIRST_BLOCK = 4096
const LARGE_BLOCKS = 400 * MIB
const END = 512 * MIB

const strides = []
for (let stride = GRAIN; stride <= 512; stride += GRAIN) strides.push(stride)
for (let base = 512; base < LARGEST; base *= 2) {
  for (let eighth = 1; eighth <= 8; eighth++) strides.push(base + (base / 8) * eighth + GRAIN)
}

/** The class that serves a number of grains, header included. */
const classes = new Uint8Array(LARGEST / GRAIN + 3)
for (let grains = 0, k = 0; grains < classes.length; grains++) {
  while (k < strides.length - 1 && strides[k] < grains * GRAIN) k++
  classes[grains] = k
}

// One heap at a time: `open` begins anew, so that the arrays are constants.
const words = new Int32Array(
  new WebAssembly.Memory({ initial: END / PAGE, maximum: END / PAGE, shared: true }).buffer,
)
const heads = new Int32Array(strides.length)
let uncarved = FIRST_BLOCK
let nextLarge = LARGE_BLOCKS

const carve = (k) => {
  const stride = strides[k]
  const count = Math.max(1, Math.floor(CARVED_AT_ONCE / stride))
  for (let i = count - 1; i >= 0; i--) {
    const ptr = uncarved + GRAIN + i * stride
    words[(ptr >> 2) - 1] = stride
    words[ptr >> 2] = heads[k]
    heads[k] = ptr
  }
  uncarved += (count * stride + GRAIN + 15) & ~15
}

const mallocLarge = (byteLength) => {
  const ptr = nextLarge
  nextLarge += (byteLength + 31) & ~15
  if (nextLarge > END) nextLarge = LARGE_BLOCKS
  return ptr
}

class Floor {
  malloc(byteLength) {
    if (byteLength > LARGEST) return mallocLarge(byteLength)
    const k = classes[(byteLength + 23) >>> 4]
    if (heads[k] === 0) carve(k)
    const ptr = heads[k]
    const at = ptr >> 2
    heads[k] = words[at]
    words[at - 2] = byteLength
    return ptr
  }

  realloc(ptr, byteLength) {
    const moved = this.malloc(byteLength)
    this.free(ptr)
    return moved
  }

  free(ptr) {
    if (ptr >= LARGE_BLOCKS) return
    const at = ptr >> 2
    const k = classes[words[at - 1] >> 4]
    words[at] = heads[k]
    heads[k] = ptr
  }
}

export const contender = {
  name: 'floor (JS)',
  version: '',
  language: 'JS',
  locking: 'one thread, no check',
  lacks: { threads: 'no lock' },
  limits: [{ what: 'bytes', most: 128 * MIB, why: 'its memory is fixed' }],
  open() {
    heads.fill(0)
    uncarved = FIRST_BLOCK
    nextLarge = LARGE_BLOCKS
    return new Floor()
  },
}
