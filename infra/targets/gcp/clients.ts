/** Google's clients for one delivery, with the credentials that were given and no others. */
import { Effect, type Scope } from "effect"
import { credentialFaults } from "../../../domain/credential-faults.ts"
import type { Credentials } from "../../../domain/credentials.ts"
import { BuildFailed } from "../../../domain/ports/image-builder.ts"
import { AttemptMeter } from "../../../domain/ports/meter.ts"
import type { TargetOf } from "../../../domain/target.ts"
import { agentOf, agentsFor, destroy } from "../agents.ts"
import { saidBy } from "../failures.ts"
import { CallFailed, callFailed, persistently } from "../call-failed.ts"

export interface Tuning {
  /** Before a call that failed in passing is repeated; more each time. */
  readonly pauseMs: number
  /** Between two looks at what is on its way. */
  readonly pollMs: number
  /** A multiple of 256 KiB. */
  readonly chunkSize: number
}
export const usual: Tuning = { pauseMs: 1000, pollMs: 5000, chunkSize: 16 * 2 ** 20 }

export const clients = Effect.fn("gcp.clients")(function*(target: TargetOf<"gcp">, credentials: Credentials | undefined, { pauseMs }: Tuning) {
  const { endpoints, key, project, publicOnly } = yield* keyOf(target, credentials)
  const meter = yield* AttemptMeter
  const agents = yield* Effect.acquireRelease(Effect.sync(() => agentsFor({ publicOnly, meter })), (opened) => Effect.sync(() => destroy(opened)))
  const agent = (url: URL) => agentOf(agents, url)
  const { Storage } = yield* Effect.promise(() => import("@google-cloud/storage"))
  const [{ ImagesClient }, { GlobalOperationsClient }] = yield* Effect.promise(() => Promise.all([
    // All of Google's compute library takes a second and 200 MiB.
    import("@google-cloud/compute/build/src/v1/images_client.js"),
    import("@google-cloud/compute/build/src/v1/global_operations_client.js")
  ]))
  const storage = new Storage({
    projectId: project, ...(key !== undefined && { credentials: key }), retryOptions: { autoRetry: false },
    clientOptions: {
      transporterOptions: {
        // The compute library brings connections of its own to each request; those that show a certificate are an operator's.
        adapter: (asked, send) => send(publicOnly || asked.cert === undefined ? { ...asked, agent } : asked).catch((error: unknown) => {
          if (agents.refused() === undefined) throw error
          // What is not answered is asked for minutes.
          return send({ ...asked, fetchImplementation: () => Promise.resolve(new Response("{}", { status: 400 })) })
        })
      }
    },
    ...(endpoints?.storage !== undefined && { apiEndpoint: endpoints.storage, useAuthWithCustomEndpoint: true })
  })
  // One exchange of tokens for all.
  const options = { fallback: true, projectId: project, auth: storage.authClient, ...(endpoints?.compute !== undefined && addressOf(endpoints.compute)) }
  const call = <A>(what: string, run: (signal: AbortSignal) => Promise<A>) =>
    persistently(Effect.tryPromise({ try: run, catch: (error) => googleSaid(what, agents.refused() ?? error) }), pauseMs)
  return {
    project, call, pauseMs, agent,
    bucket: storage.bucket(target.bucket),
    /** Of Cloud Storage, `path` below the bucket; the library's own calls take nobody's connections but their own. */
    ask: <A>(what: string, path: string, query: Query = [], method: "GET" | "DELETE" = "GET") => {
      const url = `${storage.baseUrl}/b/${encodeURIComponent(target.bucket)}/${path}?${new URLSearchParams(query)}`
      return Effect.map(call(what, (signal) => storage.authClient.request<A>({ url, method, signal, retry: false })), ({ data }) => data)
    },
    images: yield* opened(() => new ImagesClient(options)),
    operations: yield* opened(() => new GlobalOperationsClient(options)),
    /** Loaded and opened when it is asked for, and closed with the scope. */
    projects: Effect.flatMap(
      Effect.promise(() => import("@google-cloud/compute/build/src/v1/projects_client.js")),
      ({ ProjectsClient }) => opened(() => new ProjectsClient(options))
    )
  }
})
export type Clients = Effect.Success<ReturnType<typeof clients>>

type Query = Array<[name: string, value: string]>

const keyOf = (target: TargetOf<"gcp">, credentials: Credentials | undefined) => {
  const refused = (message: string) => Effect.fail(new BuildFailed({ class: "user", message }))
  if (credentials?.provider !== "gcp") return refused("a gcp target needs credentials of provider gcp")
  // Looked at when they were stored, by whoever stored them; what starts programs or leads away from Google is used by nobody.
  const [fault] = credentialFaults(credentials, { operators: true, privateEndpoints: true })
  if (fault !== undefined) return refused(`the credentials cannot be used: ${fault.path} ${fault.message}`)
  // Without one the worker's own identity is meant, which only a worker's own set may say.
  const key = credentials.key === undefined ? undefined : JSON.parse(credentials.key) as { readonly project_id?: string }
  const project = target.project ?? credentials.project ?? key?.project_id
  return project === undefined
    ? refused("neither the target nor its credentials name a project")
    : Effect.succeed({ key, project, endpoints: credentials.endpoints, publicOnly: credentials.publicOnly ?? false })
}

const addressOf = (endpoint: string) => {
  const { hostname, port, protocol } = new URL(endpoint)
  return { apiEndpoint: hostname, protocol: protocol.slice(0, -1), port: port === "" ? protocol === "http:" ? 80 : 443 : Number(port) }
}

interface Client {
  initialize(): Promise<unknown>
  close(): Promise<void>
}

/** A client whose credentials cannot be read stays useless, and would end the process by a rejection that nobody hears. */
const opened = <C extends Client>(make: () => C): Effect.Effect<C, CallFailed, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.tryPromise({
      try: async () => {
        const client = make()
        await client.initialize()
        return client
      },
      catch: (error) => googleSaid("credentials", error)
    }),
    (client) => Effect.promise(() => client.close().catch(() => {}))
  )

/** The compute library says codes of gRPC for what HTTP answered. */
const statuses: Readonly<Record<number, number>> = {
  3: 400, 4: 504, 5: 404, 6: 409, 7: 403, 8: 429, 9: 412, 10: 409, 12: 501, 13: 500, 14: 503, 16: 401
}

interface GoogleError {
  readonly code?: number | string
  readonly errors?: ReadonlyArray<{ readonly reason?: string; readonly message?: string }>
  readonly response?: { readonly status?: number; readonly data?: { readonly error?: unknown } }
}

export const googleSaid = (what: string, error: unknown): CallFailed => {
  const said = saidBy(error)
  const { code, errors: [first] = [], response } = (error ?? {}) as GoogleError
  const status = said.status ?? response?.status ?? (typeof code === "number" ? statuses[code] : undefined)
  const refusal = response?.data?.error
  const word = first ?? (refusal as { readonly errors?: GoogleError["errors"] } | undefined)?.errors?.[0]
  // A token is refused with 400; the compute library has no reason for what it says of a quota but its words.
  const quota = /quota '?\w+'? exceeded|rate ?limit exceeded/iu.test(said.message) ? "quotaExceeded" : undefined
  return callFailed(what, {
    status, code: word?.reason ?? quota ?? (typeof refusal === "string" ? refusal : said.code), message: word?.message ?? said.message
  }, said.retryAfterMs)
}
