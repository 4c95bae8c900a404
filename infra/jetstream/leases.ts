/** Leases as keys that vanish when nobody renews them; the key's revision is the fence. */
import { type KV, Kvm } from "@nats-io/kv"
import { Deferred, Effect, Layer, Schedule } from "effect"
import { type Held, LeaseLost, Leases } from "../../domain/ports/lease.ts"
import { CoreNats } from "./nats.ts"

const lifetimeMs = 10_000
const marginMs = 1000
const renewEvery = "2 seconds"

export const LeasesJetStream = ({ replicas }: { readonly replicas: number }) =>
  Layer.effect(Leases, Effect.gen(function*() {
    const { js } = yield* CoreNats
    const bucket = yield* Effect.tryPromise({
      try: () => new Kvm(js).create("LEASES", { ttl: lifetimeMs, replicas }),
      catch: (error) => new LeaseLost({ name: "LEASES", message: (error as Error).message })
    })
    return Leases.of({
      acquire: Effect.fn("Leases.acquire")(function*(name, owner) {
        const failed = (error: unknown) => new LeaseLost({ name, message: (error as Error).message })
        const first = yield* Effect.tryPromise({ try: () => take(bucket, name, owner), catch: failed }).pipe(
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
          revision = await bucket.update(name, owner, revision)
          renewedAt = asked
        }
        yield* Effect.tryPromise({ try: renew, catch: failed }).pipe(
          // A server that is away for a moment is no reason to stop; a key that somebody else wrote is, and so is time run out.
          Effect.retry({ schedule: Schedule.spaced("1 second"), times: 5 }),
          Effect.repeat(Schedule.spaced(renewEvery)),
          Effect.catch((error) => Deferred.fail(lost, error)),
          Effect.delay(renewEvery),
          Effect.forkScoped
        )
        yield* Effect.addFinalizer(() => Effect.promise(() => bucket.delete(name, { previousSeq: revision }).catch(() => undefined)))
        const isHeld = () => performance.now() - renewedAt < lifetimeMs - marginMs
        return { fence: first!, isHeld, lost: Deferred.await(lost) } satisfies Held
      })
    })
  }))

const take = async (bucket: KV, name: string, owner: string): Promise<number | undefined> => {
  try {
    return await bucket.create(name, owner)
  } catch (error) {
    if ((error as { code?: number }).code !== 10071) throw error
  }
  const held = await bucket.get(name)
  return held?.string() === owner ? bucket.update(name, owner, held.revision) : undefined
}
