// Debug mode as JavaScript sees it: says to the native side where in the program each call comes from, and puts what the
// native side has found into words. The records, guards and freed blocks themselves are kept by src/debug/.

import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { threadId } from 'node:worker_threads'
import { invalidArgType } from '../base/errors.js'
import { newRunner } from '../base/running.js'

/** Whether memories are in debug mode when nothing else is said. */
export const DEBUG_BY_DEFAULT = process.env.LSM_DEBUG === '1'

/** Frames that are asked for, those of this package included. */
const FRAMES = 16

/** The native functions that are told who calls them. */
const CALLED = ['malloc', 'free', 'resize', 'freeFrom', 'remove']

/** Those that structures call: lib/memory/placing.js puts their kind behind the other arguments. */
const PLACED = ['mallocInto', 'place']

/** How the files of this package appear in a stack, unless a bundler has put them into one with others. */
const ownFiles = () => {
  const [, root] =
    /^(file:.*\/)lib\/(?:native\/debug-heap\.js|common\.cjs)$/.exec(import.meta.url) ?? []
  if (root === undefined) return []
  const urls = ['index.js', 'index.cjs', 'lib/', 'structures/'].map((path) => root + path)
  return urls.concat(urls.map((url) => fileURLToPath(url)))
}

const OWN_FILES = ownFiles()

const isOwn = (frame) => OWN_FILES.some((file) => frame.includes(file))

/**
 * @param {unknown} debug what a caller asks for
 * @throws {TypeError} ERR_INVALID_ARG_TYPE when it is not a boolean
 */
export const checkDebug = (debug) => {
  if (debug !== undefined && typeof debug !== 'boolean') {
    throw invalidArgType('debug', 'a boolean', debug)
  }
}

const { run, isRunning } = newRunner()

/** @returns {boolean} whether the stack is being made, which runs code of whoever has changed how stacks are made */
export const isAskingForStack = isRunning

// The stack down to the caller of a function.
const stackBelow = (callee) => {
  const holder = {}
  Error.captureStackTrace(holder, callee)
  return String(holder.stack)
}

// The stack down to the caller of this package.
const callerStack = () => {
  const { stackTraceLimit } = Error
  try {
    Reflect.set(Error, 'stackTraceLimit', FRAMES)
    const frames = run(() => stackBelow(callerStack))
      .split('\n')
      .slice(1)
    const first = frames.findIndex((frame) => !isOwn(frame))
    return first < 0 ? '' : frames.slice(first).join('\n')
  } catch {
    return ''
  } finally {
    Reflect.set(Error, 'stackTraceLimit', stackTraceLimit)
  }
}

/**
 * Lets the native side know where its calls come from.
 *
 * @param {object} native the functions of a heap in debug mode
 * @param {() => void} catchUp makes the native side see the memory as it is now: finding out where a call comes from
 * may have run code that grew it
 * @returns {object} the same functions
 */
export const withCallers = (native, catchUp) => {
  const noting =
    (name, structureOf) =>
    (...args) => {
      native.setCaller(threadId, callerStack(), structureOf(args))
      catchUp()
      return native[name](...args)
    }
  const called = (name) => [name, { value: noting(name, () => undefined) }]
  const placed = (name) => [name, { value: noting(name, (args) => args.at(-1)) }]
  return Object.create(native, Object.fromEntries([...CALLED.map(called), ...PLACED.map(placed)]))
}

const placeOf = (deed, { threadId: thread, stack, structure }) =>
  `\n  ${deed} by ${structure === undefined ? '' : `a ${structure} of `}thread ${thread}\n${stack}`

/**
 * Who made a block and who freed it, as far as that is known.
 *
 * @param {object} finding what the native side has found
 * @returns {string} lines to add to a message
 */
export const storyOf = ({ ptr, byteLength, made, freed }) => {
  if (made === undefined) return ''
  const block = `\n  the block of ${byteLength} bytes at byte ${ptr} was made`
  return placeOf(block.trim(), made) + (freed ? placeOf('and freed', freed) : '')
}

const WORDS = {
  record: ({ byteOffset }) => `The records of the heap were written over at byte ${byteOffset}`,
  header: ({ byteOffset, ptr }) =>
    ptr === undefined
      ? `The header of a free block was written over at byte ${byteOffset}`
      : `The header of the block at byte ${ptr} was written over at byte ${byteOffset}`,
  overrun: ({ byteOffset, ptr, byteLength }) =>
    `The block of ${byteLength} bytes at byte ${ptr} was written past its end, first at byte ${byteOffset}`,
  'write-after-free': ({ byteOffset, ptr, byteLength }) =>
    `The block of ${byteLength} bytes at byte ${ptr} was written to after it was freed, first at byte ${byteOffset}`,
}

/**
 * @param {object} finding damage that the native side has found
 * @returns {object} the same with a message
 */
export const describe = (finding) => ({
  ...finding,
  message: WORDS[finding.kind](finding) + storyOf(finding),
})
