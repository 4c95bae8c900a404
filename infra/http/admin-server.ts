/** `/healthz`, `/readyz` and `/metrics` of a process that has no other HTTP: for probes and scrapers, on its own port. */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { Config, Effect, Layer, Option } from "effect"
import { PrometheusMetrics } from "effect/observability"

export interface Readiness {
  /** Set when the process does its work, unset while it waits for its turn or for a server. */
  ready: boolean
}

/** Only where `KILN_ADMIN_PORT` says so; `KILN_ADMIN_HOST` is loopback unless set. */
export const AdminServer = (readiness: Readiness) =>
  Layer.effectDiscard(Effect.gen(function*() {
    const port = yield* Config.option(Config.Int("KILN_ADMIN_PORT"))
    const host = yield* Config.String("KILN_ADMIN_HOST").pipe(Config.withDefault("127.0.0.1"))
    if (Option.isNone(port)) return
    const context = yield* Effect.context<never>()
    const answers: Record<string, () => readonly [status: number, text: string]> = {
      "/healthz": () => [200, "ok\n"],
      "/readyz": () => readiness.ready ? [200, "ready\n"] : [503, "not ready\n"],
      "/metrics": () => [200, PrometheusMetrics.formatUnsafe(context)]
    }
    const server = yield* Effect.acquireRelease(
      Effect.callback<ReturnType<typeof createServer>, AdminFailed>((resume) => {
        const listening = createServer((request, response) => {
          const [status, text] = (request.method === "GET" ? answers[request.url ?? ""]?.() : undefined) ?? [404, "not found\n"]
          response.writeHead(status, { "content-type": "text/plain; charset=utf-8" }).end(text)
        })
        listening.once("error", (error) => resume(Effect.fail(new AdminFailed(`KILN_ADMIN_PORT ${port.value}: ${error.message}`))))
        listening.listen(port.value, host, () => resume(Effect.succeed(listening)))
      }),
      (listening) => Effect.sync(() => listening.close())
    )
    yield* Effect.logInfo("admin port", { port: (server.address() as AddressInfo).port })
  }))

class AdminFailed extends Error {
  override readonly name = "AdminFailed"
  readonly _tag = "AdminFailed"
}
