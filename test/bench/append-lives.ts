/** Whole lives of composes into a log, so many a second, from a process of its own; sends how many there were, and when each decision was stored. */
import { Effect, Layer, Schedule } from "effect"
import type { Position } from "../../domain/recorded.ts"
import { EventLogJetStream } from "../../infra/jetstream/event-log.ts"
import { CoreNatsLive } from "../../infra/jetstream/nats.ts"
import { appendLife } from "./log-and-rows.ts"

const [servers, perSecond, seconds] = process.argv.slice(2)
const { host, password, username } = new URL(servers!)
const login = { servers: `nats://${host}`, user: username, password: decodeURIComponent(password) }

const stored: Array<readonly [sequence: number, at: number]> = []
const note = ({ sequence }: Position) => void stored.push([sequence, Date.now()])

const load = Effect.scoped(Effect.gen(function*() {
  const begun = performance.now()
  let composes = 0
  yield* Effect.sync(() => {
    const due = Math.floor(((performance.now() - begun) / 1000) * Number(perSecond)) - composes
    composes += due
    return due
  }).pipe(
    Effect.tap((due) => Effect.forkScoped(Effect.forEach(Array.from({ length: due }), () => appendLife(note), { concurrency: "unbounded", discard: true }))),
    Effect.repeat({ schedule: Schedule.spaced("5 millis"), until: () => performance.now() - begun > Number(seconds) * 1000 })
  )
  return composes / ((performance.now() - begun) / 1000)
}))

const rate = await Effect.runPromise(load.pipe(Effect.provide(
  EventLogJetStream({ partitions: 1, replicas: 1 }).pipe(Layer.provide(CoreNatsLive(login, "bench-load"))))))
process.send!({ rate, stored }, () => process.disconnect())
