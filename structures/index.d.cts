// The types of `require('local-shared-memory/structures')`.

import type * as types from './index.js' with { 'resolution-mode': 'import' }

export declare const Mutex: typeof types.Mutex
export type Mutex = types.Mutex
export type LockOutcome = types.LockOutcome
export type WaitOptions = types.WaitOptions
export type AsyncWaitOptions = types.AsyncWaitOptions
export type Guard = types.Guard

export declare const Channel: typeof types.Channel
export type Channel<T = any> = types.Channel<T>
export type ChannelOptions = types.ChannelOptions
export type Reservation = types.Reservation

export declare const SharedMap: typeof types.SharedMap
export type SharedMap<K extends SharedMapKey = SharedMapKey, V = any> = types.SharedMap<K, V>
export type SharedMapKey = types.SharedMapKey
export type SharedMapOptions = types.SharedMapOptions
export type SharedMapSetOptions = types.SharedMapSetOptions
export type SharedMapStats = types.SharedMapStats

export declare const struct: typeof types.struct
export type Struct<D extends StructDescription> = types.Struct<D>
export type StructArray<S> = types.StructArray<S>
export type StructDescription = types.StructDescription
export type StructView<D extends StructDescription> = types.StructView<D>
export type FieldType = types.FieldType
export type FieldValue<T> = types.FieldValue<T>
export type FieldInput<T> = types.FieldInput<T>
export type FieldOf<T> = types.FieldOf<T>
export type Field<V, I = V> = types.Field<V, I>
export type IntegerField<V extends number | bigint> = types.IntegerField<V>
export type WaitableField<V extends number | bigint> = types.WaitableField<V>
