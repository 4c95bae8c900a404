/** The handlers of everything about composes: each a translation and one call. */
import { Clock, Effect, Stream } from "effect"
import { type HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApiBuilder, HttpApiSchema } from "effect/http-api"
import { v7 } from "uuid"
import { CancelCompose, RetryCompose } from "../../domain/compose-commands.ts"
import { type ComposeId, Millis, type TenantId } from "../../domain/ids.ts"
import { Blobs } from "../../domain/ports/blobs.ts"
import type { CredentialSets } from "../../domain/ports/credential-sets.ts"
import { ImageTargets } from "../../domain/ports/image-targets.ts"
import { EventLog, type LogUnavailable } from "../../domain/ports/event-log.ts"
import { Idempotency } from "../../domain/ports/idempotency.ts"
import { JobFeed } from "../../domain/ports/job-feed.ts"
import { Scheduling } from "../../domain/ports/scheduling.ts"
import { Sealer } from "../../domain/ports/sealer.ts"
import type { StoredFiles } from "../../domain/ports/stored-files.ts"
import { Signer } from "../../domain/ports/signer.ts"
import { ComposeQueries } from "../../projections/compose-queries.ts"
import { execute } from "../execute.ts"
import { answering, traceOf } from "./accepted.ts"
import { CurrentIdentity } from "./api/authorization.ts"
import { KilnApi } from "./api/kiln-api.ts"
import { ComposeEnded, NotFound } from "./api/problems.ts"
import { baseUrl } from "./base-url.ts"
import { Catalog } from "./catalog.ts"
import { composeBody } from "./compose-body.ts"
import { artifactSummary, delivered, detailsOf, time } from "./compose-details.ts"
import { GatewayConfig } from "./config.ts"
import { linkToCopy } from "./copy-links.ts"
import { downloadLink } from "./download-links.ts"
import { storedFilesNamed } from "./files.ts"
import { findCompose, orUnavailable } from "./find-compose.ts"
import { beginning } from "./follower.ts"
import { listComposes, nextLink } from "./list-composes.ts"
import { composeLogs } from "./logs.ts"
import { offered, testedImages } from "./offered.ts"
import { recordRequest, requestCompose } from "./request-compose.ts"
import { Reservations } from "./reserve-quota.ts"
import { cursorOf, eventStream, plainText } from "./sse.ts"
import type { ComposeChannel } from "./streams/compose-channel.ts"
import { ComposeChannels } from "./streams/compose-channels.ts"
import { eventsFrom, linesOf } from "./streams/frame.ts"
import { placeFrom } from "./streams/place-from.ts"
import { Readers } from "./streams/readers.ts"
import { runningUploads } from "./target-views.ts"
import { verification } from "./verify.ts"
import { checkTargetCredentials } from "./target-credentials.ts"
import { outlooks } from "./waiting.ts"

type Ports = Reservations | StoredFiles | EventLog | Idempotency | JobFeed | Blobs | Sealer | Signer | Scheduling | ComposeQueries | CredentialSets | ImageTargets

export const ComposesLive = HttpApiBuilder.group(KilnApi, "composes", Effect.fnUntraced(function*(handlers) {
  const ports = yield* Effect.context<Ports>()
  const catalog = yield* Catalog
  const config = yield* GatewayConfig
  const signer = yield* Signer
  const targets = yield* ImageTargets
  const readers = yield* Readers
  const channels = yield* ComposeChannels

  /** It was there a moment ago. */
  const following = (tenantId: TenantId, id: ComposeId, attend: (channel: ComposeChannel) => Effect.Effect<void, LogUnavailable | NotFound>) =>
    channels.open(tenantId, id).pipe(Effect.flatMap(attend), Effect.catchTag("NotFound", () => Effect.void))

  return handlers
    .handleRaw("request", Effect.fnUntraced(function*({ request: http, headers }) {
      const identity = yield* CurrentIdentity
      const request = yield* composeBody(http)
      const distribution = yield* Effect.fromResult(offered(catalog.distributions, request, config.privateRepositories, (type) => targets.get(type) !== undefined))
      yield* storedFilesNamed(identity.tenantId, request)
      yield* checkTargetCredentials(identity.tenantId, request.images).pipe(Effect.catchTags({ LogUnavailable: unavailable, SchedulerSilent: unavailable }))
      return yield* answering(requestCompose({
        identity, request, distribution, tests: testedImages(distribution, request), idempotencyKey: headers["idempotency-key"], trace: traceOf(http)
      }))
    }, Effect.provideContext(ports)))
    .handleRaw("verify", Effect.fnUntraced(function*({ headers, params: { id, image }, request: http }) {
      const identity = yield* CurrentIdentity
      const again = yield* Effect.provideService(verification(identity.tenantId, id, image), Catalog, catalog)
      return yield* answering(recordRequest({ ...again, identity, idempotencyKey: headers["idempotency-key"], trace: traceOf(http) }))
    }, Effect.provideContext(ports)))
    .handleAll({
      list: Effect.fnUntraced(function*({ query, request }) {
        const { tenantId } = yield* CurrentIdentity
        const body = yield* listComposes(tenantId, query)
        const headers = body.next === undefined ? {} : { link: nextLink(request.url, body.next) }
        return HttpApiSchema.withHeaders({ body, headers })
      }, Effect.provideContext(ports)),

      show: Effect.fnUntraced(function*({ params: { id }, query: { as_of } }) {
        const { tenantId } = yield* CurrentIdentity
        const state = yield* findCompose(tenantId, id, as_of)
        if (as_of !== undefined) return detailsOf(state, Date.parse(as_of))
        const waiting = yield* outlooks(tenantId, id, state)
        const progress = yield* runningUploads(tenantId, id, state)
        return detailsOf(state, yield* Clock.currentTimeMillis, waiting, progress)
      }, Effect.provideContext(ports)),

      events: Effect.fnUntraced(function*({ params: { id }, headers, query: { after }, request }) {
        const { expiresAt, tenantId } = yield* CurrentIdentity
        const from = (yield* placeFrom({ header: headers["last-event-id"], query: after }, (text) => text === "0" ? beginning : cursorOf(text))) ?? beginning
        yield* Effect.scoped(channels.open(tenantId, id)).pipe(Effect.catchTag("LogUnavailable", unavailable))
        return yield* readers.open({ request, kind: "compose", tenantId, expiresAt, contentType: "text/event-stream", manner: eventStream },
          (reader) => following(tenantId, id, (channel) => channel.attend(reader, from, eventsFrom, true)))
      }, Effect.provideContext(ports)),

      logs: Effect.fnUntraced(function*({ params: { id }, query: { job, follow }, request }) {
        const { expiresAt, tenantId } = yield* CurrentIdentity
        const state = yield* findCompose(tenantId, id)
        if (job !== undefined && !state.compose.jobs.has(job)) {
          return yield* new NotFound({ detail: `the compose has no job ${job}` })
        }
        const contentType = "text/plain; charset=utf-8"
        if (follow !== "true" || state.row.endedAt !== null) {
          return streamed(Stream.provideContext(composeLogs(tenantId, state, job), ports), contentType)
        }
        return yield* readers.open({ request, kind: "logs", tenantId, expiresAt, contentType, manner: plainText },
          (reader) => following(tenantId, id, (channel) => channel.attend(reader, beginning, linesOf(job), false)))
      }, Effect.provideContext(ports)),

      artifacts: Effect.fnUntraced(function*({ params: { id }, request }) {
        const { tenantId } = yield* CurrentIdentity
        const { compose } = yield* findCompose(tenantId, id)
        const expiresAt = (yield* Clock.currentTimeMillis) + config.linkTtl
        const base = baseUrl(config, request)
        const found = yield* Effect.forEach(delivered(compose), Effect.fnUntraced(function*({ artifact, copy, image, place, target }) {
          const url = copy === undefined
            ? downloadLink(signer, base, { tenantId, ...artifact }, expiresAt)
            : yield* linkToCopy(tenantId, place, copy, config.linkTtl / 1000)
          return url === undefined ? [] : [{ image, target, ...artifactSummary(artifact), url, expires_at: time(expiresAt) }]
        }), { concurrency: 8 })
        return found.flat()
      }, Effect.provideContext(ports)),

      cancel: ({ params: { id }, request }) =>
        Effect.provideContext(change(request, `cancel-${id}`, CancelCompose.make({ composeId: id })), ports),

      retry: ({ params: { id }, query: { job }, request }) => {
        const command = RetryCompose.make({ composeId: id, ...(job !== undefined && { jobId: job }) })
        return Effect.provideContext(change(request, `retry-${v7()}`, command), ports)
      }
    })
}))

/** Carries out a command on a compose of the caller's tenant and answers with the compose as it is then. */
const change = Effect.fnUntraced(function*(
  request: HttpServerRequest.HttpServerRequest,
  messageId: string,
  command: typeof CancelCompose.Type | typeof RetryCompose.Type
) {
  const { tenantId, role, subject } = yield* CurrentIdentity
  const id = command.composeId
  const now = yield* Clock.currentTimeMillis
  const intent = { tenantId, messageId, at: Millis.make(now), actor: { kind: role, id: subject }, trace: traceOf(request) }
  yield* execute(intent, command).pipe(Effect.catchTags({
    LogUnavailable: unavailable,
    ComposeRejected: ({ reason }) =>
      Effect.flatMap(findCompose(tenantId, id), ({ row }): Effect.Effect<never, NotFound | ComposeEnded> =>
        Effect.fail(reason === "NotFound"
          ? new NotFound({ detail: `there is no such job in compose ${id}` })
          : new ComposeEnded({
            detail: reason === "NotFailed" ? "nothing of that has failed" : `the compose has ${row.status}`, compose_status: row.status
          })))
  }))
  return detailsOf(yield* findCompose(tenantId, id), now)
})

const unavailable = (error: { readonly message: string }) => orUnavailable(Effect.fail(error))

/** Headers are long gone when a stream breaks off: the client sees its end without the last event, and comes back. */
const streamed = <E extends { readonly message: string }>(body: Stream.Stream<Uint8Array, E>, contentType: string) =>
  HttpServerResponse.stream(
    Stream.catch(body, ({ message }) => Stream.fromEffectDrain(Effect.logWarning("a stream ended early", message))),
    { contentType, headers: { "cache-control": "no-cache", "x-accel-buffering": "no" } }
  )
