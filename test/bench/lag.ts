import { fork } from "node:child_process"
import { once } from "node:events"
import { join } from "node:path"
import { Effect } from "effect"
import { runProjector } from "../../apps/projector/projector.ts"
import { projections } from "../../projections/all.ts"
import { ProjectionStore } from "../../projections/projection-store.ts"
import { atLeast, atMost, type Bench, percentile, told } from "./bench.ts"
import { type Servers, withLogAndRows } from "./log-and-rows.ts"

const perSecond = 300
const seconds = 30
/** The first seconds plan statements and fill caches. */
const warmUp = 5

export const lag: Bench = {
  name: "lag",
  about: "milliseconds from a decision's own time to its commit in all read models, at 300 whole composes a second",
  run: (say) =>
    withLogAndRows((servers) =>
      Effect.gen(function*() {
        const store = yield* ProjectionStore
        const lags: Array<number> = []
        const counts: Array<number> = []
        const begun = performance.now()
        const watched = ProjectionStore.of({
          ...store,
          applyTogether: (shares, batch) => Effect.tap(store.applyTogether(shares, batch), ({ left }) => Effect.sync(() => {
            if (performance.now() - begun < warmUp * 1000) return
            const now = Date.now()
            counts.push(batch.entries.length)
            // What is left out is committed later than can be told here: it must not look like a small lag.
            for (const entry of batch.entries) if (entry._tag === "Recorded") lags.push(left.length > 0 ? Infinity : now - entry.at)
          }))
        })
        yield* runProjector([...projections.values()]).pipe(Effect.provideService(ProjectionStore, watched), Effect.forkScoped)
        say(`appending ${perSecond} composes a second for ${seconds} s, from another process`)
        const reached = yield* Effect.promise(() => load(servers))
        yield* Effect.sleep("1 second")
        return [
          atLeast("composes", reached, perSecond * 0.99, "composes/s"),
          told("read models", projections.size, ""),
          told("entries in a transaction", percentile(counts, 0.5), "entries"),
          told("lag p50", percentile(lags, 0.5), "ms"),
          atMost("lag p99", percentile(lags, 0.99), 50, "ms")
        ]
      }))
}

const load = async ({ nats }: Servers): Promise<number> => {
  const child = fork(join(import.meta.dirname, "append-lives.ts"), [nats, String(perSecond), String(seconds)])
  const [rate] = await Promise.race([
    once(child, "message"),
    once(child, "exit").then(([code]) => { throw new Error(`the load ended with ${code}`) })
  ]) as [number]
  return rate
}
