import { Effect, Semaphore } from "effect"

export interface KeyedSerial<Key> {
  isTaken(key: Key): boolean
  take<A, E, R>(key: Key, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R>
}

/** Runs effects of one key one after the other, in the order they came, and those of different keys side by side. */
export const keyedSerial = <Key>(): KeyedSerial<Key> => {
  const lanes = new Map<Key, { readonly lane: Semaphore.Semaphore; users: number }>()
  const take = <A, E, R>(key: Key, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.suspend(() => {
      const entry = lanes.get(key) ?? { lane: Semaphore.makeUnsafe(1), users: 0 }
      lanes.set(key, entry)
      entry.users += 1
      return entry.lane.withPermits(1)(effect).pipe(Effect.ensuring(Effect.sync(() => {
        entry.users -= 1
        if (entry.users === 0) lanes.delete(key)
      })))
    })
  return { isTaken: (key) => lanes.has(key), take }
}
