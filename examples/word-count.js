// Counts the words of a text with several workers in one hash table that all of them share, and compares the result
// with that of a single thread:
//
//   node examples/word-count.js [--heap-map heap.json] [file]
//
// The text is that of the development dependency nlp-corpus, if no other is given.
// --heap-map writes what the heap looks like at its fullest, for `npx local-shared-memory heap.json` to draw.

import LocalSharedMemory from 'local-shared-memory'
import { once } from 'node:events'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { eachWord, LOWER, WordTable } from './word-table.js'

const WORKERS = Math.min(Math.max(availableParallelism(), 2), 8)
const BUCKETS = 2 ** 16
const INITIAL_PAGES = 16
const MAXIMUM_PAGES = 65_536

const findCorpus = () => {
  try {
    return new URL('../../builds/', import.meta.resolve('nlp-corpus'))
  } catch (cause) {
    throw new Error('name a text file: the package nlp-corpus is not installed', { cause })
  }
}

/** Reads the documents of the development dependency nlp-corpus as one text. */
const readCorpus = async () => {
  const folder = findCorpus()
  const documents = (await readdir(folder)).map(async (name) => {
    const sentences = JSON.parse(await readFile(new URL(name, folder)))
    return sentences.join('\n')
  })
  return Buffer.from((await Promise.all(documents)).join('\n'))
}

const readText = async (file) => {
  const text = await (file === undefined ? readCorpus() : readFile(file))
  if (text.length === 0) throw new Error(`the file is empty: ${file}`)
  return text
}

const timed = async (name, act) => {
  const start = performance.now()
  const result = await act()
  console.log(`${(performance.now() - start).toFixed(0).padStart(6)} ms  ${name}`)
  return result
}

/** Counts with one thread in a Map from each word's bytes, as a latin1 string, to its count. */
const countAlone = (text) => {
  const counts = new Map()
  const lower = text.map((byte) => LOWER[byte])
  eachWord(text, 0, text.length, (start, end) => {
    const word = lower.toString('latin1', start, end)
    counts.set(word, (counts.get(word) ?? 0) + 1)
  })
  return counts
}

const newWorker = (workerData) =>
  new Worker(new URL('word-count-worker.js', import.meta.url), { workerData })

const replies = (workers) => Promise.all(workers.map((worker) => once(worker, 'message')))

/** Gives each worker its range, bounds[i] to bounds[i + 1], and waits until all are done. */
const share = (workers, task, bounds) => {
  for (const [i, worker] of workers.entries()) {
    worker.postMessage({ task, from: bounds[i], to: bounds[i + 1] })
  }
  return replies(workers)
}

const evenBounds = (length) =>
  Array.from({ length: WORKERS + 1 }, (_, i) => Math.floor((length * i) / WORKERS))

const isInsideWord = (text, at) =>
  at > 0 && at < text.length && LOWER[text[at - 1]] !== 0 && LOWER[text[at]] !== 0

/** Moves each bound that lies inside a word on to its end, so that no word is cut or counted twice. */
const wordBounds = (text) =>
  evenBounds(text.length).map((bound) => {
    let at = bound
    while (isInsideWord(text, at)) at++
    return at
  })

const print = (memory, counts) => {
  const words = [...counts].toSorted(([, count], [, other]) => other - count)
  const total = words.reduce((sum, [, count]) => sum + count, 0)
  const first = words.slice(0, 5).map(([word, count]) => `${Buffer.from(word, 'latin1')} ${count}`)
  console.log(`\n${total} words, ${words.length} different ones: ${first.join(', ')}\n`)
  console.log('memory.stats()', memory.stats())
  console.table(memory.allocs().slice(0, 8))
}

const check = (counts, expected) => {
  const isSame = [...expected].every(([word, count]) => counts.get(word) === count)
  if (!isSame || counts.size !== expected.size) throw new Error('the two results differ')
}

/** Counts with all workers, compares, and has the workers free what they allocated. */
const countTogether = async (workers, table, bytes, expected, mapFile) => {
  const { memory } = table
  await timed('to start the workers', () => replies(workers))
  await timed(`${WORKERS} workers, one table in shared memory`, () =>
    share(workers, 'count', wordBounds(bytes)),
  )
  const counts = table.toMap()
  print(memory, counts)
  check(counts, expected)
  console.log('The two results are the same.')
  if (mapFile !== undefined) await writeFile(mapFile, JSON.stringify(memory.heapMap()))
  await share(workers, 'free', evenBounds(BUCKETS))
}

const main = async (file, mapFile) => {
  const bytes = await readText(file)
  console.log(`A text of ${bytes.length} bytes:`)
  const expected = await timed('one thread, a Map', () => countAlone(bytes))

  const memory = new LocalSharedMemory(INITIAL_PAGES, MAXIMUM_PAGES)
  const text = memory.malloc(bytes.length)
  memory.memset(text, bytes)
  const table = new WordTable(memory, BUCKETS)
  const { buckets } = table
  const workerData = { memory, text, buckets, bucketCount: BUCKETS }
  const workers = Array.from({ length: WORKERS }, () => newWorker(workerData))
  try {
    await countTogether(workers, table, bytes, expected, mapFile)
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()))
  }

  memory.free(buckets)
  memory.free(text)
  const { usedBytes } = memory.stats()
  if (usedBytes !== 0) throw new Error(`${usedBytes} bytes are still in use`)
  console.log('All blocks were freed: the heap is empty.')
}

try {
  const options = { 'heap-map': { type: 'string' } }
  const { positionals, values } = parseArgs({ options, allowPositionals: true })
  await main(positionals[0], values['heap-map'])
} catch (error) {
  console.error(`word-count: ${error.message}`)
  process.exitCode = 1
}
