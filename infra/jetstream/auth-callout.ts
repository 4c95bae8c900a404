/** Answers nats-server when a worker connects: token in, a user of account WORKERS with a worker's rights out. */
import { createHash, createPrivateKey, sign } from "node:crypto"
import { decode as decodeSeed, encode as encodeKey } from "./nkey.ts"
import type { Msg, NatsConnection } from "@nats-io/transport-node"
import { Effect, Queue, Redacted, Schema } from "effect"
import { type PoolId, PoolScope, poolsOf, WorkerId } from "../../domain/ids.ts"
import { workerPermissions } from "./work-subjects.ts"

/** What a worker's token says: which pools it may serve, which name it must have if it names one, and until when. */
export interface WorkerIdentity {
  readonly pools: ReadonlyArray<PoolId>
  readonly worker: WorkerId | undefined
  /** Seconds since 1970; the server closes the connection then. */
  readonly expiresAt: number
}

export interface AuthCalloutConfig {
  readonly issuer: { readonly publicKey: string; readonly seed: Redacted.Redacted<string> }
  /** Fails with a sentence that may be logged; it must not repeat the token. */
  readonly verify: (token: string) => Effect.Effect<WorkerIdentity, { readonly message: string }>
}

interface Request {
  readonly user_nkey: string
  readonly server_id: { readonly id: string }
  readonly connect_opts: { readonly auth_token?: string; readonly name?: string }
}

/** A worker connects under `<pools>/<name>`. */
const nameOf = ({ connect_opts: { name = "" } }: Request) => {
  const [scope, worker] = name.split("/")
  return Effect.all({ scope: Schema.decodeUnknownEffect(PoolScope)(scope), worker: Schema.decodeUnknownEffect(WorkerId)(worker) })
}

const pkcs8 = Buffer.from("302e020100300506032b657004220420", "hex")
const base64url = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url")

/** Serves until its scope closes. Several may serve at once; the server asks one of them. */
export const serveAuthCallout = Effect.fn("serveAuthCallout")(function*(nc: NatsConnection, { issuer, verify }: AuthCalloutConfig) {
  const key = createPrivateKey({ key: Buffer.concat([pkcs8, decodeSeed(Redacted.value(issuer.seed))]), format: "der", type: "pkcs8" })
  const encode = (claims: { sub: string; name: string; aud?: string; exp?: number; nats: object }) => {
    const body = { ...claims, iss: issuer.publicKey, iat: Math.floor(Date.now() / 1000), jti: "" }
    body.jti = encodeKey(createHash("sha256").update(JSON.stringify(body)).digest())
    const text = `${base64url({ typ: "JWT", alg: "ed25519-nkey" })}.${base64url(body)}`
    return `${text}.${sign(null, Buffer.from(text), key).toString("base64url")}`
  }
  const respond = (message: Msg) =>
    Effect.gen(function*() {
      const request = (JSON.parse(Buffer.from(message.string().split(".")[1] ?? "", "base64url").toString()) as { nats: Request }).nats
      const answer = (nats: object) =>
        message.respond(encode({
          sub: request.user_nkey, name: request.user_nkey, aud: request.server_id.id,
          nats: { type: "authorization_response", version: 2, ...nats }
        }))
      const identity = yield* verify(request.connect_opts.auth_token ?? "").pipe(
        Effect.flatMap((identity) => Effect.map(nameOf(request), (speaker) => ({ ...identity, speaker }))),
        Effect.filterOrFail(({ speaker, worker }) => worker === undefined || worker === speaker.worker,
          ({ worker }) => ({ message: `the token is for worker ${worker}` })),
        Effect.filterOrFail(({ pools, speaker }) => poolsOf(speaker.scope).every((pool) => pools.includes(pool)),
          ({ pools, speaker }) => ({ message: `the token is for ${pools.join(", ")} and the worker asks for ${speaker.scope}` })),
        Effect.catch((error) => Effect.as(Effect.logWarning("a worker was refused", { reason: error.message }), undefined))
      )
      if (identity === undefined) return answer({ error: "denied" })
      const { pub, sub } = workerPermissions(identity.speaker)
      answer({
        jwt: encode({
          sub: request.user_nkey, name: identity.speaker.worker, aud: "WORKERS", exp: identity.expiresAt,
          nats: { type: "user", version: 2, subs: -1, data: -1, payload: -1, pub, sub }
        })
      })
    }).pipe(Effect.catchCause((cause) => Effect.logError("auth callout failed", cause)))

  const asked = yield* Queue.unbounded<Msg>()
  yield* Effect.acquireRelease(
    Effect.sync(() => nc.subscribe("$SYS.REQ.USER.AUTH", { queue: "kiln", callback: (_, message) => void Queue.offerUnsafe(asked, message) })),
    (subscription) => Effect.sync(() => subscription.unsubscribe())
  )
  yield* Queue.take(asked).pipe(Effect.flatMap((message) => Effect.forkChild(respond(message))), Effect.forever, Effect.forkScoped)
})
