// The types of `require('local-shared-memory/structures')`.

import type * as types from './index.js' with { 'resolution-mode': 'import' }

export declare const Mutex: typeof types.Mutex
export type Mutex = types.Mutex
export type LockOutcome = types.LockOutcome
export type WaitOptions = types.WaitOptions
export type AsyncWaitOptions = types.AsyncWaitOptions
export type Guard = types.Guard
