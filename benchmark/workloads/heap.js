// A heap workload: one kernel and one stream, run by every contender that can.

import { contenders, refusal } from '../contenders/index.js'
import { fresh } from '../harness/kernels.js'

const NO_SCRIPT = new Uint32Array(0)

/**
 * A case that all contenders run.
 * @param {object} workload
 * @param {string} workload.title - the column it fills
 * @param {string} workload.kernel - its name in `harness/kernels.js`
 * @param {number} workload.ops - how many operations a round has at most
 * @param {number} [workload.step] - what their number must be a multiple of
 * @param {() => object} workload.stream - makes { script, sizes, live } when the case begins
 * @param {number} [workload.live] - most blocks live at once
 * @param {number} [workload.bytes] - most bytes live at once
 * @param {string[]} [workload.needs] - duties beyond malloc and free
 * @param {number} [workload.small] - pages that the memory may grow to, which begins with one; by default it begins with many
 * @returns {object} the case
 */
export function heapCase(workload) {
  return {
    title: workload.title,
    enter() {
      const stream = { script: NO_SCRIPT, live: 1, ...workload.stream() }
      const why = (contender) => whyNot(contender, workload)
      const able = contenders.filter((contender) => !why(contender))
      return {
        entrants: able.map((contender) => enter(contender, workload, stream)),
        absent: contenders
          .filter((contender) => !able.includes(contender))
          .map((contender) => ({ row: contender.name, why: why(contender) })),
      }
    },
  }
}

function whyNot(contender, workload) {
  const { small } = workload
  if (small && !contender.openSmall && !contender.runNatively) return 'its memory begins with more'
  return refusal(contender, workload)
}

function enter(contender, { kernel, ops, step, small }, stream) {
  const entrant = { row: contender.name, most: ops, step }
  if (contender.runNatively) {
    return { ...entrant, run: (count) => contender.runNatively(kernel, stream, count), finish() {} }
  }
  const heap = small ? contender.openSmall(small) : contender.open()
  const loop = fresh(kernel)
  const pointers = new (contender.Pointers ?? Uint32Array)(stream.live)
  return {
    ...entrant,
    run(count) {
      const [start, end] = loop(heap, pointers, stream, count)
      return Number(end - start)
    },
    // Not between rounds: it puts what the heap keeps back, and the next round would fetch it again.
    finish: () => contender.check?.(heap),
  }
}
