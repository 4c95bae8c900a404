import { createHash } from "node:crypto"
import { Kvm } from "@nats-io/kv"
import { Effect, Layer, Schema } from "effect"
import { ComposeId, Digest } from "../../domain/ids.ts"
import { LogUnavailable } from "../../domain/ports/event-log.ts"
import { Idempotency } from "../../domain/ports/idempotency.ts"
import { CoreNats, patiently } from "./nats.ts"
import { ensureBucket } from "./streams.ts"

const Claimed = Schema.fromJsonString(Schema.Struct({ composeId: ComposeId, request: Digest }))
const decode = Schema.decodeUnknownSync(Claimed)
const encode = Schema.encodeSync(Claimed)

const day = 24 * 3_600_000

export const IdempotencyJetStream = ({ replicas }: { readonly replicas: number }) =>
  Layer.effect(Idempotency, Effect.gen(function*() {
    const { js, jsm } = yield* CoreNats
    const unavailable = (error: unknown) => new LogUnavailable({ message: `idempotency keys cannot be kept: ${(error as Error).message}` })
    const attempt = <A>(run: () => Promise<A>) => Effect.tryPromise({ try: run, catch: unavailable })
    // Whoever lost the race reads what the winner wrote, which a server that lags behind does not have yet: the leader is asked.
    const bucket = yield* patiently(() => new Kvm(js).create("IDEMPOTENCY", { ttl: day, replicas, allow_direct: false })).pipe(
      Effect.tap(() => ensureBucket(jsm, "KV_IDEMPOTENCY", { replicas })), Effect.mapError(unavailable))
    return Idempotency.of({
      claim: Effect.fn("Idempotency.claim")(function*(tenantId, key, wanted) {
        const name = `${tenantId}.${createHash("sha256").update(key).digest("hex")}`
        const won = yield* attempt(() => bucket.create(name, encode(wanted)).then(() => true, async (error: unknown) => {
          if ((error as { code?: number }).code === 10071) return false
          throw error
        }))
        if (won) return wanted
        const found = yield* attempt(() => bucket.get(name))
        return found === null ? wanted : decode(found.string())
      })
    })
  }))
