/** An entry of the log as people and programs may see it: decoded, and without what is secret. */
import type { LogEntry, Recorded } from "../../domain/recorded.ts"

const hidden = "***"

/** What was sealed for a tenant, by its shape, wherever it stands. */
const isSealed = (value: object): boolean => "ciphertext" in value && "nonce" in value && "keyId" in value

/** Who knows an attempt's token speaks for its worker. */
const secretFields: ReadonlySet<string> = new Set(["token"])

export const withoutSecrets = (value: unknown): unknown => {
  if (typeof value !== "object" || value === null) return value
  if (Array.isArray(value)) return value.map(withoutSecrets)
  if (isSealed(value)) return hidden
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, secretFields.has(key) ? hidden : withoutSecrets(each)]))
}

/** For programs; names as in events.md. */
export const entryDocument = (entry: LogEntry): Record<string, unknown> => {
  const { sequence, stream } = entry.position
  if (entry._tag === "Unreadable") return { stream, sequence, subject: entry.subject, unreadable: entry.reason }
  const { actor, aggregate, at, events, id, messageId, revision, tenantId, trace } = entry
  return {
    stream, sequence, tenant: tenantId, aggregate, id, revision, at: new Date(at).toISOString(), actor, message_id: messageId,
    ...(trace !== undefined && { trace }), events: withoutSecrets(events)
  }
}

export const addressOf = ({ aggregate, id, tenantId }: Recorded): string => id === "main" ? `${tenantId}/${aggregate}` : `${tenantId}/${aggregate}/${id}`

/** What is short of an event: enough to tell it from its like. */
export const factsOf = (event: Recorded["events"][number]): string =>
  Object.entries(withoutSecrets(event) as Record<string, unknown>)
    .filter(([key, value]) => key !== "_tag" && key !== "composeId" && value !== hidden && ["string", "number", "boolean"].includes(typeof value))
    .map(([key, value]) => `${key}=${String(value)}`).join(" ")
