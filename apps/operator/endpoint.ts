/** Where Kiln is and who we are there. */
import { Effect, Option, Schema } from "effect"
import { readFile } from "node:fs/promises"
import { join, resolve } from "node:path"
import { commandFailed } from "./command-failed.ts"

/** What `npm start` leaves in its home while it serves. */
export const Endpoint = Schema.Struct({
  url: Schema.String,
  token: Schema.String,
  nats: Schema.optionalKey(Schema.String),
  postgres: Schema.optionalKey(Schema.String),
  archive: Schema.optionalKey(Schema.String)
})
export type Endpoint = typeof Endpoint.Type
const EndpointText = Schema.fromJsonString(Endpoint)

const project = resolve(import.meta.dirname, "../..")

export const homeFolder = (env: NodeJS.ProcessEnv = process.env) => resolve(project, env["KILN_HOME"] || ".kiln")

/** npm changes to the project's folder; what people type is meant from where they stand. */
export const fromHere = (path: string) =>
  resolve(process.env["npm_lifecycle_event"] === "kiln" ? (process.env["INIT_CWD"] ?? ".") : ".", path)

/** `undefined` when no Kiln has written one. */
export const localEndpoint: Effect.Effect<Endpoint | undefined> = Effect.suspend(() =>
  Effect.tryPromise(() => readFile(join(homeFolder(), "endpoint.json"), "utf8"))
).pipe(
  Effect.flatMap(Schema.decodeEffect(EndpointText)),
  Effect.option,
  Effect.map(Option.getOrUndefined)
)

export interface Whereabouts {
  readonly url: Option.Option<string>
  readonly token: Option.Option<string>
}

/** What is given counts before the environment, that before the file; the file's token goes to the file's service only. */
export const findEndpoint = Effect.fn("findEndpoint")(function*(given: Whereabouts) {
  const url = Option.getOrUndefined(given.url) ?? process.env["KILN_URL"]
  const token = Option.getOrUndefined(given.token) ?? process.env["KILN_TOKEN"]
  if (url !== undefined && !URL.canParse(url)) return yield* commandFailed("invalid", `${url} is no URL`)
  if (url !== undefined && token !== undefined) return { url, token }
  const local = yield* localEndpoint
  if (local === undefined && url === undefined) {
    return yield* commandFailed("unreachable", "Kiln is not running here: run npm start, or give --url and --token")
  }
  if (local === undefined || (url !== undefined && new URL(url).origin !== new URL(local.url).origin)) {
    return yield* commandFailed("notAllowed", `There is no token for ${url}: give --token or set KILN_TOKEN`)
  }
  return { url: url ?? local.url, token: token ?? local.token }
})
