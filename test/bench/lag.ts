import { fork } from "node:child_process"
import { once } from "node:events"
import { join } from "node:path"
import { Effect, Redacted } from "effect"
import { nodeFlags } from "../../apps/standalone/programs.ts"
import { projections } from "../../projections/all.ts"
import { atLeast, atMost, type Bench, percentile, told } from "./bench.ts"
import { withLogAndRows } from "./log-and-rows.ts"
import type { Committed } from "./project-lives.ts"

const perSecond = 300
const seconds = 40
/** The first seconds compile code, plan statements and fill caches. */
const warmUp = 10

export const lag: Bench = {
  name: "lag",
  about: "milliseconds from a decision's being stored to its commit in all read models, at 300 whole composes a second",
  run: (say) =>
    withLogAndRows((servers) =>
      Effect.gen(function*() {
        const projector = yield* forked("project-lives.ts", [servers.nats, Redacted.value(servers.postgres)], nodeFlags("projector"))
        say(`appending ${perSecond} composes a second for ${seconds} s`)
        const { rate, stored } = yield* (yield* forked("append-lives.ts", [servers.nats, String(perSecond), String(seconds)])).answer<Load>()
        yield* Effect.sleep("1 second")
        const { batches, commits } = yield* projector.answer<Committed>("stop")
        const committed = new Map(commits.map(([sequence, at, decidedAt]) => [sequence, { at, decidedAt }]))
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
          told("entries in a transaction", percentile(batches, 0.5), "entries"),
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

/** A process of its own, that ends with the bench. */
const forked = (script: string, args: ReadonlyArray<string>, execArgv: ReadonlyArray<string> = []) =>
  Effect.acquireRelease(
    Effect.sync(() => fork(join(import.meta.dirname, script), [...args], { execArgv: [...execArgv] })),
    (child) => Effect.sync(() => child.kill())
  ).pipe(Effect.map((child) => ({
    answer: <A>(question?: string) => Effect.promise(async () => {
      if (question !== undefined) child.send(question)
      const [answer] = await Promise.race([
        once(child, "message"),
        once(child, "exit").then(([code]) => { throw new Error(`${script} ended with ${code}`) })
      ]) as [A]
      return answer
    })
  })))
