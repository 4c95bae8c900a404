/** The projector as it runs by itself; told to stop, it sends when each decision was committed, and how many entries each batch had. */
import { once } from "node:events"
import { Effect, Redacted } from "effect"
import { runProjector } from "../../apps/projector/projector.ts"
import { projections } from "../../projections/all.ts"
import { ProjectionStore } from "../../projections/projection-store.ts"
import { ports } from "./log-and-rows.ts"

export interface Committed {
  readonly batches: ReadonlyArray<number>
  /** `decidedAt` as the decision has it; milliseconds since 1970. */
  readonly commits: ReadonlyArray<readonly [sequence: number, at: number, decidedAt: number]>
}

const [nats, postgres] = process.argv.slice(2)
const { host, password, username } = new URL(nats!)

const run = Effect.scoped(Effect.gen(function*() {
  const store = yield* ProjectionStore
  const commits: Array<readonly [sequence: number, at: number, decidedAt: number]> = []
  const batches: Array<number> = []
  const watched = ProjectionStore.of({
    ...store,
    applyTogether: (shares, batch) => Effect.tap(store.applyTogether(shares, batch), ({ left }) => Effect.sync(() => {
      batches.push(batch.entries.length)
      // What is left out is committed later than can be told here: it must not look like a small lag.
      if (left.length > 0) return
      const at = Date.now()
      for (const entry of batch.entries) if (entry._tag === "Recorded") commits.push([entry.position.sequence, at, entry.at])
    }))
  })
  yield* runProjector([...projections.values()]).pipe(Effect.provideService(ProjectionStore, watched), Effect.forkScoped)
  yield* Effect.promise(() => once(process, "message"))
  return { batches, commits } satisfies Committed
}))

const login = { user: username, password: Redacted.make(decodeURIComponent(password)) }
const committed = await Effect.runPromise(Effect.provide(run, ports(`nats://${host}`, login, Redacted.make(postgres!))))
process.send!(committed, () => process.disconnect())
