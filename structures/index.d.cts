// The types of `require('local-shared-memory/structures')`.

import type * as types from './index.js' with { 'resolution-mode': 'import' }

export declare const Mutex: typeof types.Mutex
export type Mutex = types.Mutex
export type LockOutcome = types.LockOutcome
export type WaitOptions = types.WaitOptions
export type AsyncWaitOptions = types.AsyncWaitOptions
export type Guard = types.Guard

export declare const SharedMap: typeof types.SharedMap
export type SharedMap<K extends SharedMapKey = SharedMapKey, V = any> = types.SharedMap<K, V>
export type SharedMapKey = types.SharedMapKey
export type SharedMapOptions = types.SharedMapOptions
export type SharedMapSetOptions = types.SharedMapSetOptions
export type SharedMapStats = types.SharedMapStats
