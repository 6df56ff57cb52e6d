// Writes the API reference of each entry point to docs/, from the comments of its declarations.

import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { format, resolveConfig } from 'prettier'
import { reference } from './reference.js'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** Each page, its heading, and the declarations that it is made from. */
export const PAGES = [
  ['docs/api.md', 'API', 'index.d.ts'],
  [
    'docs/api-structures.md',
    'API of the structures',
    'structures/index.d.ts',
    'structures/struct.d.ts',
  ],
]

/** @returns {Promise<string>} what a page should say */
export const render = async ([page, title, ...sources]) => {
  const files = new Map(sources.map((source) => [source, readFileSync(ROOT + source, 'utf8')]))
  return format(reference(title, files), { ...(await resolveConfig(ROOT + page)), filepath: page })
}

if (process.argv[1] === import.meta.filename) {
  const texts = await Promise.all(PAGES.map(render))
  for (const [index, [page]] of PAGES.entries()) writeFileSync(ROOT + page, texts[index])
}
