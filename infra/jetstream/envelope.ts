/** A decision as the bytes of one message, and back. */
import { Exit, Schema } from "effect"
import { type AggregateKind, type AggregateRef, aggregateEvents, type Decision, DecisionFields, type LogEntry, type Position, type Recorded } from "../../domain/recorded.ts"
import { TenantId } from "../../domain/ids.ts"
import { schemaVersion, upcast, type Upcaster, upcasters } from "../../domain/upcast.ts"

const envelopeOf = <Kind extends AggregateKind>(aggregate: Kind) =>
  Schema.Struct({
    tenant: TenantId,
    aggregate: Schema.Literal(aggregate),
    id: Schema.String,
    revision: Schema.Int,
    ...DecisionFields,
    events: Schema.NonEmptyArray(aggregateEvents[aggregate])
  })

const codecOf = (envelope: Schema.Codec<unknown, unknown>) => ({
  encode: Schema.encodeUnknownSync(envelope),
  decode: Schema.decodeUnknownExit(envelope) as (input: unknown) => Exit.Exit<Envelope, unknown>
})

type Envelope = { [Kind in AggregateKind]: ReturnType<typeof envelopeOf<Kind>>["Type"] }[AggregateKind]

const forEachKind = <A>(make: (kind: AggregateKind) => A): Readonly<Record<AggregateKind, A>> =>
  Object.fromEntries(Object.keys(aggregateEvents).map((kind) => [kind, make(kind as AggregateKind)])) as Record<AggregateKind, A>

const codecs = forEachKind((kind) => codecOf(envelopeOf(kind)))
const isKind = (aggregate: unknown): aggregate is AggregateKind => typeof aggregate === "string" && Object.hasOwn(codecs, aggregate)

export const encode = (ref: AggregateRef, revision: number, decision: Decision): string =>
  JSON.stringify({
    schema: schemaVersion(),
    checked: true,
    ...codecs[ref.aggregate].encode({ tenant: ref.tenantId, aggregate: ref.aggregate, id: ref.id, revision, ...decision }) as object
  })

export const decode = (subject: string, position: Position, text: string, chain: ReadonlyArray<Upcaster> = upcasters): LogEntry => {
  const unreadable = (reason: string): LogEntry => ({ _tag: "Unreadable", position, subject, ...refIn(subject), reason })
  const json = parse(text)
  if (json === undefined) return unreadable("not a JSON object")
  const version = json["schema"]
  if (typeof version !== "number" || version < 1 || version > schemaVersion(chain)) {
    return unreadable(`schema version ${String(version)}, this program knows 1 to ${schemaVersion(chain)}`)
  }
  const shape = upcast(json, version, chain)
  const kind = shape["aggregate"]
  if (!isKind(kind)) return unreadable(`this program knows no aggregate ${JSON.stringify(kind)}`)
  // What this program's own encoder has checked, field by field, is the value itself; the rest is checked here.
  const exit = version === schemaVersion(chain) && isOurs(shape, kind) ? Exit.succeed(shape as unknown as Envelope) : codecs[kind].decode(shape)
  if (Exit.isFailure(exit)) return unreadable(String(exit.cause))
  const { actor, aggregate, at, events, id, messageId, revision, tenant, trace } = exit.value
  if (!subject.endsWith(`.${tenant}.${aggregate}.${id}.${revision}`)) return unreadable("the subject names another aggregate than the envelope")
  // Field by field: to copy the rest of an object takes several times as long, and every entry of the log comes by here.
  const recorded = { _tag: "Recorded", position, tenantId: tenant, aggregate, id, revision, messageId, at, actor, events }
  return (trace === undefined ? recorded : { ...recorded, trace }) as Recorded
}

const tags = forEachKind((kind): ReadonlySet<string> => new Set(Object.keys(aggregateEvents[kind].cases)))

/** The mark of our encoder, and events that this program knows. What is damaged or foreign has it not, or not these. */
const isOurs = ({ checked, events }: Readonly<Record<string, unknown>>, kind: AggregateKind): boolean =>
  checked === true && Array.isArray(events) && events.length > 0 && events.every((event: { readonly _tag?: unknown } | null) => tags[kind].has(event?._tag as string))

/** What lies at an address that our streams take, but that is none of an aggregate of ours, is nobody's. */
const refIn = (subject: string): { readonly ref?: AggregateRef } => {
  const [, tenant, aggregate, id] = subject.split(".")
  return isKind(aggregate) && Schema.is(TenantId)(tenant) && id !== undefined ? { ref: { tenantId: tenant, aggregate, id } } : {}
}

const parse = (text: string): Record<string, unknown> | undefined => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value as Record<string, unknown> : undefined
  } catch {
    return undefined
  }
}
