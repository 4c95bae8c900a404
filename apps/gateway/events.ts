/** The handler of a tenant's events. */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { EventLog } from "../../domain/ports/event-log.ts"
import { unknownTypes } from "../../domain/webhook-settings.ts"
import { CurrentIdentity } from "./api/authorization.ts"
import { KilnApi } from "./api/kiln-api.ts"
import { fault } from "./faults.ts"
import { orUnavailable } from "./find-compose.ts"
import { eventStream } from "./sse.ts"
import { placeFrom } from "./streams/place-from.ts"
import { type Place, placeOf } from "./streams/place.ts"
import { Readers } from "./streams/readers.ts"
import { TenantChannels } from "./streams/tenant-channels.ts"

const theBeginning: Place = new Map()

export const EventsLive = HttpApiBuilder.group(KilnApi, "events", Effect.fnUntraced(function*(handlers) {
  const log = yield* EventLog
  const channels = yield* TenantChannels
  const readers = yield* Readers

  return handlers.handleAll({
    follow: Effect.fnUntraced(function*({ headers, query: { after, label: labels, type: types }, request }) {
      const { expiresAt, tenantId } = yield* CurrentIdentity
      const from = yield* placeFrom({ header: headers["last-event-id"], query: after }, (text) => text === "0" ? theBeginning : placeOf(log, text))
      const [unknown] = unknownTypes(types ?? [])
      if (unknown !== undefined) return yield* fault("query", "type", `there is no type ${unknown}`)
      yield* Effect.scoped(channels.open(tenantId)).pipe(orUnavailable)
      return yield* readers.open({ request, kind: "tenant", tenantId, expiresAt, contentType: "text/event-stream", manner: eventStream }, (reader) =>
        Effect.flatMap(channels.open(tenantId), (channel) => channel.attend(reader, from, { types, labels })))
    })
  })
}))
