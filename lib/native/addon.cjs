// What became of loading the addon. The path of the generated loader is written out, in CommonJS, so that bundlers and test
// runners which have a loader of their own see it.

try {
  exports.binding = require('../../binding.cjs')
} catch (error) {
  exports.error = error
}
