/** A tenant's sets of credentials as the log has them. */
import { Effect } from "effect"
import { type CredentialsCommand, CredentialsDecider, type CredentialSetsOfTenant, type SetOfCredentials } from "../domain/credential-sets.ts"
import { fold } from "../domain/decider.ts"
import type { TenantId } from "../domain/ids.ts"
import { EventLog, LogUnavailable } from "../domain/ports/event-log.ts"
import { credentialsRef, type Recorded } from "../domain/recorded.ts"
import type { Intent } from "./execute.ts"

const read = Effect.fnUntraced(function*(tenantId: TenantId) {
  const { recorded, revision } = yield* (yield* EventLog).read(credentialsRef(tenantId))
  return { recorded, revision, sets: folded(recorded) }
})

const folded = (recorded: ReadonlyArray<Recorded<"credentials">>): CredentialSetsOfTenant => fold(CredentialsDecider, recorded.flatMap(({ events }) => events))

export const credentialSetsOf = (tenantId: TenantId) => Effect.map(read(tenantId), ({ sets }) => sets)

/** With when it was set, and by whom. */
export interface KnownSet extends SetOfCredentials, Pick<Recorded, "at" | "actor"> {
  readonly name: string
}

export const knownCredentials = Effect.fnUntraced(function*(tenantId: TenantId) {
  const { recorded, sets } = yield* read(tenantId)
  return [...sets].toSorted(([one], [other]) => one < other ? -1 : 1).map(([name, set]): KnownSet => {
    const { actor, at } = recorded.findLast(({ events }) => events.some((event) => event.name === name))!
    return { name, ...set, at, actor }
  })
})

export const executeOnCredentials = Effect.fnUntraced(
  function*({ actor, at, messageId, tenantId, trace }: Intent, command: CredentialsCommand) {
    const { revision, sets } = yield* read(tenantId)
    const [first, ...others] = yield* Effect.fromResult(CredentialsDecider.decide(command, sets))
    if (first === undefined) return
    const decision = { messageId, at, actor, ...(trace !== undefined && { trace }), events: [first, ...others] as const }
    yield* (yield* EventLog).append(credentialsRef(tenantId), revision, decision)
  },
  Effect.retry({ while: (error) => error._tag === "WrongRevision", times: 10 }),
  Effect.catchTag("WrongRevision", () => new LogUnavailable({ message: "the tenant's credentials are changing too fast to be written" }))
)
