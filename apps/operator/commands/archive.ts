/** Puts periods of the log into the archive before their time has come to go there by themselves. */
import { Effect, Option } from "effect"
import { Periods } from "../../../domain/ports/periods.ts"
import { archiveStream, openIn } from "../../scheduler/keep-periods.ts"
import { CommandFailed, commandFailed } from "../command-failed.ts"
import { confirmed } from "../confirm.ts"
import { onRecordHere } from "../on-record-here.ts"
import { answer } from "../output.ts"
import { logHere } from "../past-the-gateway.ts"
import { count } from "../progress.ts"

export const archive = Effect.fn("archive")(function*({ stream, yes }: { readonly stream: Option.Option<string>; readonly yes: boolean }) {
  const run = Effect.gen(function*() {
    const periods = yield* Periods
    const all = yield* periods.list
    const named = all.filter((each) => Option.isNone(stream) || each.stream === stream.value)
    if (named.length === 0) return yield* commandFailed("notFound", `There is no stream ${Option.getOrElse(stream, () => "")}`)
    const over = named.filter(({ period, state }) => period !== undefined && period.to <= Date.now() && state !== "dropped")
    if (Option.isSome(stream) && over.length === 0) return yield* commandFailed("invalid", `${stream.value} is of no period that is over and not archived yet`)
    if (!periods.canArchive) return yield* commandFailed("invalid", "KILN_ARCHIVE does not say where the archive is")
    if (over.length > 0) yield* confirmed(`takes ${over.map((each) => each.stream).join(", ")} off the server, once the archive has all of it`, yes)
    return yield* Effect.forEach(over, Effect.fnUntraced(function*(each) {
      const open = each.state === "open" ? yield* openIn(each.stream) : 0
      if (open === 0) yield* onRecordHere({ operation: "log-archive", on: each.stream, result: () => `${count(each.entries)} entries` }, archiveStream(each))
      return { stream: each.stream, entries: each.entries, archived: open === 0, open }
    }))
  })
  const done = yield* run.pipe(Effect.provide(yield* logHere("archive")),
    Effect.mapError((error) => error instanceof CommandFailed ? error : commandFailed("failed", `The archiving stopped: ${error.message}; start it again and it goes on from there`)))
  yield* answer(done, () => done.length === 0 ? ["No period is over that is not archived"] : done.map(({ archived, entries, open, stream }) =>
    archived ? `${stream}: ${count(entries)} entries are in the archive` : `${stream}: stays, ${count(open)} of its composes have not ended`))
  if (done.some(({ archived }) => !archived)) return yield* commandFailed("failed", "")
})
