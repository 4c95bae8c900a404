/** The handlers of copies that go. */
import { Clock, Effect, Option, Schema } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { v7 } from "uuid"
import { RemoveCopy } from "../../domain/compose-commands.ts"
import { type ComposeId, Millis, PipelineName, type TenantId } from "../../domain/ids.ts"
import { EventLog } from "../../domain/ports/event-log.ts"
import { Scheduling } from "../../domain/ports/scheduling.ts"
import type { ExpiredCopy } from "../../domain/scheduling/expired-copy.ts"
import { execute } from "../execute.ts"
import { readPipeline } from "../pipelines.ts"
import { readCompose } from "../read-compose.ts"
import { CurrentIdentity } from "./api/authorization.ts"
import type { ExpiredCopyView } from "./api/copies-api.ts"
import { KilnApi } from "./api/kiln-api.ts"
import { ComposeOpen, CopyPromoted, NotFound } from "./api/problems.ts"
import { detailsOf, time } from "./compose-details.ts"
import { findCompose, orUnavailable } from "./find-compose.ts"

export const CopiesLive = HttpApiBuilder.group(KilnApi, "copies", Effect.fnUntraced(function*(handlers) {
  const ports = yield* Effect.context<EventLog>()
  const scheduling = yield* Scheduling
  const expired = Effect.fnUntraced(function*(now: boolean) {
    const { tenantId } = yield* CurrentIdentity
    return (yield* orUnavailable(scheduling.retention(tenantId, now))).map(expiredView)
  })

  return handlers.handleAll({
    remove: Effect.fnUntraced(function*({ params: { id, image, target }, query: { force } }) {
      const { role, subject, tenantId } = yield* CurrentIdentity
      if (force !== "true") yield* notPromoted(tenantId, id)
      const now = yield* Clock.currentTimeMillis
      const intent = { tenantId, messageId: v7(), at: Millis.make(now), actor: { kind: role, id: subject } as const }
      yield* execute(intent, RemoveCopy.make({ composeId: id, image, target, reason: "asked" })).pipe(Effect.catchTags({
        LogUnavailable: (error) => orUnavailable(Effect.fail(error)),
        ComposeRejected: ({ reason }) => reason === "NotEnded"
          ? new ComposeOpen({ detail: "cancel it, or wait for its end" })
          : new NotFound({ detail: `compose ${id} has delivered nothing to target ${target} of image ${image}` })
      }))
      return detailsOf(yield* findCompose(tenantId, id), now)
    }, Effect.provideContext(ports)),
    expired: () => expired(false),
    expire: () => expired(true)
  })
}))

/** Retention spares it, too. Labels name a pipeline; whether that stands for it, the pipeline says. */
const notPromoted = Effect.fnUntraced(function*(tenantId: TenantId, id: ComposeId) {
  const { compose } = yield* orUnavailable(readCompose(tenantId, id))
  const name = decodeName(compose.request?.labels?.["pipeline"])
  if (Option.isNone(name)) return
  const { promoted, status } = (yield* orUnavailable(readPipeline(tenantId, name.value))).pipeline
  if (status !== "declared" || promoted?.composeId !== id) return
  return yield* new CopyPromoted({
    detail: `the pipeline ${name.value} stands for its build ${promoted.number}, which is this; promote another first, or say force`,
    pipeline: name.value, build: promoted.number
  })
})
const decodeName = Schema.decodeUnknownOption(PipelineName)

const expiredView = ({ bytes, composeId, deliveredAt, image, target, type, why }: ExpiredCopy): ExpiredCopyView =>
  ({ compose: composeId, image, target, type, size: bytes, delivered_at: time(deliveredAt), why })
