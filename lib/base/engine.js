// The engine's and Node.js's own functions, taken when the package is loaded: what a subclass, a test's stand-in or another
// library puts in their place later changes nothing here. They tell what a value is by what it is, not by its prototype,
// so that one of another realm (a vm context, Jest) is as good.

import { performance } from 'node:perf_hooks'
import timers from 'node:timers'
import { types } from 'node:util'
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads'
import { webAssemblyUnavailable } from './errors.js'

const { WebAssembly } = globalThis
if (WebAssembly === undefined) throw webAssemblyUnavailable()

/** WebAssembly.Memory. */
export const { Memory: EngineMemory } = WebAssembly

/** Its `grow`, to be called on a memory. */
export const { grow } = EngineMemory.prototype

/** The getter of its `buffer`, likewise. */
export const { get: getBuffer } = Object.getOwnPropertyDescriptor(EngineMemory.prototype, 'buffer')

/**
 * @param {WebAssembly.Memory} memory
 * @returns {ArrayBuffer | SharedArrayBuffer} its present buffer
 * @throws {TypeError} the engine's own, when it is no memory
 */
export const bufferOf = (memory) => getBuffer.call(memory)

/** @type {(buffer: unknown) => boolean} whether it is a SharedArrayBuffer */
export const isShared = types.isSharedArrayBuffer

// Not structuredClone: jsdom has none, and those who test with it put JSON in its place before anything is loaded.
const { port1: sender, port2: receiver } = new MessageChannel()

/**
 * @param {WebAssembly.Memory} memory a shared one
 * @returns {WebAssembly.Memory} another object for the same bytes
 */
export const cloneOf = (memory) => {
  sender.postMessage(memory)
  return receiveMessageOnPort(receiver).message
}

/** Symbol.dispose, which Node.js 20 and 22 add to the first realm alone: others, as vm contexts have them, find it by its key. */
export const { dispose = Symbol.for('nodejs.dispose') } = Symbol

/** Timers, and milliseconds of a clock that nobody sets: those of a test stand still. */
export const { clearTimeout, setImmediate, setInterval, setTimeout } = timers
export const now = performance.now.bind(performance)

/** Calls a function once, later, unless the thread has come to its end by then. */
export const later = (act, milliseconds) => setTimeout(act, milliseconds).unref()

/**
 * A function that V8 calls where others would become part of their caller: there is room in a caller for so much, and what is
 * seldom called would have the place of what often is. The call takes some 15 ns more for that.
 *
 * @template {Function} F
 * @param {F} run
 * @returns {F}
 */
export const outOfLine = (run) => new Proxy(run, Object.freeze({ __proto__: null }))
