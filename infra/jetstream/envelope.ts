/** A decision as the bytes of one message, and back. */
import { Exit, Schema } from "effect"
import { AggregateKind, type AggregateRef, Decision, type LogEntry, type Position, type Recorded } from "../../domain/recorded.ts"
import { TenantId } from "../../domain/ids.ts"
import { schemaVersion, upcast, type Upcaster, upcasters } from "../../domain/upcast.ts"

const Envelope = Schema.Struct({
  tenant: TenantId,
  aggregate: AggregateKind,
  id: Schema.String,
  revision: Schema.Int,
  ...Decision.fields
})

const encodeEnvelope = Schema.encodeSync(Envelope)
const decodeEnvelope = Schema.decodeUnknownExit(Envelope)

export const encode = (ref: AggregateRef, revision: number, decision: Decision): string =>
  JSON.stringify({
    schema: schemaVersion(),
    ...encodeEnvelope({ tenant: ref.tenantId, aggregate: ref.aggregate, id: ref.id, revision, ...decision })
  })

export const decode = (subject: string, position: Position, text: string, chain: ReadonlyArray<Upcaster> = upcasters): LogEntry => {
  const unreadable = (reason: string): LogEntry => ({ _tag: "Unreadable", position, subject, reason })
  const json = parse(text)
  if (json === undefined) return unreadable("not a JSON object")
  const version = json["schema"]
  if (typeof version !== "number" || version < 1 || version > schemaVersion(chain)) {
    return unreadable(`schema version ${String(version)}, this program knows 1 to ${schemaVersion(chain)}`)
  }
  const exit = decodeEnvelope(upcast(json, version, chain))
  if (Exit.isFailure(exit)) return unreadable(String(exit.cause))
  const { tenant, aggregate, id, revision, ...decision } = exit.value
  if (!subject.endsWith(`.${tenant}.${aggregate}.${id}.${revision}`)) return unreadable("the subject names another aggregate than the envelope")
  return { _tag: "Recorded", position, tenantId: tenant, aggregate, id, revision, ...decision } satisfies Recorded
}

const parse = (text: string): Record<string, unknown> | undefined => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value as Record<string, unknown> : undefined
  } catch {
    return undefined
  }
}
