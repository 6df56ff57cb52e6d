// The soak in short: threads that come and go, on a heap and on structures, do nothing wrong and leave nothing behind.

import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import test from 'ava'

const MAIN = fileURLToPath(new URL('../scripts/soak/main.js', import.meta.url))
const BRIEFLY = ['--minutes', '0.05', '--threads', '2']

for (const [what, flags] of [
  ['heap', []],
  ['structures', ['--structures']],
]) {
  test(`${what}: no fault, and no byte lost`, async (t) => {
    const { stdout } = await promisify(execFile)(process.execPath, [MAIN, ...BRIEFLY, ...flags])
    t.regex(stdout, /\boperations: [1-9]\d*,\s+workers: [1-9]/)
    t.regex(stdout, /\bfaults: 0,\s+leakedBytes: 0\b/)
  })
}
