/** Finds what crashes left behind in clouds, and removes it when a later sweep finds it still there and still nobody's. */
import { Clock, Effect, Metric, Option, Schema, Stream } from "effect"
import { v7 } from "uuid"
import { CondemnLeftovers } from "../../domain/compose-commands.ts"
import type { ErrandAnswer } from "../../domain/errand.ts"
import { Millis, type TenantId } from "../../domain/ids.ts"
import type { CloudResource } from "../../domain/image-copy.ts"
import { placeOf } from "../../domain/live-copies.ts"
import { type Place, placeKey, type Places } from "../../domain/places.ts"
import type { EventLog } from "../../domain/ports/event-log.ts"
import { Snapshots } from "../../domain/ports/snapshots.ts"
import { dueDeliveries, judge, type Judged, type Notes, notesAfter, standingOf } from "../../domain/reaper.ts"
import { type Leftover, leftoverOf, mostLeftovers, type ReaperReport, type SeenPlace, type SweepRequest } from "../../domain/scheduling/reaper-report.ts"
import { execute } from "../execute.ts"
import { readCompose } from "../read-compose.ts"
import { leftoverResources, reapedResources } from "./metrics.ts"
import { sendWithinMs } from "./send-worker.ts"
import { ownerless } from "./ownerless.ts"

export interface ReaperOptions<R> {
  readonly everyMs: number
  /** From the first pass to the second, at least. */
  readonly afterMs: number
  /** Nothing while they are not known. */
  readonly places: () => Places | undefined
  readonly isHeld: () => boolean
  /** Every end is an answer; without `resources` it looks what lies there. */
  send(place: Place, resources?: ReadonlyArray<CloudResource>): Effect.Effect<ErrandAnswer, never, R>
}

export interface Reaper<R> {
  /** What was seen last; asked to sweep it does so soon. Returns at once. */
  report(sweep?: SweepRequest): ReaperReport
  /** Works for ever. */
  readonly run: Effect.Effect<never, never, EventLog | Snapshots | R>
}

const snapshotName = "reaper"
const mostAtOnce = 500
/** Workers have to be heard of first. */
const settlingMs = 60_000
const actor = { kind: "system", id: "reaper" } as const

const Head = Schema.fromJsonString(Schema.Struct({ version: Schema.Literal(1), sweptAt: Schema.Int }))
const Line = Schema.fromJsonString(Schema.Struct({ key: Schema.String, place: Schema.String, at: Schema.Int }))
const [decodeHead, decodeLine] = [Schema.decodeUnknownOption(Head), Schema.decodeUnknownOption(Line)]

export const makeReaper = <R>({ afterMs, everyMs, isHeld, places, send }: ReaperOptions<R>): Reaper<R> => {
  let notes: Notes = new Map()
  const since = Date.now()
  let sweptAt = since
  let wanted: SweepRequest | undefined
  let isSweeping = false
  let last: Omit<ReaperReport, "running"> = { places: [], leftovers: [], more: 0 }

  const restore = Effect.gen(function*() {
    const [first, ...lines] = yield* Effect.orElseSucceed(Stream.runCollect((yield* Snapshots).load(snapshotName)), () => [])
    const head = first === undefined ? Option.none() : decodeHead(first)
    if (Option.isNone(head)) return
    sweptAt = head.value.sweptAt
    notes = new Map(lines.flatMap((line) => Option.toArray(decodeLine(line))).map(({ key, ...note }) => [key, note]))
  })
  // Without them everything is in its first pass again, which costs time and nothing else.
  const save = Effect.suspend(() => Effect.flatMap(Snapshots, (snapshots) => snapshots.save(snapshotName, [
    JSON.stringify({ version: 1, sweptAt }), ...Array.from(notes, ([key, note]) => JSON.stringify({ key, ...note }))
  ]))).pipe(Effect.catch(({ message }) => Effect.logWarning(message)))

  const sweep = Effect.fn("reaper.sweep")(function*(known: Places, { dryRun, tenantId }: SweepRequest) {
    const looked = yield* Effect.forEach(known.values().filter((place) => tenantId === undefined || place.tenantId === tenantId),
      (place) => lookAt(place, known, send), { concurrency: 4 })
    const now = yield* Clock.currentTimeMillis
    const judged = judge(looked.flatMap(({ found }) => found), notes, now, afterMs)
    const seen = new Set(looked.flatMap(({ place, said: { problem } }) => problem === undefined ? [placeKey(place)] : []))
    const ends = new Map<string, Pick<Leftover, "verdict" | "problem">>()
    if (!dryRun) {
      notes = notesAfter(judged, notes, seen)
      yield* Effect.forEach(dueDeliveries(judged).slice(0, mostAtOnce), (due) => Effect.map(remove(due), (end) => {
        if (end !== undefined) for (const { key } of due) ends.set(key, end)
      }), { concurrency: 4, discard: true })
      notes = new Map([...notes].filter(([key]) => ends.get(key)?.verdict !== "removed"))
      if (tenantId === undefined) {
        sweptAt = now
        yield* Metric.update(leftoverResources, judged.length - [...ends.values()].filter(({ verdict }) => verdict === "removed").length)
      }
      yield* save
    }
    const leftovers = judged.map((each) => ({ ...leftoverOf(each), ...ends.get(each.key) }))
    last = {
      at: Millis.make(now), dryRun, places: looked.map(({ said }) => said),
      leftovers: leftovers.slice(0, mostLeftovers), more: Math.max(0, leftovers.length - mostLeftovers)
    }
  })

  /** Looked at once more, and on record before it goes. Nothing comes of what has an owner by now. */
  const remove = Effect.fnUntraced(function*(due: readonly [Judged, ...Array<Judged>]) {
    const [{ marked: { marks: { composeId, jobId, tenantId } }, place }] = due
    const { compose } = yield* readCompose(tenantId, composeId)
    if (!isHeld() || due.some(({ marked }) => standingOf(compose, marked) !== "leftover")) return undefined
    const resources = due.map(({ marked: { resource } }) => resource)
    const intent = { tenantId, messageId: v7(), at: Millis.make(yield* Clock.currentTimeMillis), actor }
    yield* execute(intent, CondemnLeftovers.make({ composeId, ...placeOf(jobId), resources, until: Millis.make(intent.at + sendWithinMs) }))
    const answer = yield* send(place, resources)
    const said = { tenantId, composeId, jobId, resources: resources.map(({ id, kind, place }) => `${kind} ${id}${place === undefined ? "" : ` in ${place}`}`) }
    if (answer._tag !== "Gone") return yield* notRemoved(said, answer._tag === "Refused" ? answer.message : "the worker answered something else")
    yield* Metric.update(Metric.withAttributes(reapedResources, { target: place.target.type }), resources.length)
    yield* Effect.logInfo("removed what a delivery had left behind", said)
    return { verdict: "removed" as const }
  }, (effect, [{ marked: { marks } }]) => Effect.catch(effect, ({ message }) => notRemoved(marks, message)))

  const looking = Effect.suspend(() => {
    const known = places()
    if (known === undefined || !isHeld()) return Effect.void
    const isTime = Date.now() >= Math.max(sweptAt + everyMs, since + Math.min(everyMs, settlingMs))
    const request = wanted ?? (isTime ? { dryRun: false } : undefined)
    if (request === undefined) return Effect.void
    wanted = undefined
    isSweeping = true
    return sweep(known, request).pipe(
      Effect.catchCause((cause) => Effect.logWarning("a sweep for leftovers went wrong", cause)),
      Effect.ensuring(Effect.sync(() => isSweeping = false))
    )
  })

  return {
    report: (sweep) => {
      wanted = sweep ?? wanted
      return { running: isSweeping || wanted !== undefined, ...last }
    },
    run: Effect.andThen(restore, looking.pipe(Effect.delay("200 millis"), Effect.forever))
  }
}

const notRemoved = (what: object, problem: string) =>
  Effect.as(Effect.logWarning("what a delivery left behind could not be removed", { ...what, problem }), { verdict: "failed" as const, problem })

/** What is nobody's there. Of other tenants, whose own places show what is theirs, only what no log knows of. */
const lookAt = Effect.fnUntraced(function*<R>(place: Place, known: Places, send: ReaperOptions<R>["send"]) {
  const { target, tenantId } = place
  const answer = yield* send(place)
  const things = answer._tag === "Seen" ? answer.resources : []
  const problem = answer._tag === "Seen" ? undefined : answer._tag === "Refused" ? answer.message : "the worker answered something else"
  const said = (problem: string | undefined): SeenPlace => ({
    tenantId, type: target.type, ...(target.credentials !== undefined && { credentials: target.credentials }), place: wordsOf(place),
    things: things.length, ...(problem !== undefined && { problem })
  })
  const isOthers = (owner: TenantId) => owner !== tenantId && known.has(owner)
  return yield* ownerless(place, answer._tag === "Seen" ? answer.deployment : "", things.filter((thing) => !isOthers(thing.tenantId))).pipe(
    Effect.map((found) => ({ place, found, said: said(problem) })),
    Effect.catch(({ message }) => Effect.succeed({ place, found: [], said: said(message) })))
})

const wordsOf = ({ target }: Place): string => {
  const { credentials: _, type: __, ...rest } = target
  return Object.values(rest).map((part) => typeof part === "string" ? part : JSON.stringify(part)).join(" ")
}
