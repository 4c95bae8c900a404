/** The log itself, past the gateway: what comes in, and what lies at one place or of one aggregate. */
import { Effect, Option, Stream } from "effect"
import { TenantId } from "../../../domain/ids.ts"
import { nearestIds } from "../../../domain/nearest-ids.ts"
import { EventLog } from "../../../domain/ports/event-log.ts"
import { type AggregateKind, aggregateEvents, type AggregateRef, type LogEntry } from "../../../domain/recorded.ts"
import { commandFailed } from "../command-failed.ts"
import { beginningAt, placeIn } from "../log-place.ts"
import { moment } from "../moments.ts"
import { tenantNamed } from "../on-record-here.ts"
import { harmless, Output, type OutputShape, painted, print } from "../output.ts"
import { logHere } from "../past-the-gateway.ts"
import { addressOf, entryDocument, factsOf, withoutSecrets } from "../shown-entry.ts"

export interface TailInput {
  readonly tenant: Option.Option<string>
  readonly aggregate: Option.Option<string>
  readonly event: ReadonlyArray<string>
  readonly from: Option.Option<string>
  readonly once: boolean
}

export const tailEvents = Effect.fn("tailEvents")(function*(input: TailInput) {
  const tenantId = Option.isNone(input.tenant) ? undefined : yield* tenantNamed("--tenant", input.tenant.value)
  const of = Option.isNone(input.aggregate) ? undefined : yield* aggregateNamed(input.aggregate.value)
  yield* Effect.forEach(input.event, eventNamed)
  const output = yield* Output
  const isWanted = (entry: LogEntry) => {
    const ref = entry._tag === "Recorded" ? entry : entry.ref
    return (tenantId === undefined || ref?.tenantId === tenantId) && (of === undefined || (ref?.aggregate === of.kind && (of.id === undefined || ref.id === of.id)))
      && (input.event.length === 0 || (entry._tag === "Recorded" && entry.events.some(({ _tag }) => input.event.includes(_tag))))
  }
  const reading = Effect.gen(function*() {
    const log = yield* EventLog
    const beginning = yield* beginningAt(input.from)
    const known = new Set(log.streams)
    const entriesOf = (stream: string) => Stream.unwrap(Effect.gen(function*() {
      // What is made while we look has not been missed by anybody.
      const after = known.has(stream) ? yield* beginning(stream) : 0
      if (after === undefined) return Stream.empty
      if (input.once) return log.scan(stream, { after, upTo: yield* log.head(stream), tenantId })
      return log.follow(stream, after, of?.kind)
    }))
    const entries = input.once
      ? Stream.flatMap(Stream.fromIterable(log.streams), entriesOf)
      : Stream.flatMap(log.streamsAsTheyCome, entriesOf, { concurrency: "unbounded" })
    yield* Stream.runForEach(Stream.filter(entries, isWanted), (entry) => Effect.sync(() => output.write(`${lineOf(output, entry)}\n`)))
  })
  yield* Effect.provide(reading, yield* logHere("events tail")).pipe(Effect.mapError(unreachable))
})

const eventNames = Object.values(aggregateEvents).flatMap(({ cases }) => Object.keys(cases))

/** One that is not known would be waited for in vain. */
const eventNamed = Effect.fnUntraced(function*(name: string) {
  if (eventNames.includes(name)) return
  const near = nearestIds(eventNames, name)
  return yield* commandFailed("invalid", `--event ${name} is no event; ${near.length === 0 ? "docs/events.md has all of them" : `there is ${near.join(", ")}`}`)
})

const lineOf = (output: OutputShape, entry: LogEntry): string => {
  if (output.json) return JSON.stringify(entryDocument(entry))
  const { sequence, stream } = entry.position
  if (entry._tag === "Unreadable") return harmless(`${stream}:${sequence}  ${entry.subject}  cannot be read: ${entry.reason}`)
  const before = `${moment(new Date(entry.at).toISOString(), output.utc)}  ${stream}:${sequence}  ${addressOf(entry)}  ${entry.actor.id}`
  return entry.events.map((event) =>
    `${painted(output, "dim", harmless(before))}  ${painted(output, "bold", event._tag)}  ${harmless(factsOf(event))}`.trimEnd()).join("\n")
}

export const showEvents = Effect.fn("showEvents")(function*({ place }: { readonly place: string }) {
  const output = yield* Output
  const at = placeIn(place)
  const ref = at === undefined ? yield* refNamed(place) : undefined
  const found = yield* (ref !== undefined ? ofAggregate(ref) : ofPlace(at!)).pipe(
    Effect.provide(yield* logHere("events show")), Effect.mapError(unreachable))
  if (found.length === 0) return yield* commandFailed("notFound", `There is nothing at ${place}`)
  if (output.json) yield* print(JSON.stringify(found.map(entryDocument), undefined, 2))
  else yield* print(...found.flatMap((entry) => pageOf(output, entry)))
})

const ofAggregate = (ref: AggregateRef) => Effect.flatMap(EventLog, (log) => Effect.map(log.read(ref), ({ recorded }): ReadonlyArray<LogEntry> => recorded))

const ofPlace = Effect.fnUntraced(function*({ sequence, stream }: NonNullable<ReturnType<typeof placeIn>>) {
  const log = yield* EventLog
  const streams = log.streams.filter((each) => stream === undefined || each === stream)
  const entries = yield* Effect.forEach(streams, (each) => Effect.flatMap(log.head(each), (head) =>
    sequence > head ? Effect.succeed([]) : Stream.runCollect(log.scan(each, { after: sequence - 1, upTo: sequence }))))
  return entries.flat()
})

const pageOf = (output: OutputShape, entry: LogEntry): ReadonlyArray<string> => {
  const { sequence, stream } = entry.position
  if (entry._tag === "Unreadable") return [harmless(`${stream}:${sequence}  ${entry.subject}`), harmless(`  cannot be read: ${entry.reason}`), ""]
  const { actor, at, revision } = entry
  return [
    `${stream}:${sequence}  ${addressOf(entry)} #${revision}  ${moment(new Date(at).toISOString(), output.utc)}  ${harmless(actor.id)} (${actor.kind})`,
    ...entry.events.flatMap((event) => {
      const { _tag, ...fields } = withoutSecrets(event) as { readonly _tag: string }
      return [`  ${painted(output, "bold", _tag)}`, ...JSON.stringify(fields, undefined, 2).split("\n").slice(1, -1).map((line) => harmless(`  ${line}`))]
    }),
    ""
  ]
}

const kinds = Object.keys(aggregateEvents)
const isKind = (kind: string): kind is AggregateKind => Object.hasOwn(aggregateEvents, kind)

/** `compose`, or `compose/<id>`. */
const aggregateNamed = Effect.fnUntraced(function*(text: string) {
  const [kind = "", id, ...more] = text.split("/")
  if (!isKind(kind) || more.length > 0) return yield* commandFailed("invalid", `--aggregate ${text} is none of ${kinds.join(", ")}, with /<id> for one of them`)
  return { kind, id }
})

const refNamed = Effect.fnUntraced(function*(text: string) {
  const [tenant = "", kind = "", id = "main", ...more] = text.split("/")
  if (!isKind(kind) || more.length > 0 || !/^[A-Za-z0-9_-]+$/.test(id)) {
    return yield* commandFailed("invalid", `${text} is no place in the log: say EVENTS:17, acme/account, or acme/compose/<id>; there is ${kinds.join(", ")}`)
  }
  const tenantId: TenantId = yield* tenantNamed(text, tenant)
  return { tenantId, aggregate: kind, id }
})

const unreachable = (error: { readonly message: string }) =>
  "code" in error ? error as ReturnType<typeof commandFailed> : commandFailed("unreachable", error.message)
