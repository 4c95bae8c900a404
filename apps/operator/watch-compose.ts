/** Shows a compose until it ends; `kiln watch`, `kiln build` and the first image of `npm start` are this. */
import { Clock, Effect, Ref, Schedule, Stream } from "effect"
import { commandFailed } from "./command-failed.ts"
import { composeEvents, type ComposeEvent } from "./event-stream.ts"
import { changeOf, closing, frame, nameOf, progressLine } from "./live-words.ts"
import { evolve, isOver, type Live, type LiveJob, nothingYet } from "./live.ts"
import { timeOfDay } from "./moments.ts"
import { harmless, Output, painted, paintedStatus, print } from "./output.ts"
import { screenOn } from "./screen.ts"
import { span } from "./units.ts"
import { followWaiting } from "./waiting-words.ts"

export const watchCompose = Effect.fn("watchCompose")(function*(id: string) {
  const { json, terminal } = yield* Output
  return yield* json ? quietly(id) : terminal ? onTerminal(id) : inLines(id)
})

/** One JSON document a line, as the events come. */
export const watchAsDocuments = Effect.fn("watchAsDocuments")((id: string) =>
  composeEvents(id).pipe(
    Stream.tap((event) => print(JSON.stringify(event))),
    Stream.runFold(() => nothingYet, evolve)
  ))

const quietly = (id: string) => composeEvents(id).pipe(Stream.runFold(() => nothingYet, evolve))

const onTerminal = Effect.fnUntraced(function*(id: string) {
  const output = yield* Output
  const screen = screenOn(output)
  const state = yield* Ref.make(nothingYet)
  const waiting = yield* Ref.make<string | undefined>(undefined)
  const draw = Effect.gen(function*() {
    screen.draw(frame(output, yield* Ref.get(state), yield* Clock.currentTimeMillis, yield* Ref.get(waiting)))
  })
  const take = Effect.fnUntraced(function*(event: ComposeEvent) {
    const before = yield* Ref.get(state)
    const after = evolve(before, event)
    yield* Ref.set(state, after)
    const over = [...after.jobs.values()].filter((job) => news(before, job) && isOver(job) && job.status !== "skipped")
    if (over.length === 0) return
    screen.keep(over.map((job) => closing(output, after, job)))
    yield* draw
  })
  yield* Effect.raceAllFirst([
    Stream.runForEach(composeEvents(id), take),
    Effect.andThen(Effect.repeat(draw, Schedule.spaced("150 millis")), Effect.never),
    followWaiting(id, Ref.get(state), (words) => Ref.set(waiting, words))
  ])
  const ended = yield* Ref.get(state)
  screen.draw([])
  screen.keep([`compose ${paintedStatus(output, ended.status)}${ended.startedAt === undefined ? "" : ` after ${span(tookMillis(ended))}`}`])
  return ended
})

const tookMillis = ({ jobs, startedAt = 0 }: Live) => Math.max(startedAt, ...[...jobs.values()].map(({ endedAt }) => endedAt ?? 0)) - startedAt

const news = (before: Live, job: LiveJob) => {
  const known = before.jobs.get(job.id)
  return known?.status !== job.status || known.attempt !== job.attempt
}

/** So often, a changed place in the queue is worth a line. */
const waitingEvery = 30_000

/** A line for every change, and one a second at most for progress. */
const inLines = Effect.fnUntraced(function*(id: string) {
  const { utc } = yield* Output
  const shown = new Map<string, { readonly at: number; readonly stage: string; readonly percent: number }>()
  let live = nothingYet
  const say = (at: string, line: string) => print(`${timeOfDay(Date.parse(at), utc)}  ${line}`)
  let waiting = { words: "", at: 0 }
  const sayWaiting = Effect.fnUntraced(function*(words = "") {
    const at = yield* Clock.currentTimeMillis
    if (words === "" || words === waiting.words || at - waiting.at < waitingEvery) return
    waiting = { words, at }
    yield* say(new Date(at).toISOString(), harmless(words))
  })
  const changes = Stream.runForEach(composeEvents(id), Effect.fnUntraced(function*(event) {
    const before = live
    live = evolve(before, event)
    const now = yield* Clock.currentTimeMillis
    if (event.event === "status") {
      for (const { id: job } of event.data.jobs) {
        const line = changeOf(live, before.jobs.get(job), live.jobs.get(job)!)
        if (line !== undefined) yield* say(event.data.at, line)
      }
      if (before.status !== live.status) yield* say(event.data.at, `compose ${live.status}`)
    }
    if (event.event === "progress") {
      const job = live.jobs.get(event.data.job)!
      const last = shown.get(job.id)
      const { percent, stage } = { ...event.data, percent: Math.floor(event.data.percent) }
      if (last !== undefined && (now - last.at < 1000 || (last.stage === stage && last.percent === percent))) return
      shown.set(job.id, { at: now, stage, percent })
      yield* say(event.data.at, progressLine(live, job, Date.parse(event.data.at)))
    }
  }))
  yield* Effect.raceFirst(changes, followWaiting(id, Effect.sync(() => live), sayWaiting))
  return live
})

/** Leaving the watch leaves the compose alone, which not everybody expects. */
export const sayThatItGoesOn = (id: string) => <A, E, R>(watching: Effect.Effect<A, E, R>) =>
  Effect.flatMap(Output, ({ json, writeError }) =>
    Effect.onInterrupt(watching, () =>
      Effect.sync(() => json || writeError(`\nCompose ${id} goes on; watch it again with kiln watch ${id}, stop it with kiln cancel ${id}\n`))))

/** Says why it failed, with the last lines of the job that did; then ends as the compose did. */
export const conclude = Effect.fn("conclude")(function*(id: string, live: Live) {
  if (live.status === "succeeded") return
  if (live.status === "canceled") return yield* commandFailed("canceled", `Compose ${id} was canceled`)
  const output = yield* Output
  const job = [...live.jobs.values()].find(({ status }) => status === "failed")
  const failure = live.failure ?? job?.failure
  const lines = job !== undefined && live.tail.job === job.id ? live.tail.lines : []
  const tail = lines.length > 0 ? lines : (failure?.excerpt ?? "").split("\n").filter((line) => line !== "")
  if (!output.json && tail.length > 0) {
    yield* print(...tail.map((line) => painted(output, "dim", `  | ${harmless(line)}`)))
  }
  const place = job === undefined ? "" : ` in ${nameOf(live, job)}`
  const why = failure === undefined ? "" : ` (${failure.class})${place}: ${harmless(failure.message)}`
  return yield* commandFailed("failed", `Compose ${id} failed${why}`)
})
