/** For commands that read log and read models themselves. */
import { Effect } from "effect"
import { projections } from "../../projections/all.ts"
import { Adapters } from "./adapters.ts"
import { commandFailed } from "./command-failed.ts"
import { type Endpoint, localEndpoint } from "./endpoint.ts"

/** Log, read models and blobs of the Kiln of this machine, or of the environment. */
export const backends = Effect.fnUntraced(function*(command: string) {
  const local = yield* localEndpoint
  const nats = process.env["KILN_NATS_CORE_URL"] ?? local?.nats
  const postgres = process.env["KILN_POSTGRES_URL"] ?? local?.postgres
  if (nats === undefined || postgres === undefined) {
    return yield* commandFailed("unreachable",
      `${command} reads the log itself: run it where npm start runs, or set KILN_NATS_CORE_URL and KILN_POSTGRES_URL`)
  }
  return (yield* Adapters).backends({ nats, postgres, ...logSettings(local) })
})

/** The log of the Kiln of this machine, or of the environment; it takes no database. */
export const logHere = Effect.fnUntraced(function*(command: string) {
  const local = yield* localEndpoint
  const nats = process.env["KILN_NATS_CORE_URL"] ?? local?.nats
  if (nats === undefined) {
    return yield* commandFailed("unreachable", `${command} reads the log itself: run it where npm start runs, or set KILN_NATS_CORE_URL`)
  }
  return (yield* Adapters).log({ nats, ...logSettings(local) })
})

const logSettings = (local: Endpoint | undefined) =>
  ({ partitions: Number(process.env["KILN_PARTITIONS"] ?? 1), archive: process.env["KILN_ARCHIVE"] ?? local?.archive })

export const projectionNamed = (name: string) => {
  const projection = projections.get(name)
  return projection === undefined
    ? Effect.fail(commandFailed("invalid", `There is no projection ${name}; there is ${[...projections.keys()].join(", ")}`))
    : Effect.succeed(projection)
}
