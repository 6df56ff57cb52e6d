// The examples of C and of packages from npm. They check themselves; those that need a package run where it is installed.

import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import test from 'ava'

const run = promisify(execFile)

const pathOf = (name) => new URL(`../examples/${name}`, import.meta.url)

const isInstalled = (example) =>
  !existsSync(pathOf(`${example}/package.json`)) || existsSync(pathOf(`${example}/node_modules`))

for (const example of [
  'c-list',
  'channel',
  'cluster',
  'crc32',
  'argon2',
  'image-filter',
  'oxipng',
  'rate-limiter',
  'vips',
]) {
  const declare = isInstalled(example) ? test.serial : test.skip
  declare(`examples/${example}`, async (t) => {
    const args = ['--no-warnings', fileURLToPath(pathOf(`${example}/main.js`))]
    const { stdout, stderr } = await run(process.execPath, args, { timeout: 120_000 })
    t.is(stderr, '')
    t.not(stdout, '')
  })
}
