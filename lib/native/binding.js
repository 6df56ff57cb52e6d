// The addon, as the generated loader finds it; or, where there is none for this machine, an error that says how to get one.

import addon from './addon.cjs'
import { addonUnavailable } from '../base/errors.js'

// The loader tells of every file that it has looked for, in a chain of causes without codes; what matters is an addon that
// is there and cannot be loaded.
const failedLoad = (error) =>
  error?.message.startsWith('Cannot find ') ? failedLoad(error.cause) : (error ?? undefined)

if (addon.binding === undefined) throw addonUnavailable(failedLoad(addon.error))

export default addon.binding
