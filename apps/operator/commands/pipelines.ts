/** Pipelines: listed, declared from files, and told what to do. */
import { Effect, Option } from "effect"
import type { PipelineBuildView, PipelineDeclared, PipelineDetails, PipelineView } from "../../gateway/api/pipelines-api.ts"
import { Kiln } from "../client.ts"
import { confirmed } from "../confirm.ts"
import { differenceLines } from "../places-changed.ts"
import { moment, momentIn } from "../moments.ts"
import { answer, type OutputShape, Output, painted, print } from "../output.ts"
import { type HowMany, pagesOf, withMore } from "../pages-of.ts"
import { type NamedDocument, pipelinesFile } from "../pipelines-file.ts"
import { facts, table } from "../table.ts"

interface Named {
  readonly name: string
}

const at = (name: string, action = "") => `/pipelines/${encodeURIComponent(name)}${action}`

export const listPipelines = Effect.fn("listPipelines")(function*(input: HowMany & { readonly distribution: Option.Option<string> }) {
  const { items, next } = yield* pagesOf<PipelineView>("/pipelines", { distribution: Option.getOrUndefined(input.distribution) }, input)
  yield* answer({ items, ...(next === undefined ? {} : { next }) }, (output) =>
    items.length === 0 ? ["There are none"] : withMore(output, next !== undefined, table<PipelineView>(output, [
      { title: "NAME", of: ({ name }) => name },
      { title: "STATUS", of: ({ status }) => status, paint: (text, { status }) => painted(output, colours[status], text) },
      { title: "DISTRIBUTION", of: ({ distribution }) => distribution },
      { title: "PROMOTED", of: ({ promoted }) => promoted === undefined ? "none" : `#${promoted.number}` },
      { title: "LAST BUILD", of: ({ last_build }) => last_build === undefined ? "none" : `#${last_build.number} ${last_build.status}` },
      { title: "NEXT", of: (pipeline) => nextWords(output, pipeline), shrinks: true }
    ], items)))
})

const colours = { idle: undefined, building: "cyan", checking: "cyan", waiting: "yellow", retrying: "yellow", paused: "red" } as const

/** In the zone of its schedule: that is the one in which somebody has said when. */
const when = ({ utc }: OutputShape, { schedule }: PipelineView, iso: string): string =>
  utc || schedule?.time_zone === undefined ? moment(iso, utc) : momentIn(iso, schedule.time_zone)

const nextWords = (output: OutputShape, pipeline: PipelineView): string => {
  const { next, paused, waiting_for } = pipeline
  if (paused !== undefined) return `paused by ${paused.by === "failures" ? "its failures" : "request"}`
  if (waiting_for !== undefined) return `when the quota has room${waiting_for.until === undefined ? "" : `, at ${when(output, pipeline, waiting_for.until)}`}`
  return next === undefined ? "" : `${when(output, pipeline, next.at)} ${next.what} (${next.why})`
}

export const showPipeline = Effect.fn("showPipeline")(function*({ name }: Named) {
  yield* shown(yield* (yield* Kiln).json<PipelineDetails>(at(name)))
})

const shown = (pipeline: PipelineDetails) => answer(pipeline, (output) => [
  ...facts(output, [
    ["name", pipeline.name],
    ["status", pipeline.status],
    ["distribution", pipeline.distribution],
    ["schedule", scheduleWords(pipeline)],
    ["maximum age", pipeline.max_age],
    ["keeps", pipeline.keep === undefined ? undefined : `the newest ${pipeline.keep} good`],
    ["next", nextWords(output, pipeline)],
    ["waits", waitingWords(pipeline)],
    ["promoted", pipeline.promoted === undefined ? "none" : `#${pipeline.promoted.number}, compose ${pipeline.promoted.compose}${pipeline.promotion === "manual" ? " (by request only)" : ""}`],
    ["last check", pipeline.last_check && `${when(output, pipeline, pipeline.last_check.at)}: ${checkWords[pipeline.last_check.outcome]}`],
    ["failures", pipeline.failures === 0 ? undefined : `${pipeline.failures} in a row, pauses after ${pipeline.pause_after}`],
    ["last failure", pipeline.last_failure && `${pipeline.last_failure.what}: ${pipeline.last_failure.message}`]
  ]),
  ...(pipeline.builds.length === 0 ? [] : ["", ...buildRows(output, pipeline)])
])

const checkWords = { same: "no difference", different: "other packages", failed: "failed", canceled: "canceled" } as const

const scheduleWords = ({ schedule }: PipelineView): string | undefined =>
  schedule && `${schedule.cron ?? `every ${schedule.every}`}${schedule.time_zone === undefined ? schedule.cron === undefined ? "" : " UTC" : ` ${schedule.time_zone}`}`

const waitingWords = ({ waiting_for: waiting }: PipelineView): string | undefined =>
  waiting && `${waiting.used} of ${waiting.limit} ${waiting.rule === "composes" ? "composes" : "stored bytes"} are used`

const buildRows = (output: OutputShape, { builds, promoted }: PipelineDetails) => table<PipelineBuildView>(output, [
  { title: "BUILD", of: ({ number }) => `#${number}${number === promoted?.number ? " *" : ""}` },
  { title: "STATUS", of: ({ status }) => status },
  { title: "WHY", of: ({ why }) => why },
  { title: "REQUESTED", of: ({ requested_at }) => moment(requested_at, output.utc) },
  { title: "COMPOSE", of: ({ compose }) => compose },
  { title: "FAILURE", of: ({ failure }) => failure?.message ?? "", shrinks: true }
], builds)

export const applyPipelines = Effect.fn("applyPipelines")(function*({ dryRun, file, yes }: { readonly file: string; readonly dryRun: boolean; readonly yes: boolean }) {
  const documents = yield* pipelinesFile(file)
  const kiln = yield* Kiln
  const { json } = yield* Output
  const put = (named: NamedDocument, query: Record<string, string | number>) =>
    Effect.map(kiln.json<PipelineDeclared>(at(named.name), { method: "PUT", query, body: named.body }), (declared) => ({ name: named.name, ...declared }))
  const planned = yield* Effect.forEach(documents, (named) => put(named, { dry_run: "true" }))
  if (!json) yield* print(...planned.flatMap((each) => changeWords(each, true)))
  const changes = planned.filter(({ result }) => result !== "same")
  if (dryRun || changes.length === 0) return json ? yield* answer(planned, () => []) : undefined
  yield* confirmed(`changes ${changes.length} pipeline${changes.length === 1 ? "" : "s"}`, yes)
  // From what was shown: whatever has changed since is refused.
  const applied = yield* Effect.forEach(planned, (each, place) => each.result === "same" ? Effect.succeed(each) : put(documents[place]!, { version: each.version }))
  yield* answer(applied, () => applied.filter(({ result }) => result !== "same").map(({ name, result }) => `${name} is ${result}`))
})

const changeWords = ({ differences, name, result }: Named & PipelineDeclared, planned: boolean): ReadonlyArray<string> => {
  const word = result === "same" ? "no difference" : planned ? `to be ${result}` : result
  return [`${name}: ${word}`, ...differenceLines(differences)]
}

const told = (name: string, action: string, body?: object) =>
  Effect.flatMap(Kiln, (kiln) => kiln.json<PipelineDetails>(at(name, action), { method: "POST", ...(body && { body: JSON.stringify(body) }) }))

export const buildPipeline = Effect.fn("buildPipeline")(function*({ name }: Named) {
  const pipeline = yield* told(name, "/builds")
  yield* answer(pipeline, () => [pipeline.status === "building" ? `A build of ${name} is under way; another one follows it` : `${name} will be built`])
})

export const pausePipeline = Effect.fn("pausePipeline")(function*({ name }: Named) {
  yield* shown(yield* told(name, "/pause"))
})

export const resumePipeline = Effect.fn("resumePipeline")(function*({ name }: Named) {
  yield* shown(yield* told(name, "/resume"))
})

export const promoteBuild = Effect.fn("promoteBuild")(function*({ build, name }: Named & { readonly build: number }) {
  const pipeline = yield* told(name, "/promote", { build })
  yield* answer(pipeline, () => [`${name} stands for build #${build} now, compose ${pipeline.promoted?.compose ?? ""}`])
})

export const deletePipeline = Effect.fn("deletePipeline")(function*({ name, yes }: Named & { readonly yes: boolean }) {
  yield* confirmed(`deletes the pipeline ${name}`, yes)
  yield* Effect.scoped((yield* Kiln).open(at(name), { method: "DELETE" }))
  yield* answer({ name, deleted: true }, () => [`${name} is deleted`])
})
