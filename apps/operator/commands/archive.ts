/** Puts periods of the log into the archive before their time has come to go there by themselves. */
import { Effect, Option } from "effect"
import { OpenComposes } from "../../../domain/open-composes.ts"
import { type LogStream, Periods } from "../../../domain/ports/periods.ts"
import { archiveStream, openIn } from "../../scheduler/keep-periods.ts"
import { CommandFailed, commandFailed } from "../command-failed.ts"
import { confirmed } from "../confirm.ts"
import { onRecordHere } from "../on-record-here.ts"
import { answer } from "../output.ts"
import { logHere } from "../past-the-gateway.ts"
import { count } from "../progress.ts"

export interface ArchiveInput {
  readonly stream: Option.Option<string>
  /** Entries that nobody can read go along, as they are. */
  readonly withUnreadable: boolean
  readonly yes: boolean
}

export const archive = Effect.fn("archive")(function*({ stream, withUnreadable, yes }: ArchiveInput) {
  const run = Effect.gen(function*() {
    const periods = yield* Periods
    const all = yield* periods.list
    const named = all.filter((each) => Option.isNone(stream) || each.stream === stream.value)
    if (named.length === 0) return yield* commandFailed("notFound", `There is no stream ${Option.getOrElse(stream, () => "")}`)
    const over = named.filter(({ period, state }) => period !== undefined && period.to <= Date.now() && state !== "dropped")
    if (Option.isSome(stream) && over.length === 0) return yield* commandFailed("invalid", `${stream.value} is of no period that is over and not archived yet`)
    if (!periods.canArchive) return yield* commandFailed("invalid", "KILN_ARCHIVE does not say where the archive is")
    const asTheyAre = withUnreadable ? ", and entries that nobody can read as they are" : ""
    if (over.length > 0) yield* confirmed(`takes ${over.map((each) => each.stream).join(", ")} off the server, once the archive has all of it${asTheyAre}`, yes)
    return yield* Effect.forEach(over, (each) => archiveOne(each, withUnreadable))
  })
  const done = yield* run.pipe(Effect.provide(yield* logHere("archive")),
    Effect.mapError((error) => error instanceof CommandFailed ? error : commandFailed("failed", `The archiving stopped: ${error.message}; start it again and it goes on from there`)))
  yield* answer(done, () => done.length === 0 ? ["No period is over that is not archived"] : done.flatMap(wordsOf))
  if (done.some(({ archived }) => !archived)) return yield* commandFailed("failed", "")
})

type Archived = Effect.Success<ReturnType<typeof archiveOne>>

const archiveOne = Effect.fnUntraced(function*(each: LogStream, withUnreadable: boolean) {
  const found: OpenComposes = each.state === "open" ? yield* openIn(each.stream) : new OpenComposes()
  const { size: open, unreadable } = found
  const archived = open === 0 && (withUnreadable || unreadable.length === 0)
  const places = unreadable.map(({ position }) => position.sequence)
  const on = places.length === 0 ? each.stream : `${each.stream}, with ${count(places.length)} that nobody can read: ${places.join(", ")}`
  if (archived) yield* onRecordHere({ operation: "log-archive", on, result: () => `${count(each.entries)} entries` }, archiveStream(each))
  return {
    stream: each.stream, entries: each.entries, archived, open,
    unreadable: unreadable.map(({ position, reason, subject }) => ({ place: `${position.stream}:${position.sequence}`, subject, reason }))
  }
})

const wordsOf = ({ archived, entries, open, stream, unreadable }: Archived): ReadonlyArray<string> => [
  archived ? `${stream}: ${count(entries)} entries are in the archive` : open > 0
    ? `${stream}: stays, ${count(open)} of its composes have not ended` : `${stream}: stays, ${count(unreadable.length)} of its entries cannot be read; --with-unreadable archives them as they are`,
  ...unreadable.map(({ place, reason, subject }) => `  ${place} ${subject}: ${reason}`)
]
