// The ways for a message from thread to thread that are measured. One is
//
//   name, module            for the tables, and what a worker imports to find it
//   create() -> { handles, transfer }    a connection, and what the two workers are sent, as a transfer when that has to be
//   attach(handle)          one end of it, with calls that may return a promise:
//     send(message, count)          sends a message so many times
//     receive(count, check)         receives so many, and gives each to check
//     ask(message, count, check)    sends one and receives the answer, so many times
//     answer(count)                 sends back so many

import { contender as channel } from './channel.js'
import { contender as postMessage } from './post-message.js'

export const channels = [channel, postMessage]
