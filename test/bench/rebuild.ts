import { spawn } from "node:child_process"
import { join } from "node:path"
import { text } from "node:stream/consumers"
import { Effect, Redacted } from "effect"
import { EventLog } from "../../domain/ports/event-log.ts"
import { CoreNats } from "../../infra/jetstream/nats.ts"
import { projections } from "../../projections/all.ts"
import { ProjectionStore } from "../../projections/projection-store.ts"
import { atLeast, atMost, type Bench, type Metric, told } from "./bench.ts"
import { appendLife, eventsInLife, type Servers, withLogAndRows } from "./log-and-rows.ts"
import { peakRss } from "./rss.ts"

const kiln = join(import.meta.dirname, "../../apps/operator/main.ts")
/** Of the largest log; the first is as large as the smaller figure of the goal, if that many were asked for. */
const firstEvents = 100_000

export const rebuild: Bench = {
  name: "rebuild",
  about: "entries a second of `kiln replay` for each read model, against bare ordered reading of the same log; its memory with 100,000 and with --events (2,000,000 unless said)",
  run: (say, { events }) =>
    withLogAndRows((servers) =>
      Effect.gen(function*() {
        const store = yield* ProjectionStore
        for (const projection of projections.values()) yield* store.prepare(projection, "live")
        const metrics: Array<Metric> = []
        const peaks: Array<number> = []
        let written = 0
        for (const wanted of new Set([Math.min(firstEvents, events), events])) {
          const lives = Math.ceil((wanted - written) / eventsInLife)
          say(`appending ${lives} lives of composes`)
          yield* Effect.forEach(Array.from({ length: lives }), () => appendLife(), { concurrency: 512, discard: true })
          written += lives * eventsInLife
          const head = yield* (yield* EventLog).head("EVENTS")
          const bare = yield* bareRate(head)
          metrics.push(told(`bare ordered reading, ${written} events`, bare, "entries/s"))
          for (const name of projections.keys()) {
            const { peak, rate } = yield* replayed(servers, name, head)
            say(`${name}: ${Math.round(rate)} entries/s, at most ${Math.round(peak)} MiB`)
            metrics.push(told(`rebuild of ${name}, ${written} events`, rate, "entries/s"))
            if (name !== "composes") continue
            peaks.push(peak)
            metrics.push(atLeast(`rebuild of ${name} / bare reading, ${written} events`, rate / bare, 0.4, "ratio"))
          }
        }
        metrics.push(...peaks.map((peak, at) => told(`most memory of a replay of composes, ${at === 0 ? Math.min(firstEvents, events) : events} events`, peak, "MiB")))
        return peaks.length < 2 ? metrics : [...metrics, atMost("memory, many events / few", peaks[1]! / peaks[0]!, 1.25, "ratio")]
      }))
}

/** The messages alone, as the client hands them over: nothing is decoded. */
const bareRate = Effect.fnUntraced(function*(head: number) {
  const { js } = yield* CoreNats
  return yield* Effect.promise(async () => {
    const consumer = await js.consumers.get("EVENTS", { deliver_policy: "all" as never })
    const begun = performance.now()
    const messages = await consumer.consume({ max_messages: 1000 })
    for await (const message of messages) if (message.seq >= head) break
    const rate = head / ((performance.now() - begun) / 1000)
    await consumer.delete().catch(() => false)
    return rate
  })
})

/** In a process of its own, as operators run it. Its start does not count, and the swap does. */
const replayed = ({ nats, postgres }: Servers, projection: string, entries: number) =>
  Effect.promise(async () => {
    const child = spawn(process.execPath, [kiln, "replay", "--projection", projection, "--json"], {
      env: { ...process.env, KILN_NATS_CORE_URL: nats, KILN_POSTGRES_URL: Redacted.value(postgres), KILN_HOME: "/nonexistent" },
      stdio: ["ignore", "pipe", "inherit"]
    })
    let peak = 0
    const watch = setInterval(() => void peakRss(child.pid!).then((now) => { peak = Math.max(peak, now || 0) }, () => {}), 100)
    const out = await text(child.stdout)
    clearInterval(watch)
    const { seconds } = JSON.parse(out) as { readonly seconds: number }
    return { rate: entries / seconds, peak }
  })
