import { Config, Effect, Layer } from "effect"
import { EventLogJetStream } from "../../infra/jetstream/event-log.ts"
import { NatsFromEnvironment, natsSettings } from "../../infra/jetstream/from-environment.ts"
import { ParkedJetStream } from "../../infra/jetstream/parked.ts"
import { ProjectionStorePostgres } from "../../infra/postgres/projection-store-postgres.ts"
import { SqlLive } from "../../infra/postgres/sql.ts"
import { projections } from "../../projections/all.ts"
import { AdminServer } from "../../infra/http/admin-server.ts"
import { runProcess } from "../process.ts"
import { runProjector } from "./projector.ts"

const Ports = Layer.unwrap(Effect.gen(function*() {
  const nats = yield* natsSettings
  const url = yield* Config.Redacted("KILN_POSTGRES_URL")
  return Layer.mergeAll(
    Layer.merge(EventLogJetStream(nats), ParkedJetStream(nats)).pipe(Layer.provide(NatsFromEnvironment("projector"))),
    ProjectionStorePostgres.pipe(Layer.provide(SqlLive(url)))
  )
}))

const readiness = { ready: false }

runProcess("projector",
  runProjector([...projections.values()], Effect.sync(() => void (readiness.ready = true))).pipe(Effect.provide([Ports, AdminServer(readiness)])))
