/** The gateway's one follower of the log: reads each stream once, however many listen, and not at all while nobody does. */
import { Context, Effect, Layer, RcRef, Schedule, Scope, Stream } from "effect"
import type { TenantId } from "../../../domain/ids.ts"
import { EventLog, type LogUnavailable } from "../../../domain/ports/event-log.ts"
import type { AggregateRef, LogEntry } from "../../../domain/recorded.ts"

/** How far it has read: of each stream of the log the last sequence. The map goes on changing. */
export type Reached = ReadonlyMap<string, number>

type Listener = (entry: LogEntry, reached: Reached) => void

export class LogTail extends Context.Service<LogTail, {
  /** Of one aggregate: whatever is stored after this has answered, until the scope closes. Every entry once, in order. */
  hear(ref: AggregateRef, listener: Listener): Effect.Effect<void, LogUnavailable, Scope.Scope>
  /** Of all that is a tenant's: whatever comes after what is answered. */
  hearTenant(tenantId: TenantId, listener: Listener): Effect.Effect<Reached, LogUnavailable, Scope.Scope>
}>()("gateway/LogTail") {}

/** Readers who come back at once should find it running. */
const linger = "1 minute"

export const LogTailLive = Layer.effect(LogTail, Effect.gen(function*() {
  const log = yield* EventLog
  const tail = yield* RcRef.make({ acquire: follow(log), idleTimeToLive: linger })
  const listen = (listeners: (tail: Tail) => Listeners, key: string, listener: Listener) =>
    Effect.gen(function*() {
      const running = yield* RcRef.get(tail)
      listeners(running).add(key, listener)
      yield* Scope.addFinalizer(yield* Effect.scope, Effect.sync(() => listeners(running).remove(key, listener)))
      return running.reached
    })
  return LogTail.of({
    hear: (ref, listener) => Effect.asVoid(listen(({ aggregates }) => aggregates, keyOf(ref), listener)),
    hearTenant: (tenantId, listener) => listen(({ tenants }) => tenants, tenantId, listener)
  })
}))

interface Tail {
  readonly reached: Reached
  readonly aggregates: Listeners
  readonly tenants: Listeners
}

const keyOf = ({ aggregate, id, tenantId }: AggregateRef) => `${tenantId}/${aggregate}/${id}`

const again = Schedule.spaced("1 second")

const follow = (log: EventLog["Service"]): Effect.Effect<Tail, LogUnavailable, Scope.Scope> =>
  Effect.gen(function*() {
    const reached = new Map<string, number>()
    const [aggregates, tenants] = [new Listeners(), new Listeners()]
    yield* Effect.forEach(log.streams, (stream) => Effect.map(log.head(stream), (head) => void reached.set(stream, head)), { discard: true })

    const hear = (stream: string) => (entry: LogEntry) => Effect.sync(() => {
      reached.set(stream, entry.position.sequence)
      const ref = entry._tag === "Recorded" ? entry : entry.ref
      if (ref === undefined) return
      aggregates.tell(keyOf(ref), entry, reached)
      tenants.tell(ref.tenantId, entry, reached)
    })

    // Nothing has been in a new stream before we are told of it.
    yield* log.streamsAsTheyCome.pipe(
      Stream.filter((stream) => !log.isSealed(stream)),
      Stream.runForEach((stream) =>
        Effect.suspend(() => Stream.runForEach(log.follow(stream, reached.get(stream) ?? 0), hear(stream))).pipe(
          Effect.tapError((error) => Effect.logWarning(error.message)), Effect.retry(again), Effect.forkScoped)),
      Effect.forkScoped)
    return { reached, aggregates, tenants }
  })

class Listeners {
  private readonly all = new Map<string, Set<Listener>>()

  add(key: string, listener: Listener): void {
    const here = this.all.get(key)
    if (here === undefined) this.all.set(key, new Set([listener]))
    else here.add(listener)
  }

  remove(key: string, listener: Listener): void {
    const here = this.all.get(key)
    here?.delete(listener)
    if (here?.size === 0) this.all.delete(key)
  }

  tell(key: string, entry: LogEntry, reached: Reached): void {
    for (const listener of this.all.get(key) ?? []) listener(entry, reached)
  }
}
