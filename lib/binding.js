// The addon, as the generated loader finds it; or, where installing was not allowed to run scripts or found no compiler, an
// error that says how to get one.

import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { addonUnavailable } from './errors.js'

const INSTALL = fileURLToPath(new URL('../scripts/install.js', import.meta.url))

const load = () => {
  try {
    return createRequire(import.meta.url)('../binding.cjs')
  } catch (cause) {
    throw addonUnavailable(INSTALL, cause)
  }
}

export default load()
