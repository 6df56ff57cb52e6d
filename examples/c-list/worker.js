// One thread of main.js: adds nodes to the list in its turn, half of them made here and half in C, and takes the list in between.

import LocalSharedMemory from 'local-shared-memory'
import { parentPort, workerData } from 'node:worker_threads'

const STACK_BYTES = 16_384

const memory = LocalSharedMemory.from(workerData.memory)
const { exports: list } = new WebAssembly.Instance(workerData.module, { env: memory.imports() })

// Every thread that runs C needs a stack of its own.
const stack = memory.malloc(STACK_BYTES)
const { __stack_pointer: stackPointer } = list
stackPointer.value = stack + STACK_BYTES

const addFromJavaScript = (value) => {
  const node = memory.malloc(8)
  memory.setUint32(node + 4, value)
  list.push(node)
}

const { from, to } = workerData
let sum = 0
for (let value = from; value < to; value++) {
  if (value % 2 === 0) addFromJavaScript(value)
  else if (list.add(value) === 0) throw new Error('the heap is full')
  // Whatever the list holds now, whichever thread and language made it.
  if (value % 1000 === 0) sum += list.drain(from, to) >>> 0
}
memory.free(stack)
parentPort.postMessage(sum)
