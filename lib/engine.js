// The engine's and Node.js's own functions, taken when the package is loaded: what a subclass, a test's stand-in or another
// library puts in their place later changes nothing here. They tell what a value is by what it is, not by its prototype,
// so that one of another realm (a vm context, Jest) is as good.

import { setTimeout } from 'node:timers'
import { types } from 'node:util'
import { webAssemblyUnavailable } from './errors.js'

const { structuredClone, WebAssembly } = globalThis
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

/** @type {(memory: WebAssembly.Memory) => WebAssembly.Memory} another object for the same bytes */
export const cloneOf = (memory) => structuredClone(memory)

/** Calls a function once, later, unless the thread has come to its end by then. */
export const later = (act, milliseconds) => setTimeout(act, milliseconds).unref()
