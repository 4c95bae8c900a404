/** Leases as keys that vanish when nobody renews them; the key's revision is the fence. */
import { type KV, Kvm } from "@nats-io/kv"
import { randomUUID } from "node:crypto"
import { Deferred, Effect, Layer, Schedule } from "effect"
import { type Held, LeaseLost, Leases } from "../../domain/ports/lease.ts"
import { CoreNats, patiently } from "./nats.ts"
import { ensureBucket } from "./streams.ts"

/** A cluster that has lost its leader takes up to nine seconds to have another; a lease should outlive that. */
const lifetimeMs = 15_000
const marginMs = 1000
const renewEvery = "2 seconds"

export const LeasesJetStream = ({ replicas }: { readonly replicas: number }) =>
  Layer.effect(Leases, Effect.gen(function*() {
    const { js, jsm } = yield* CoreNats
    // Reads ask the leader: another server of a cluster may lag behind.
    const bucket = yield* patiently(() => new Kvm(js).create("LEASES", { ttl: lifetimeMs, replicas, allow_direct: false })).pipe(
      Effect.tap(() => ensureBucket(jsm, "KV_LEASES", { replicas, lifetimeMs })),
      Effect.mapError(({ message }) => new LeaseLost({ name: "LEASES", message })))
    return Leases.of({
      acquire: Effect.fn("Leases.acquire")(function*(name, owner) {
        const failed = (error: unknown) => new LeaseLost({ name, message: (error as Error).message })
        const holder = `${owner} ${randomUUID()}`
        const first = yield* Effect.tryPromise({ try: () => take(bucket, name, owner, holder), catch: failed }).pipe(
          Effect.tap((revision) => revision === undefined ? Effect.logDebug(`${name} waits: another instance holds the lease`) : Effect.void),
          Effect.repeat({ schedule: Schedule.spaced("500 millis"), while: (revision) => revision === undefined }),
          Effect.retry(Schedule.spaced("1 second"))
        )
        let revision = first!
        let renewedAt = performance.now()
        const lost = yield* Deferred.make<never, LeaseLost>()
        const renew = async () => {
          // Counted from before the request: the server may count from any moment after it.
          const asked = performance.now()
          revision = await bucket.update(name, holder, revision).catch((error: unknown) => ownWrite(bucket, name, holder, error))
          renewedAt = asked
        }
        const isHeld = () => performance.now() - renewedAt < lifetimeMs - marginMs
        yield* Effect.tryPromise({ try: renew, catch: (error) => ({ message: (error as Error).message, conflict: isConflict(error) }) }).pipe(
          // A server that is away for a moment is no reason to stop; a key that somebody else wrote is, and so is time run out.
          Effect.retry({ schedule: Schedule.spaced("500 millis"), while: ({ conflict }) => !conflict && isHeld() }),
          Effect.mapError(({ message }) => new LeaseLost({ name, message })),
          Effect.repeat(Schedule.spaced(renewEvery)),
          Effect.catch((error) => Deferred.fail(lost, error)),
          Effect.delay(renewEvery),
          Effect.forkScoped
        )
        yield* Effect.addFinalizer(() => Effect.promise(() => bucket.delete(name, { previousSeq: revision }).catch(() => undefined)))
        return { fence: first!, isHeld, lost: Deferred.await(lost) } satisfies Held
      })
    })
  }))

const take = async (bucket: KV, name: string, owner: string, holder: string): Promise<number | undefined> => {
  try {
    return await bucket.create(name, holder)
  } catch (error) {
    if (!isConflict(error)) throw error
  }
  const held = await bucket.get(name)
  if (held?.string() === holder) return held.revision
  return held?.string().startsWith(`${owner} `) && held.string().lastIndexOf(" ") === owner.length ? bucket.update(name, holder, held.revision) : undefined
}

/** A renewal whose answer was lost stands in the way of the next one; it is as good as answered. */
const ownWrite = async (bucket: KV, name: string, holder: string, error: unknown): Promise<number> => {
  const held = isConflict(error) ? await bucket.get(name) : null
  if (held?.string() !== holder) throw error
  return held.revision
}

const isConflict = (error: unknown) => (error as { code?: number }).code === 10071
