/**
 * The service as the commands see it. Answers are believed as the contract types them: a newer service may say more,
 * and a request goes out as it was written, so that the service says what is wrong with it.
 */
import { Context, Effect, Schema, type Scope } from "effect"
import { prefix } from "./api-prefix.ts"
import { commandFailed, type CommandFailed, exitCodes } from "./command-failed.ts"

/** A list is said once for each of its values. */
export type Query = Readonly<Record<string, string | number | ReadonlyArray<string> | undefined>>

export interface Call {
  readonly method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE"
  readonly query?: Query
  readonly headers?: Readonly<Record<string, string>>
  /** JSON text, or bytes of the type that the headers say. */
  readonly body?: string | Uint8Array
}

export class Kiln extends Context.Service<Kiln, {
  readonly url: string
  /** The answer's JSON. */
  json<A>(path: string, call?: Call): Effect.Effect<A, CommandFailed>
  /** The answer with its body still to come; the connection goes with the scope. */
  open(path: string, call?: Call): Effect.Effect<Response, CommandFailed, Scope.Scope>
  /** Without a token, for links that carry their own right. */
  openLink(url: string, headers: Readonly<Record<string, string>>): Effect.Effect<Response, CommandFailed, Scope.Scope>
}>()("operator/Kiln") {}

export const kilnAt = ({ token, url }: { readonly url: string; readonly token: string }): Kiln["Service"] => {
  const open = (path: string, { body, headers, method = "GET", query = {} }: Call = {}) => {
    const target = new URL(`${url.replace(/\/+$/, "")}${prefix}${path}`)
    for (const [key, value] of Object.entries(query)) {
      for (const each of Array.isArray(value) ? value : [value]) if (each !== undefined) target.searchParams.append(key, String(each))
    }
    const asJson: Record<string, string> = body === undefined ? {} : { "content-type": "application/json" }
    return request(target, { method, headers: { authorization: `Bearer ${token}`, ...asJson, ...headers }, ...(body === undefined ? {} : { body: body as NonNullable<RequestInit["body"]> }) })
  }
  return {
    url,
    open,
    json: <A>(path: string, call?: Call) =>
      open(path, call).pipe(
        Effect.flatMap((response) => Effect.tryPromise({ try: () => response.json() as Promise<A>, catch: unreachable(new URL(url)) })),
        Effect.scoped
      ),
    openLink: (link, headers) => request(new URL(link, url), { headers })
  }
}

const request = Effect.fnUntraced(function*(target: URL, init: RequestInit) {
  const controller = yield* Effect.acquireRelease(
    Effect.sync(() => new AbortController()),
    (aborting) => Effect.sync(() => aborting.abort())
  )
  const response = yield* Effect.tryPromise({
    try: () => fetch(target, { ...init, signal: controller.signal }),
    catch: unreachable(target)
  })
  return response.ok ? response : yield* Effect.flatMap(problemOf(response), (problem) => refusal(response.status, problem, target))
})

const unreachable = (target: URL) => (error: unknown) => {
  const { cause, message } = error as Error & { cause?: { code?: string; message?: string } }
  return commandFailed("unreachable", `Kiln at ${target.origin} cannot be reached (${cause?.code ?? cause?.message ?? message})`)
}

const Problem = Schema.fromJsonString(Schema.Struct({
  title: Schema.optionalKey(Schema.String),
  detail: Schema.optionalKey(Schema.String),
  errors: Schema.optionalKey(Schema.Array(Schema.Struct({
    in: Schema.optionalKey(Schema.String),
    path: Schema.String,
    message: Schema.String
  })))
}))

/** Something between us and Kiln may answer too, in any form. */
const problemOf = (response: Response) =>
  Effect.tryPromise(() => response.text()).pipe(
    Effect.flatMap((text) =>
      Effect.map(Schema.decodeEffect(Problem)(text), (problem) => ({ ...problem, document: JSON.parse(text) as unknown }))
    ),
    Effect.orElseSucceed((): typeof Problem.Type & { document?: unknown } => ({}))
  )

const kindOf = (status: number): keyof typeof exitCodes => {
  if (status === 401 || status === 403) return "notAllowed"
  if (status === 404) return "notFound"
  return status === 429 || status >= 500 ? "unreachable" : "invalid"
}

const refusal = (status: number, problem: typeof Problem.Type & { document?: unknown }, target: URL) => {
  const faults = (problem.errors ?? []).map(({ in: part, message, path }) => `  ${path === "" ? (part ?? "body") : path}: ${message}`)
  const known = faults.length > 0 ? problem.title : (problem.detail ?? problem.title)
  const said = `${known ?? `${target.origin} answered ${status}`}${faults.length > 0 ? ":" : ""}`
  return Effect.fail(commandFailed(kindOf(status), [said, ...faults].join("\n"), problem.document))
}
