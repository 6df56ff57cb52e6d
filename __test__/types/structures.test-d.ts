import { expectTypeOf } from 'expect-type'
import { LocalSharedMemory } from 'local-shared-memory'
import {
  Channel,
  Mutex,
  SharedMap,
  struct,
  type Guard,
  type LockOutcome,
  type StructArray,
} from 'local-shared-memory/structures'

const memory = new LocalSharedMemory()

// Mutex
const mutex = Mutex.open(memory, 'mutex')
expectTypeOf(mutex).toEqualTypeOf<Mutex>()
expectTypeOf(Mutex.at(memory, mutex.ptr)).toEqualTypeOf<Mutex>()
expectTypeOf(mutex.lock({ timeout: 10 })).toEqualTypeOf<LockOutcome>()
expectTypeOf(mutex.tryLock()).toEqualTypeOf<LockOutcome | false>()
expectTypeOf(
  mutex.lockAsync({ signal: AbortSignal.timeout(1) }),
).resolves.toEqualTypeOf<LockOutcome>()
expectTypeOf(mutex.withLock((outcome) => outcome)).toEqualTypeOf<LockOutcome>()
expectTypeOf(mutex.withLock(async () => 1)).toEqualTypeOf<Promise<number>>()
expectTypeOf(mutex.acquire()).toEqualTypeOf<Guard>()
// @ts-expect-error it is made by create, at or open
void new Mutex(memory, 16)
// @ts-expect-error a plain memory has no heap
Mutex.create(new WebAssembly.Memory({ initial: 1 }))

// What is passed on may be undefined, wherever it may be left out
declare const maybe: { size: number | undefined; signal: AbortSignal | undefined }
mutex.lock({ timeout: maybe.size })
void mutex.lockAsync({ timeout: maybe.size, signal: maybe.signal })
Channel.create(memory, { capacity: maybe.size })
SharedMap.create(memory, { ttl: maybe.size, maxEntries: maybe.size, maxBytes: maybe.size })
SharedMap.create(memory).set(1, 1, { ttl: maybe.size })

// SharedMap
const users = SharedMap.open<string, { age: number }>(memory, 'users')
expectTypeOf(users.get('a')).toEqualTypeOf<{ age: number } | undefined>()
expectTypeOf(users.set('a', { age: 1 })).toEqualTypeOf<typeof users>()
expectTypeOf(users.getOrInsert('a', { age: 1 })).toEqualTypeOf<{ age: number }>()
expectTypeOf(users.update('a', () => undefined)).toEqualTypeOf<undefined>()
expectTypeOf(users.update('a', (user) => ({ age: user?.age ?? 0 }))).toEqualTypeOf<{
  age: number
}>()
expectTypeOf(new Map(users)).toEqualTypeOf<Map<string, { age: number }>>()
expectTypeOf([...users.keys()]).toEqualTypeOf<string[]>()
expectTypeOf(users.increment('a')).toEqualTypeOf<number>()
expectTypeOf(users.increment('a', 1n)).toEqualTypeOf<bigint>()
// @ts-expect-error the key is a string
users.get(1)
// @ts-expect-error a promise is no value
users.update('a', async () => ({ age: 1 }))
// @ts-expect-error an object is no key
SharedMap.create(memory).get({})
// @ts-expect-error it is made by create, at or open
void new SharedMap(memory, 16)

// Channel
const jobs = Channel.open<{ id: number }>(memory, 'jobs')
expectTypeOf(jobs.receive()).toEqualTypeOf<{ id: number } | undefined>()
expectTypeOf(jobs.receiveAsync()).resolves.toEqualTypeOf<{ id: number } | undefined>()
expectTypeOf(jobs.trySend({ id: 1 })).toEqualTypeOf<boolean>()
expectTypeOf(jobs.reserve(8).bytes).toEqualTypeOf<Uint8Array>()
for await (const job of jobs) expectTypeOf(job).toEqualTypeOf<{ id: number }>()
// @ts-expect-error the id is a number
jobs.send({ id: '1' })
// @ts-expect-error it is made by create, at or open
void new Channel(memory, 16)

// struct
const Point = struct({ x: 'f32', y: 'f32' })
const Order = struct({
  id: 'u32',
  price: 'f64',
  total: 'u64',
  name: 'utf8(32)',
  paid: 'bool',
  sizes: 'u16[4]',
  hits: 'atomic u32',
  turn: 'i32',
  from: Point,
})
const order = Order.at(memory, 16)
expectTypeOf(order.id).toEqualTypeOf<number>()
expectTypeOf(order.price).toEqualTypeOf<number>()
expectTypeOf(order.total).toEqualTypeOf<bigint>()
expectTypeOf(order.name).toEqualTypeOf<string>()
expectTypeOf(order.paid).toEqualTypeOf<boolean>()
expectTypeOf(order.sizes).toEqualTypeOf<Uint16Array>()
expectTypeOf(order.hits).toEqualTypeOf<number>()
expectTypeOf(order.from.x).toEqualTypeOf<number>()
expectTypeOf(order.ptr).toEqualTypeOf<number>()
expectTypeOf(Order.offsets.price).toEqualTypeOf<number>()
expectTypeOf(Order.array(memory, 10)).toEqualTypeOf<StructArray<typeof order>>()
// @ts-expect-error the price is a number
order.price = '1'
// @ts-expect-error the pointer is given
order.ptr = 16
// @ts-expect-error there is no such field
void order.size

const fields = Order.fields(memory)
expectTypeOf(fields.hits.add(order.ptr, 1)).toEqualTypeOf<number>()
expectTypeOf(fields.total.exchange(order.ptr, 1n)).toEqualTypeOf<bigint>()
expectTypeOf(fields.turn.notify(order.ptr)).toEqualTypeOf<number>()
expectTypeOf(fields.name.get(order.ptr)).toEqualTypeOf<string>()
expectTypeOf(fields.sizes.get(order.ptr)).toEqualTypeOf<Uint16Array>()
fields.sizes.set(order.ptr, [1, 2, 3])
fields.sizes.set(order.ptr, new Set([1]))
fields.sizes.set(order.ptr, new Float64Array(2))
order.sizes.set([1, 2, 3])
// @ts-expect-error the sizes are numbers
fields.sizes.set(order.ptr, [1n])
// @ts-expect-error a number is no array
fields.sizes.set(order.ptr, 1)
// @ts-expect-error a float cannot be added to atomically
void fields.price.add
// @ts-expect-error no thread can wait on an unsigned integer
void fields.hits.wait

class Shop extends struct({ open: 'bool', count: 'u8' }) {
  get empty() {
    return this.count === 0
  }
}
expectTypeOf(Shop.at(memory, 16)).toEqualTypeOf<Shop>()
expectTypeOf(Shop.create(memory).empty).toEqualTypeOf<boolean>()
const Street = struct({ corner: Shop })
expectTypeOf(Street.create(memory).corner).toEqualTypeOf<Shop>()
expectTypeOf(Street.fields(memory).corner.get(16)).toEqualTypeOf<Shop>()
Street.create(memory).corner = Shop.create(memory)
// @ts-expect-error another struct's bytes are no shop
Street.create(memory).corner = Point.create(memory)
// @ts-expect-error there are classes that are no structs
struct({ corner: Date })

// @ts-expect-error there is no such type
struct({ id: 'u33' })
// @ts-expect-error floats are not atomic
struct({ id: 'atomic f64' })
