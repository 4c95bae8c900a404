import { assert, describe, it } from "@effect/vitest"
import { upcast, schemaVersion } from "../../../domain/upcast.ts"
import { decode, encode } from "../../../infra/jetstream/envelope.ts"
import { QuotaReserved } from "../../../domain/account.ts"
import { Millis } from "../../../domain/ids.ts"
import { accountRef, composeRef } from "../../../domain/recorded.ts"
import { composeId, decisionOf, requested, tenantId } from "../../support/composes.ts"

const subject = `events.acme.compose.${composeId}.1`
const position = { stream: "EVENTS", sequence: 9 }
const today = encode(composeRef(tenantId, composeId), 1, decisionOf("m1", requested))

/** How an envelope of an imagined version 0 looked: `who` instead of `actor`. */
const old = () => {
  const { actor, ...rest } = JSON.parse(today) as Record<string, unknown>
  return { ...rest, schema: 1, who: actor }
}
const rename = ({ who, ...rest }: Readonly<Record<string, unknown>>) => ({ ...rest, actor: who })

describe("an envelope", () => {
  it("comes back as it was written", () => {
    const entry = decode(subject, position, today)
    assert.strictEqual(entry._tag, "Recorded")
    if (entry._tag === "Recorded") assert.deepStrictEqual([entry.events, entry.revision, entry.tenantId], [[requested], 1, tenantId])
  })
  it("of an account is told apart by its aggregate, and one of an aggregate that nobody knows is unreadable", () => {
    const event = QuotaReserved.make({ at: Millis.make(5), rememberMs: 60_000, composes: [{ composeId, bytes: 7 }] })
    const text = encode(accountRef(tenantId), 3, { ...decisionOf("m1", requested), events: [event] })
    const entry = decode("events.acme.account.main.3", position, text)
    assert.deepStrictEqual(entry._tag === "Recorded" && [entry.aggregate, entry.id, entry.revision, entry.events], ["account", "main", 3, [event]])
    const stored = (change: object) => decode("events.acme.account.main.3", position, JSON.stringify({ ...JSON.parse(text), ...change }))
    assert.strictEqual(stored({ aggregate: "ledger" })._tag, "Unreadable")
    assert.strictEqual(stored({ aggregate: "compose" })._tag, "Unreadable")
  })
  it("of an older version is brought to today's shape", () => {
    assert.strictEqual(schemaVersion([rename]), 2)
    const entry = decode(subject, position, JSON.stringify(old()), [rename])
    assert.strictEqual(entry._tag === "Recorded" && entry.actor.id, "test")
  })
  it("goes only through the steps that it lacks", () => {
    const steps = [(shape: object) => ({ ...shape, first: true }), (shape: object) => ({ ...shape, second: true })]
    assert.deepStrictEqual(upcast({}, 2, steps), { second: true })
  })
  it("of a newer version, or no JSON, or under a foreign subject is unreadable and says why", () => {
    const reason = (text: string, under = subject) => {
      const entry = decode(under, position, text)
      return entry._tag === "Unreadable" ? entry.reason : "readable"
    }
    assert.include(reason(JSON.stringify({ ...JSON.parse(today), schema: 99 })), "schema version 99")
    assert.include(reason("{"), "not a JSON object")
    assert.include(reason(today, subject.replace("acme", "evil")), "names another aggregate")
  })
})
