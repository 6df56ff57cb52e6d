// index.cjs as an ES module, for what may load the package both ways and has no ES module for `require`: one class for both.

import LocalSharedMemory from './index.cjs'

export { LocalSharedMemory }
export default LocalSharedMemory
