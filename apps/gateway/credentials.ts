/** The handlers of tenants' credentials: judged, sealed, recorded. */
import { Clock, Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { v7 } from "uuid"
import { credentialFaults } from "../../domain/credential-faults.ts"
import { type CredentialsCommand, mostSets, RemoveCredentials, SetCredentials } from "../../domain/credential-sets.ts"
import { Millis, type TenantId } from "../../domain/ids.ts"
import { canonical } from "../../domain/manifest.ts"
import { EventLog } from "../../domain/ports/event-log.ts"
import { Sealer } from "../../domain/ports/sealer.ts"
import { executeOnCredentials, knownCredentials, type KnownSet } from "../credentials.ts"
import { CurrentIdentity } from "./api/authorization.ts"
import type { CredentialsView } from "./api/credentials-api.ts"
import { KilnApi } from "./api/kiln-api.ts"
import { NotFound } from "./api/problems.ts"
import { time } from "./compose-details.ts"
import { GatewayConfig } from "./config.ts"
import { badRequest, fault } from "./faults.ts"
import { orUnavailable } from "./find-compose.ts"

export const CredentialsLive = HttpApiBuilder.group(KilnApi, "credentials", Effect.fnUntraced(function*(handlers) {
  const ports = yield* Effect.context<EventLog | Sealer>()
  const { privateEndpoints = false } = yield* GatewayConfig

  const find = Effect.fnUntraced(function*(tenantId: TenantId, name: string) {
    const found = (yield* orUnavailable(knownCredentials(tenantId))).find((set) => set.name === name)
    return found === undefined ? yield* missing(name) : viewOf(found)
  })

  const change = Effect.fnUntraced(function*(command: CredentialsCommand) {
    const { role, subject, tenantId } = yield* CurrentIdentity
    const intent = { tenantId, messageId: v7(), at: Millis.make(yield* Clock.currentTimeMillis), actor: { kind: role, id: subject } as const }
    yield* executeOnCredentials(intent, command).pipe(Effect.catchTags({
      LogUnavailable: (error) => orUnavailable(Effect.fail(error)),
      CredentialsRejected: ({ reason }) =>
        reason === "NotFound" ? missing(command.name) : fault("path", "name", `a tenant has at most ${mostSets} sets of credentials`)
    }))
    return tenantId
  })

  return handlers.handleAll({
    list: Effect.fnUntraced(function*() {
      const { tenantId } = yield* CurrentIdentity
      return (yield* orUnavailable(knownCredentials(tenantId))).map(viewOf)
    }, Effect.provideContext(ports)),

    show: Effect.fnUntraced(function*({ params: { name } }) {
      return yield* find((yield* CurrentIdentity).tenantId, name)
    }, Effect.provideContext(ports)),

    set: Effect.fnUntraced(function*({ params: { name }, payload }) {
      const faults = credentialFaults(payload, { operators: false, privateEndpoints })
      if (faults.length > 0) return yield* badRequest(faults.map(({ message, path }) => ({ in: "body", path, message })))
      const { tenantId } = yield* CurrentIdentity
      const { provider, ...values } = payload
      const sealed = yield* (yield* Sealer).seal(tenantId, canonical(payload))
      yield* change(SetCredentials.make({ name, provider, fields: Object.keys(values).toSorted(), sealed }))
      return yield* find(tenantId, name)
    }, Effect.provideContext(ports)),

    remove: ({ params: { name } }) => Effect.provideContext(Effect.asVoid(change(RemoveCredentials.make({ name }))), ports)
  })
}))

const missing = (name: string) => new NotFound({ detail: `there is no set of credentials named ${name}` })

const viewOf = ({ actor, at, fields, name, provider, sealed }: KnownSet): CredentialsView =>
  ({ name, provider, fields, fingerprint: sealed.fingerprint, set_at: time(at), set_by: actor.id })
