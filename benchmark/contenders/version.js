// The version of what is measured, read from its own package.json.

import { readFileSync } from 'node:fs'

/**
 * @param {string} path - of a package.json, from this folder
 * @returns {string}
 */
export const version = (path) =>
  JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')).version
