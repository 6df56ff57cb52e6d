// The errors that a user meets, and the only place that builds them. Each has a `code` to branch on and a message
// that holds the offending value and its unit. Functions here return errors; the caller throws.

import process from 'node:process'
import { inspect, types } from 'node:util'

/** No offset and no size goes beyond this, in bytes: they are kept in 32 bits. */
export const MAX_BYTES = 2 ** 32 - 1

/** Shows any value at all in a line: hostile getters and revoked proxies included, it never throws. */
const show = (value) => {
  try {
    return inspect(value, { depth: -1, customInspect: false, maxStringLength: 64 })
  } catch {
    return `a value of type ${typeof value}`
  }
}

/** Whether an error is a RangeError, of whichever realm: a test of Jest's has the arrays of another one. */
const isRangeError = (error) => types.isNativeError(error) && error.name === 'RangeError'

/** Whether an error is the engine's own: there is no more room on the stack. Nothing but its message tells. */
export const isOutOfStack = (error) =>
  isRangeError(error) && String(error.message).startsWith('Maximum call stack size exceeded')

/** Gives an error properties of its own: assigned, they would go to whatever setters there are on Object.prototype. */
export const withFacts = (error, facts) =>
  Object.defineProperties(error, Object.getOwnPropertyDescriptors(facts))

/** The errors that were built here. */
const own = new WeakSet()

const withCode = (error, code) => {
  own.add(error)
  return withFacts(error, { code })
}

/**
 * An argument of the wrong type.
 *
 * @param {string} name the argument, as the documentation calls it
 * @param {string} expected what it must be: 'a number'
 * @param {unknown} value what was received
 * @param {unknown} [cause] the error of the engine that refused the value
 * @returns {Error} a TypeError with code ERR_INVALID_ARG_TYPE; the cause itself when the stack was at its end, which says
 * nothing of the value
 */
export const invalidArgType = (name, expected, value, cause) => {
  if (isOutOfStack(cause)) return cause
  const message = `The argument "${name}" must be ${expected}. Received ${show(value)}`
  const options = cause === undefined ? undefined : { cause }
  return withCode(new TypeError(message, options), 'ERR_INVALID_ARG_TYPE')
}

/**
 * An argument of the right type whose value cannot be used.
 *
 * @param {string} name the argument, as the documentation calls it
 * @param {string} range what it must be, with the unit: '1 to 4096 bytes'
 * @param {unknown} value what was received
 * @returns {RangeError} with code ERR_OUT_OF_RANGE
 */
export const outOfRange = (name, range, value) =>
  withCode(
    new RangeError(
      `The value of "${name}" is out of range. It must be ${range}. Received ${show(value)}`,
    ),
    'ERR_OUT_OF_RANGE',
  )

/**
 * Arguments that the engine itself refused, when it is the one to judge them.
 *
 * @param {string} method 'fill', 'Atomics.add' …
 * @param {unknown} cause what it threw
 * @returns {Error} a RangeError with code ERR_OUT_OF_RANGE for a RangeError, else a TypeError with code
 * ERR_INVALID_ARG_TYPE; the cause itself when the stack was at its end, and when it is an error of this package, which the
 * engine met in a getter
 */
export const refused = (method, cause) => {
  if (isOutOfStack(cause) || own.has(cause)) return cause
  const message = `${method}: ${types.isNativeError(cause) ? cause.message : show(cause)}`
  return isRangeError(cause)
    ? withCode(new RangeError(message, { cause }), 'ERR_OUT_OF_RANGE')
    : withCode(new TypeError(message, { cause }), 'ERR_INVALID_ARG_TYPE')
}

/**
 * A request that the heap cannot hold.
 *
 * @param {string} message what was asked for and what there is, in bytes
 * @returns {RangeError} with code ERR_OUT_OF_MEMORY
 */
export const outOfMemory = (message) => withCode(new RangeError(message), 'ERR_OUT_OF_MEMORY')

/**
 * A pointer that is not the start of a live block.
 *
 * @param {number} ptr byte offset
 * @param {string} why 'never allocated', 'inside a block', 'already freed' …
 * @returns {Error} with code ERR_INVALID_POINTER
 */
export const invalidPointer = (ptr, why) =>
  withCode(new Error(`The pointer ${show(ptr)} is not a live block: ${why}`), 'ERR_INVALID_POINTER')

/**
 * Something wrote over the heap's own records.
 *
 * @param {string} message what was found, at which byte offset
 * @returns {Error} with code ERR_HEAP_CORRUPTED
 */
export const heapCorrupted = (message) => withCode(new Error(message), 'ERR_HEAP_CORRUPTED')

/** A fault of the package's own. */
export const internalError = (message) => withCode(new Error(message), 'ERR_INTERNAL')

/**
 * A memory that holds something other than a heap.
 *
 * @param {string} message what was found
 * @returns {Error} with code ERR_NOT_A_HEAP
 */
export const notAHeap = (message) => withCode(new Error(message), 'ERR_NOT_A_HEAP')

/**
 * A memory that another build of the addon works on.
 *
 * @param {string} message what was found
 * @returns {Error} with code ERR_ADDON_MISMATCH
 */
export const addonMismatch = (message) => withCode(new Error(message), 'ERR_ADDON_MISMATCH')

/**
 * The storage that was asked for by name cannot be had here.
 *
 * @param {string} message the storage and the reason
 * @returns {Error} with code ERR_STORAGE_UNAVAILABLE
 */
export const storageUnavailable = (message) =>
  withCode(new Error(message), 'ERR_STORAGE_UNAVAILABLE')

const ATTACHED = {
  ERR_HEAP_UNCLEAN:
    'it was in use when the system stopped, or when it was copied: what is missing is not known',
  ERR_HEAP_BUSY: 'a process that has it keeps its lock and does not go on',
  ERR_ATTACH_FULL: 'as many processes as there can be have it',
}

/**
 * A file that cannot be attached.
 *
 * @param {string} code of the error: ERR_ATTACH_REFUSED, ERR_OUT_OF_MEMORY, ERR_STORAGE_UNAVAILABLE, or one of the above
 * @param {string} path
 * @param {string} reason as far as the code does not tell
 * @returns {Error} a RangeError for ERR_OUT_OF_MEMORY
 */
export const attachRefused = (code, path, reason) => {
  const message = `The file ${show(path)} cannot be attached: ${ATTACHED[code] ?? reason}`
  return withCode(code === 'ERR_OUT_OF_MEMORY' ? new RangeError(message) : new Error(message), code)
}

/** A process that has the heap too and has stopped in the middle of a call. */
export const heapBusy = () =>
  withCode(
    new Error('Another process keeps the lock of the heap and does not go on'),
    'ERR_HEAP_BUSY',
  )

/** A heap that was closed by this handle, or a memory whose file its process has closed. */
export const heapClosed = () => withCode(new Error('The heap is closed'), 'ERR_HEAP_CLOSED')

/**
 * The package was installed without an addon that can be loaded here.
 *
 * @param {unknown} [cause] why an addon that is there cannot be loaded
 * @returns {Error} with code ERR_ADDON_UNAVAILABLE
 */
export const addonUnavailable = (cause) => {
  const options = cause === undefined ? undefined : { cause }
  return withCode(new Error(noAddon(cause?.message), options), 'ERR_ADDON_UNAVAILABLE')
}

const BUILD =
  'build it from source, with Rust: npx local-shared-memory build (in a checkout: npm run build)'

const noAddon = (reason) => {
  const machine = `${process.platform}-${process.arch}`
  if (reason === undefined) {
    return (
      `local-shared-memory has no addon for ${machine}.\n` +
      'Prebuilt ones are optional dependencies: install again, without --omit=optional and without a lock file from ' +
      `another platform.\nOr ${BUILD}`
    )
  }
  if (reason.includes('addons is disabled')) {
    return (
      'local-shared-memory needs its addon, and this process was started without addons: by --no-addons, or with ' +
      'permissions and without --allow-addons'
    )
  }
  return `The addon of local-shared-memory for ${machine} cannot be loaded: ${reason}\nYou can ${BUILD}`
}

/** A process without WebAssembly. */
export const webAssemblyUnavailable = () =>
  withCode(
    new Error('local-shared-memory needs WebAssembly, which this process was started without'),
    'ERR_WEBASSEMBLY_NOT_SUPPORTED',
  )

/**
 * Debug mode was asked for by name and cannot be had.
 *
 * @param {string} message the reason
 * @returns {Error} with code ERR_DEBUG_UNAVAILABLE
 */
export const debugUnavailable = (message) => withCode(new Error(message), 'ERR_DEBUG_UNAVAILABLE')

/**
 * A block that is not the structure that it was taken for, or no longer.
 *
 * @param {string} message which block, and what was expected there
 * @returns {Error} with code ERR_NOT_A_STRUCTURE
 */
export const notAStructure = (message) => withCode(new Error(message), 'ERR_NOT_A_STRUCTURE')

/**
 * A structure of the right kind that was made by another version of the package or with other options.
 *
 * @param {string} message which structure, and in what it differs
 * @returns {Error} with code ERR_STRUCTURE_MISMATCH
 */
export const structureMismatch = (message) => withCode(new Error(message), 'ERR_STRUCTURE_MISMATCH')

/**
 * A thread that would wait for itself.
 *
 * @param {string} message what it holds already
 * @returns {Error} with code ERR_DEADLOCK
 */
export const deadlock = (message) => withCode(new Error(message), 'ERR_DEADLOCK')

/**
 * Something to give up that the thread does not hold.
 *
 * @param {string} message what it is
 * @returns {Error} with code ERR_NOT_LOCKED
 */
export const notLocked = (message) => withCode(new Error(message), 'ERR_NOT_LOCKED')

/** @returns {Error} ERR_CHANNEL_CLOSED */
export const channelClosed = () =>
  withCode(new Error('The channel is closed: nothing can be sent'), 'ERR_CHANNEL_CLOSED')

/**
 * A wait that took longer than it was allowed to.
 *
 * @param {string} message what was waited for, and how many milliseconds
 * @returns {Error} with code ERR_TIMED_OUT
 */
export const timedOut = (message) => withCode(new Error(message), 'ERR_TIMED_OUT')

/**
 * There is no memory of that name, and none was to be made.
 *
 * @param {string} name
 * @returns {Error} with code ERR_UNKNOWN_NAME
 */
export const unknownName = (name) =>
  withCode(
    new Error(
      `This thread has no memory with the name ${show(name)}: the name is another, or the thread that started this one ` +
        'had not made it by then',
    ),
    'ERR_UNKNOWN_NAME',
  )

/**
 * @param {string} name the argument, as the documentation calls it
 * @param {unknown} value
 * @throws {TypeError} ERR_INVALID_ARG_TYPE when it is not an object
 */
export const checkObject = (name, value) => {
  if (value === null || typeof value !== 'object') throw invalidArgType(name, 'an object', value)
}

/**
 * Checks a whole number of a unit.
 *
 * @param {string} name the argument, as the documentation calls it
 * @param {unknown} value
 * @param {number} minimum
 * @param {number} maximum
 * @param {string} unit 'bytes', 'elements', 'pages' …
 * @throws {TypeError} ERR_INVALID_ARG_TYPE when it is not a number
 * @throws {RangeError} ERR_OUT_OF_RANGE when it is not a whole number from `minimum` to `maximum`
 */
export const checkInteger = (name, value, minimum, maximum, unit) => {
  if (typeof value !== 'number') throw invalidArgType(name, 'a number', value)
  if (!(Number.isInteger(value) && value >= minimum && value <= maximum)) {
    throw outOfRange(name, `a whole number from ${minimum} to ${maximum} ${unit}`, value)
  }
}

/**
 * Checks the size of a block.
 *
 * @param {string} name the argument, as the documentation calls it
 * @param {unknown} value bytes
 * @throws {TypeError} ERR_INVALID_ARG_TYPE when it is not a number
 * @throws {RangeError} ERR_OUT_OF_RANGE when it is not a whole number from 1 to MAX_BYTES
 */
export const checkSize = (name, value) => checkInteger(name, value, 1, MAX_BYTES, 'bytes')
