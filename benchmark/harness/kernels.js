// The loops that are timed, one for each in `../native/src/kernels.rs`: same streams, same order, same
// work. They refer to nothing outside themselves and hold nothing but the loop: `fresh` compiles each
// anew for every contender, and code after a loop would make the engine throw its machine code away.

/** malloc and free of one block at a time. */
function pairs(heap, pointers, { sizes }, ops) {
  const size = sizes[0]
  for (let i = 0; i < ops; i++) heap.free(heap.malloc(size))
}

/** Takes `live` blocks, then frees them in the order of the script; again until `ops` are done. */
function drain(heap, pointers, { script, sizes, live }, ops) {
  for (let done = 0; done < ops; done += live) {
    for (let i = 0; i < live; i++) pointers[i] = heap.malloc(sizes[i])
    for (let i = 0; i < live; i++) heap.free(pointers[script[i]])
  }
}

/** With every slot taken: frees the block in the next slot of the script and takes another. */
function replace(heap, pointers, { script, sizes }, ops) {
  for (let i = 0; i < ops; i++) {
    const slot = script[i]
    heap.free(pointers[slot])
    pointers[slot] = heap.malloc(sizes[i])
  }
}

/** Replays the first `ops` calls of a recorded trace. */
function replay(heap, pointers, { script }, ops) {
  for (let i = 0; i < 3 * ops; i += 3) {
    const call = script[i]
    const id = script[i + 1]
    if (call === 0) {
      pointers[id] = heap.malloc(script[i + 2])
    } else if (call === 1) {
      heap.free(pointers[id])
      pointers[id] = 0
    } else {
      pointers[id] = heap.realloc(pointers[id], script[i + 2])
    }
  }
}

/**
 * Hands every block to the next thread through a ring, and frees those of the thread before. Whoever has nothing to do looks again
 * for a while before it goes to sleep: asleep, threads would take longer than any allocator.
 */
function exchange(heap, pointers, { sizes, outbox, inbox }, ops) {
  const HEAD = 0
  const TAIL = 32
  const LOOKS = 5_000
  const capacity = outbox.slots.length
  let made = 0
  let freed = 0
  let looks = 0
  while (made < ops || freed < ops) {
    const room = Math.min(Atomics.load(outbox.counters, TAIL) + capacity, ops)
    const published = Atomics.load(inbox.counters, HEAD)
    if (made === room && freed === published) {
      if (++looks > LOOKS) Atomics.wait(inbox.counters, HEAD, published, 0.05)
      continue
    }
    looks = 0
    for (; made < room; made++) outbox.slots[made % capacity] = heap.malloc(sizes[made])
    Atomics.store(outbox.counters, HEAD, made)
    for (; freed < published; freed++) heap.free(inbox.slots[freed % capacity])
    Atomics.store(inbox.counters, TAIL, freed)
  }
}

/** The first thread hands blocks to the second one, which frees them: 32 at a time, with 256 on the way. Looks again as above. */
function pipeline(heap, pointers, { sizes, outbox, inbox, index }, ops) {
  const HEAD = 0
  const TAIL = 32
  const LOOKS = 5_000
  const BATCH = 32
  const takes = index === 0
  const { slots, counters } = takes ? outbox : inbox
  const [own, other, ahead] = takes ? [HEAD, TAIL, 256] : [TAIL, HEAD, 0]
  const capacity = slots.length
  let looks = 0
  for (let done = 0; done < ops;) {
    const seen = Atomics.load(counters, other)
    const end = Math.min(seen + ahead, done + BATCH, ops)
    if (end === done) {
      if (++looks > LOOKS) Atomics.wait(counters, other, seen, 0.05)
      continue
    }
    looks = 0
    if (takes) for (; done < end; done++) slots[done % capacity] = heap.malloc(sizes[done])
    else for (; done < end; done++) heap.free(slots[done % capacity])
    Atomics.store(counters, own, done)
  }
}

/** Takes a block for every slot. */
function fill(heap, pointers, { sizes }) {
  for (let i = 0; i < pointers.length; i++) pointers[i] = heap.malloc(sizes[i])
}

/** Frees the block of every slot that has one. */
function empty(heap, pointers) {
  for (let i = 0; i < pointers.length; i++) if (pointers[i] !== 0) heap.free(pointers[i])
}

const kernels = {
  pairs: { timed: pairs },
  drain: { timed: drain },
  replace: { before: fill, timed: replace, after: empty },
  replay: { timed: replay, after: empty },
  exchange: { timed: exchange },
  pipeline: { timed: pipeline },
}

let compiled = 0

// The number makes each source differ: the engine shares what it learns between equal ones.
const recompile = (source) => source && new Function(`return ${source} // ${compiled++}`)()

/**
 * Compiles a kernel anew, so that what the engine learns of one contender never slows another. The
 * kernel takes (heap, pointers, stream, ops, ready), calls `ready` right before its timed part, and
 * returns when that began and ended, in nanoseconds of the monotonic clock that all threads share.
 * @param {string} name - the kernel's name
 * @returns {(heap: object, pointers: object, stream: object, ops: number, ready?: () => void) =>
 *   [bigint, bigint]}
 */
export function fresh(name) {
  const [before, timed, after] = ['before', 'timed', 'after'].map((part) =>
    recompile(kernels[name][part]),
  )
  return (heap, pointers, stream, ops, ready) => {
    before?.(heap, pointers, stream)
    ready?.()
    const start = process.hrtime.bigint()
    timed(heap, pointers, stream, ops)
    const end = process.hrtime.bigint()
    after?.(heap, pointers)
    pointers.fill(0)
    return [start, end]
  }
}
