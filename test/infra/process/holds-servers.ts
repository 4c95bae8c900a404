/** Starts both servers in the folder named and waits to be killed. */
import { Effect } from "effect"
import { join } from "node:path"
import { natsServerBinary } from "../../../infra/nats-server/binary.ts"
import { startNatsServer } from "../../../infra/nats-server/nats-server.ts"
import { startPostgresServer } from "../../../infra/postgres-server/postgres-server.ts"

const dir = process.argv[2]!

const program = Effect.gen(function*() {
  const nats = yield* startNatsServer({ binary: natsServerBinary(), dir: join(dir, "nats") })
  const postgres = yield* startPostgresServer({ dir: join(dir, "postgres") })
  console.log(JSON.stringify([nats.pid, postgres.pid]))
  return yield* Effect.never
})

await Effect.runPromise(Effect.scoped(program))
