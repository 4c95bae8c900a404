/** Everybody who has a stream open here: kept awake, and told when it is time to go. */
import type { ServerResponse } from "node:http"
import { toServerResponse } from "@effect/platform-node/NodeHttpServerRequest"
import { Context, Effect, Exit, type Fiber, Layer, Metric, Schedule, Scope } from "effect"
import { type HttpServerRequest, HttpServerResponse } from "effect/http"
import type { TenantId } from "../../../domain/ids.ts"
import { TooManyStreams } from "../api/problems.ts"
import { GatewayConfig } from "../config.ts"
import { type Leaving, type Manner, Reader } from "./reader.ts"
import { takeOver } from "./take-over.ts"

export interface Asked {
  readonly request: HttpServerRequest.HttpServerRequest
  readonly kind: "compose" | "tenant" | "logs"
  readonly tenantId: TenantId
  /** When its token ends. */
  readonly expiresAt: number
  readonly contentType: string
  readonly manner: Manner
}

export class Readers extends Context.Service<Readers, {
  /** The head goes out as that of any answer. `attend` sees to what follows; its scope closes when the reader has gone. */
  open<E extends { readonly message: string }>(
    asked: Asked, attend: (reader: Reader) => Effect.Effect<void, E, Scope.Scope>
  ): Effect.Effect<HttpServerResponse.HttpServerResponse, TooManyStreams>
  /** Tells everybody to come back, to another gateway if there is one. */
  readonly dismiss: Effect.Effect<void>
}>()("gateway/Readers") {}

export const ReadersLive = Layer.effect(Readers, Effect.gen(function*() {
  const { keepAlive, readerPatience = 30_000, streamsPerTenant = Infinity } = yield* GatewayConfig
  const readers = new Map<Reader, Asked["kind"]>()
  const held = new Map<TenantId, number>()
  let stopping = false

  /** A place among those of its tenant; what it answers with gives it back, once. */
  const hold = (tenantId: TenantId) => {
    held.set(tenantId, (held.get(tenantId) ?? 0) + 1)
    let isHeld = true
    return () => {
      if (!isHeld) return
      isHeld = false
      const left = held.get(tenantId)! - 1
      if (left > 0) held.set(tenantId, left)
      else held.delete(tenantId)
    }
  }

  yield* Effect.sync(() => {
    const now = Date.now()
    for (const reader of readers.keys()) reader.look(now, keepAlive, readerPatience)
  }).pipe(Effect.repeat(Schedule.spaced(Math.min(1000, keepAlive / 4))), Effect.forkScoped)

  const services = yield* Effect.context<never>()
  const run = Effect.runForkWith(services)

  const count = (kind: Asked["kind"]) => {
    let open = 0
    for (const each of readers.values()) if (each === kind) open += 1
    openStreams(kind).updateUnsafe(open, services)
  }

  const begin = <E extends { readonly message: string }>(
    response: ServerResponse, { expiresAt, kind, manner }: Asked, release: () => void, attend: (reader: Reader) => Effect.Effect<void, E, Scope.Scope>
  ) => {
    const reader = new Reader(response, expiresAt, manner)
    readers.set(reader, kind)
    count(kind)
    const scope = Scope.makeUnsafe()
    let attending: Fiber.Fiber<void> | undefined
    reader.whenGone(() => {
      readers.delete(reader)
      release()
      count(kind)
      endedStreams(reader.why!).updateUnsafe(1, services)
      attending?.interruptUnsafe()
      run(Scope.close(scope, Exit.void))
    })
    // Also sends the head, which would wait for the first event otherwise.
    reader.wake()
    if (stopping) return reader.leave("stopping")
    attending = run(Scope.provide(scope)(attend(reader)).pipe(Effect.catch((error) =>
      Effect.andThen(Effect.logWarning("a stream ended early", error.message), Effect.sync(() => reader.leave("unavailable"))))))
    attending.addObserver(() => {
      attending = undefined
    })
  }

  return Readers.of({
    open: (asked, attend) => Effect.suspend(() => {
      const used = held.get(asked.tenantId) ?? 0
      if (used >= streamsPerTenant) {
        return new TooManyStreams({
          detail: `${used} streams of this tenant are open here; one of them has to end first`,
          rule: "event_streams", limit: streamsPerTenant, used
        })
      }
      const headers = { "content-type": asked.contentType, "cache-control": "no-cache", "x-accel-buffering": "no" }
      const response = toServerResponse(asked.request) as ServerResponse
      if (asked.request.method !== "HEAD") {
        const release = hold(asked.tenantId)
        // Who has gone before it begins gets no head to begin after.
        response.once("close", release)
        takeOver(response, () => begin(response, asked, release, attend))
      }
      return Effect.succeed(HttpServerResponse.empty({ status: 200, headers }))
    }),
    dismiss: Effect.sync(() => {
      stopping = true
      for (const reader of readers.keys()) reader.leave("stopping")
    })
  })
}))

const openStreams = (kind: Asked["kind"]): Metric.Gauge<number> =>
  Metric.gauge("kiln_event_streams", { description: "Streams that are open", attributes: { kind } })

const endedStreams = (reason: Leaving): Metric.Counter<number> =>
  Metric.counter("kiln_event_streams_ended_total", { description: "Streams that have ended", incremental: true, attributes: { reason } })
