/** What happens at one tenant, for all who follow it here: read and put into words once, told to each. */
import { Effect, Fiber, Queue, Schedule, Scope, Semaphore, Stream } from "effect"
import { FactsMemory } from "../../../domain/facts-memory.ts"
import type { TenantId } from "../../../domain/ids.ts"
import { EventLog, type LogUnavailable } from "../../../domain/ports/event-log.ts"
import type { LogEntry } from "../../../domain/recorded.ts"
import { occurrencesIn } from "../../occurrences-in.ts"
import { Broadcast } from "./broadcast.ts"
import type { ChannelOptions } from "./compose-channel.ts"
import { LogTail } from "./log-tail.ts"
import { farthest, type Place, placeText, reaches } from "./place.ts"
import type { Reader } from "./reader.ts"
import { type TenantFilter, type TenantFrame, tenantEventsFrom, tenantFrame } from "./tenant-frame.ts"
import { Window } from "./window.ts"

export interface TenantChannel {
  /** Tells the reader all that is asked for after a place, or from now on, until it goes. Answers when it only has to wait for news. */
  attend(reader: Reader, from: Place | undefined, filter: TenantFilter): Effect.Effect<void, LogUnavailable>
}

/** More that nobody has put into words yet means that the log cannot be read. */
const mostHeard = 50_000

const patiently = Schedule.max([Schedule.spaced("1 second"), Schedule.recurs(60)])

export interface TenantChannelOptions extends ChannelOptions {
  readonly deployment: string
  /** Of those who read what was before: each holds some hundred entries. */
  readonly historians: Semaphore.Semaphore
}

export const openTenantChannel = Effect.fnUntraced(function*(tenantId: TenantId, { broken, deployment, historians, limit, run }: TenantChannelOptions) {
  const log = yield* EventLog
  const heard = yield* Queue.unbounded<{ readonly entry: LogEntry; readonly place: Place }>()
  /** Heard, and not yet told. */
  let pending = 0
  const reached = yield* (yield* LogTail).hearTenant(tenantId, (entry, now) => {
    pending += 1
    Queue.offerUnsafe(heard, { entry, place: new Map(now) })
  })
  const textOf = (place: Place) => placeText(log, place)

  /** Readers cannot have what was up to there from the window. */
  let dropped: Place = new Map(reached)
  let told = dropped
  const broadcast = new Broadcast(new Window<TenantFrame>(limit, ({ place }) => {
    dropped = farthest(dropped, place)
  }))

  const memory = new FactsMemory()
  const tell = Effect.fnUntraced(function*(entry: LogEntry, place: Place) {
    const frame = entry._tag === "Recorded" ? tenantFrame(deployment, entry, yield* occurrencesIn(memory, entry), place) : undefined
    told = place
    if (frame !== undefined) broadcast.say(frame)
    pending -= 1
  }, Effect.provideService(EventLog, log))

  const following = run(Effect.gen(function*() {
    for (;;) {
      for (const { entry, place } of yield* Queue.takeAll(heard)) yield* Effect.retry(tell(entry, place), patiently)
      if (pending > mostHeard) return
    }
  }).pipe(
    Effect.catch((error) => Effect.logWarning("a tenant's events cannot be followed", error.message)),
    Effect.andThen(broken),
    Effect.andThen(Effect.sync(() => broadcast.each((reader) => reader.leave("unavailable"))))))
  yield* Scope.addFinalizer(yield* Effect.scope, Fiber.interrupt(following))

  /** Sealed streams to their ends, then all others. */
  const catchUp = Effect.fnUntraced(function*(reader: Reader, from: Place, filter: TenantFilter) {
    const upTo = dropped
    const facts = new FactsMemory()
    const [sealed, open] = [log.streams.filter(log.isSealed), log.streams.filter((stream) => !log.isSealed(stream))]
    let place = from
    for (const stream of [...sealed, ...open]) {
      const range = { after: place.get(stream) ?? 0, upTo: upTo.get(stream) ?? 0, tenantId }
      yield* Stream.runForEachArray(log.scan(stream, range), (entries) => Effect.gen(function*() {
        for (const entry of entries) {
          const before = place
          place = farthest(place, new Map([[stream, entry.position.sequence]]))
          const frame = entry._tag === "Recorded" ? tenantFrame(deployment, entry, yield* occurrencesIn(facts, entry), place) : undefined
          const text = frame && tenantEventsFrom(before, filter, textOf)(frame)
          if (text !== undefined) reader.write(text)
          if (!reader.free) yield* reader.room
        }
      }))
      place = farthest(place, new Map([[stream, range.upTo]]))
    }
    return place
  }, Effect.provideService(EventLog, log))

  return {
    attend: Effect.fnUntraced(function*(reader, from, filter) {
      let at = from ?? told
      reader.position = () => textOf(at)
      reader.wake()
      while (!reaches(at, dropped) && !reader.hasGone) at = yield* Semaphore.withPermit(historians, catchUp(reader, at, filter))
      const { isUpToDate, rise } = broadcast.sit(reader, tenantEventsFrom(at, filter, textOf))
      reader.position = () => pending === 0 && isUpToDate() ? textOf(farthest(at, reached)) : undefined
      reader.whenGone(rise)
    })
  } satisfies TenantChannel
})
