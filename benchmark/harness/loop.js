// A timed loop around one expression, compiled anew for each, so that two that are compared differ in
// the expression alone.

let compiled = 0

/**
 * @param {string} expression - may use `target`, `view`, `at` (the next of 512 offsets) and `sum`
 * @param {string} zero - what `sum` begins with
 * @returns {(target: object, view: object, base: number, ops: number) => number} nanoseconds
 */
export function loop(expression, zero = '0') {
  // The number makes each source differ: the engine shares what it learns between equal ones.
  const body = `// ${compiled++}
    let sum = ${zero}
    for (let i = 0; i < ops; i++) {
      const at = base + (i & 511) * 8
      ${expression}
    }
    return sum`
  const run = new Function('target', 'view', 'base', 'ops', body)
  return (target, view, base, ops) => {
    const start = process.hrtime.bigint()
    run(target, view, base, ops)
    return Number(process.hrtime.bigint() - start)
  }
}
