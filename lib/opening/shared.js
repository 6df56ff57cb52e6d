// Memories that have a name in a thread and in all workers that it starts afterwards. worker_threads carries them there, as
// environment data, and on to those workers' own workers.

import { getEnvironmentData, setEnvironmentData } from 'node:worker_threads'
import { checkObject, invalidArgType, outOfRange, unknownName } from '../base/errors.js'
import { checkName } from '../base/names.js'

const keyOf = (name) => `local-shared-memory:${name}`

const checkOptions = (options) => {
  checkObject('options', options)
  if (options.shared !== undefined && !options.shared) {
    throw outOfRange('options.shared', 'true, or left out', options.shared)
  }
  if (options.create !== undefined && typeof options.create !== 'boolean') {
    throw invalidArgType('options.create', 'a boolean', options.create)
  }
}

/**
 * The memory of a name, made if the thread has none, unless the options' `create` is false.
 *
 * @param {typeof import('../../index.js').LocalSharedMemory} Class of the memory
 * @param {string} name
 * @param {object} options of the constructor
 * @returns {import('../../index.js').LocalSharedMemory}
 */
export const sharedMemory = (Class, name, options) => {
  checkName(name)
  checkOptions(options)
  const { initial = Class.devicePageSize, maximum = initial, create = true } = options
  const received = getEnvironmentData(keyOf(name))
  if (received !== undefined) return Class.from(received, options)
  if (!create) throw unknownName(name)
  const memory = new Class({ ...options, initial, maximum, shared: true })
  setEnvironmentData(keyOf(name), memory)
  return memory
}
