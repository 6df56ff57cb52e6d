// Rounds: in each, every entrant runs the workload once, and the order rotates from round to round,
// so that a slow moment of the machine meets all of them alike.
//
// An entrant is { run(ops), most, step }: `run` returns what `ops` operations took, `most` is how
// many it may be given and `step` what their number must be a multiple of.

const WARM_RUNS = 10

/**
 * Measures all entrants.
 * @param {object[]} entrants
 * @param {{ rounds: number, target: number }} settings - `target` is the time in nanoseconds that
 *   a round of one entrant need not exceed
 * @returns {Promise<Map<object, { ops: number, samples: number[] }>>} cost per operation, by entrant
 */
export async function race(entrants, { rounds, target }) {
  const results = new Map()
  for (const entrant of entrants) {
    results.set(entrant, { ops: await warm(entrant, target), samples: [] })
  }
  for (let round = 0; round < rounds; round++) {
    for (const entrant of rotate(entrants, round)) {
      const { ops, samples } = results.get(entrant)
      samples.push((await entrant.run(ops)) / ops)
    }
  }
  return results
}

/** Finds how many operations to run, and warms the entrant; once more then, as what is compiled does more of them in the time. */
async function warm(entrant, target) {
  const { run, most, step = 1 } = entrant
  const cold = await climb(entrant, Math.min(most, multiple(most / 64, step)), target)
  const end = performance.now() + target / 1e6
  for (let runs = 0; runs < WARM_RUNS && performance.now() < end; runs++) await run(cold)
  return climb(entrant, cold, target)
}

/** Runs more and more operations until the time or the most is reached. */
async function climb({ run, most, step = 1 }, from, target) {
  const tooLong = async (ops) => (await run(ops)) > target && (await run(ops)) > target
  let ops = from
  while (ops < most && !(await tooLong(ops))) ops = Math.min(most, multiple(ops * 4, step))
  return ops
}

const multiple = (ops, step) => Math.ceil(ops / step) * step

function rotate(entrants, by) {
  const first = by % entrants.length
  return [...entrants.slice(first), ...entrants.slice(0, first)]
}
