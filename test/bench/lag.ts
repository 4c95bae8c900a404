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
  about: "milliseconds from a decision's being stored to its commit in all read models, at 300 whole composes a second",
  run: (say) =>
    withLogAndRows((servers) =>
      Effect.gen(function*() {
        const store = yield* ProjectionStore
        const committed = new Map<number, { readonly at: number; readonly decidedAt: number }>()
        const counts: Array<number> = []
        const watched = ProjectionStore.of({
          ...store,
          applyTogether: (shares, batch) => Effect.tap(store.applyTogether(shares, batch), ({ left }) => Effect.sync(() => {
            counts.push(batch.entries.length)
            // What is left out is committed later than can be told here: it must not look like a small lag.
            const at = left.length > 0 ? Infinity : Date.now()
            for (const entry of batch.entries) if (entry._tag === "Recorded") committed.set(entry.position.sequence, { at, decidedAt: entry.at })
          }))
        })
        yield* runProjector([...projections.values()]).pipe(Effect.provideService(ProjectionStore, watched), Effect.forkScoped)
        say(`appending ${perSecond} composes a second for ${seconds} s, from another process`)
        const { rate, stored } = yield* Effect.promise(() => load(servers))
        yield* Effect.sleep("1 second")
        const measured = stored.filter(([, at]) => at > stored[0]![1] + warmUp * 1000)
        const missing = { at: Infinity, decidedAt: 0 }
        const since = (from: (storedAt: number, decidedAt: number) => number) =>
          measured.map(([sequence, storedAt]) => {
            const { at, decidedAt } = committed.get(sequence) ?? missing
            return Math.max(0, at - from(storedAt, decidedAt))
          })
        const [lags, whole] = [since((storedAt) => storedAt), since((_, decidedAt) => decidedAt)]
        return [
          atLeast("composes", rate, perSecond * 0.99, "composes/s"),
          told("read models", projections.size, ""),
          told("entries in a transaction", percentile(counts, 0.5), "entries"),
          told("lag p50", percentile(lags, 0.5), "ms"),
          atMost("lag p99", percentile(lags, 0.99), 50, "ms"),
          told("from the decision, its storing included, p50", percentile(whole, 0.5), "ms"),
          told("from the decision, its storing included, p99", percentile(whole, 0.99), "ms")
        ]
      }))
}

interface Load {
  readonly rate: number
  readonly stored: ReadonlyArray<readonly [sequence: number, at: number]>
}

const load = async ({ nats }: Servers): Promise<Load> => {
  const child = fork(join(import.meta.dirname, "append-lives.ts"), [nats, String(perSecond), String(seconds)])
  const [answer] = await Promise.race([
    once(child, "message"),
    once(child, "exit").then(([code]) => { throw new Error(`the load ended with ${code}`) })
  ]) as [Load]
  return answer
}
