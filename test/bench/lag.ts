import { Effect, Schedule } from "effect"
import { runProjector } from "../../apps/projector/projector.ts"
import { projections } from "../../projections/all.ts"
import { ProjectionStore } from "../../projections/projection-store.ts"
import { atLeast, atMost, type Bench, percentile, told } from "./bench.ts"
import { appendLife, withLogAndRows } from "./log-and-rows.ts"

const perSecond = 300
const seconds = 30
/** The first seconds plan statements and fill caches. */
const warmUp = 5

export const lag: Bench = {
  name: "lag",
  about: "milliseconds from a decision's own time to its commit in the read models, at 300 whole composes a second",
  run: (say) =>
    withLogAndRows(() =>
      Effect.gen(function*() {
        const store = yield* ProjectionStore
        const lags = new Map([...projections.keys()].map((name) => [name, [] as Array<number>]))
        let measuring = false
        const projector = runProjector([...projections.values()]).pipe(Effect.provideService(ProjectionStore, ProjectionStore.of({
          ...store,
          apply: (projection, generation, batch) => Effect.tap(store.apply(projection, generation, batch), Effect.sync(() => {
            const now = Date.now()
            if (measuring) for (const entry of batch.entries) if (entry._tag === "Recorded") lags.get(projection.name)!.push(now - entry.at)
          }))
        })))
        yield* Effect.forkScoped(projector)
        say(`appending ${perSecond} composes a second for ${seconds} s`)
        const begun = performance.now()
        let composes = 0
        yield* Effect.sync(() => {
          const due = Math.floor(((performance.now() - begun) / 1000) * perSecond) - composes
          composes += due
          measuring ||= performance.now() - begun > warmUp * 1000
          return due
        }).pipe(
          Effect.tap((due) => Effect.forkScoped(Effect.forEach(Array.from({ length: due }), () => appendLife, { concurrency: "unbounded", discard: true }))),
          Effect.repeat({ schedule: Schedule.spaced("5 millis"), until: () => performance.now() - begun > seconds * 1000 })
        )
        const reached = composes / ((performance.now() - begun) / 1000)
        yield* Effect.sleep("1 second")
        const all = [...lags.values()].flat()
        return [
          atLeast("composes", reached, perSecond * 0.99, "composes/s"),
          ...[...lags].map(([name, values]) => told(`lag p99 of ${name}`, percentile(values, 0.99), "ms")),
          told("lag p50", percentile(all, 0.5), "ms"),
          atMost("lag p99", percentile(all, 0.99), 50, "ms")
        ]
      }))
}
