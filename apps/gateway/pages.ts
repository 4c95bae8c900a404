/** What is served beside the API: for people, for whoever watches the process, for whoever checks our tokens. */
import { Clock, Effect, Layer, Scope } from "effect"
import { HttpRouter, HttpServerRespondable, HttpServerResponse } from "effect/http"
import { HttpApiSwagger } from "effect/http-api"
import { PrometheusMetrics } from "effect/observability"
import { TenantId } from "../../domain/ids.ts"
import { EventLog } from "../../domain/ports/event-log.ts"
import { LocalIssuer } from "../../domain/ports/tokens.ts"
import { ComposeQueries } from "../../projections/compose-queries.ts"
import { KilnApi, prefix } from "./api/kiln-api.ts"
import { Unavailable } from "./api/problems.ts"

const front = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Kiln</title><meta name="viewport" content="width=device-width"></head>
<body><h1>Kiln</h1><p>Operating-system images, built on request.</p>
<ul><li><a href="/docs">The API, to read and try</a></li><li><a href="${prefix}/openapi.json">OpenAPI document</a></li>
<li><a href="/readyz">Ready?</a></li><li><a href="/metrics">Metrics</a></li></ul></body></html>
`

/** A tenant that has nothing: its page of composes costs one look into an index. */
const nobody = TenantId.make("readyz")
const patience = "2 seconds"

const ready = Effect.gen(function*() {
  const log = yield* EventLog
  const queries = yield* ComposeQueries
  const at = yield* Clock.currentTimeMillis
  yield* Effect.all([
    Effect.timeout(Effect.forEach(log.streams, (stream) => log.head(stream), { discard: true }), patience),
    Effect.timeout(queries.list(nobody, {}, { limit: 1 }), patience)
  ], { concurrency: "unbounded" })
  return HttpServerResponse.jsonUnsafe({ status: "ready", ms: (yield* Clock.currentTimeMillis) - at })
}).pipe(
  Effect.catch((error) => HttpServerRespondable.toResponse(new Unavailable({
    detail: error._tag === "TimeoutError" ? "the log or the database does not answer" : error.message
  })))
)

const ReadyLive = HttpRouter.use(Effect.fnUntraced(function*(router) {
  const ports = yield* Effect.context<EventLog | ComposeQueries>()
  yield* router.add("GET", "/readyz", Effect.provideContext(ready, ports))
}))

/** Only where tokens are made here. */
const KeysLive = HttpRouter.use(Effect.fnUntraced(function*(router) {
  const issuer = yield* Effect.serviceOption(LocalIssuer)
  if (issuer._tag === "None") return
  yield* router.add("GET", "/.well-known/jwks.json", HttpServerResponse.jsonUnsafe(issuer.value.jwks, {
    headers: { "cache-control": "public, max-age=300" }
  }))
}))

/** Two megabytes of script, which inline all that the page needs, loaded when somebody first looks. */
const DocsLive = HttpRouter.use(Effect.fnUntraced(function*(router) {
  const page = yield* HttpRouter.toHttpEffect(HttpApiSwagger.layer(KilnApi, { path: "/docs" })).pipe(
    Scope.provide(yield* Effect.scope),
    Effect.cached
  )
  yield* router.add("GET", "/docs", Effect.orDie(Effect.flatten(page)))
}))

export const PagesLive = Layer.mergeAll(
  HttpRouter.add("GET", "/", HttpServerResponse.html(front)),
  HttpRouter.add("GET", "/healthz", HttpServerResponse.jsonUnsafe({ status: "ok" })),
  ReadyLive,
  KeysLive,
  PrometheusMetrics.layerHttp({ path: "/metrics" }),
  DocsLive
)
