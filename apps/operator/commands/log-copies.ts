/** The whole log to files and back, past the gateway. */
import { Effect } from "effect"
import { type CopiedLog, type CopyProgress, LogCopies } from "../../../domain/ports/log-copies.ts"
import { commandFailed } from "../command-failed.ts"
import { confirmed } from "../confirm.ts"
import { fromHere } from "../endpoint.ts"
import { onRecordHere } from "../on-record-here.ts"
import { answer, Output } from "../output.ts"
import { logHere } from "../past-the-gateway.ts"
import { count, progressOf } from "../progress.ts"
import { bytes } from "../units.ts"

const placeNamed = (text: string): string => text.startsWith("s3://") ? text : fromHere(text)
const wordsOf = ({ blobs, entries, files, streams, ...all }: CopiedLog) => {
  const others = [...(blobs === undefined ? [] : [blobWords(blobs)]), ...(files === undefined || files.count + files.missing === 0 ? [] : [fileWords(files)])]
  return `${count(entries)} entries of ${streams} streams${others.map((each) => ` and ${each}`).join("")}, ${bytes(all.bytes)}`
}
const fileWords = ({ count: there, missing }: NonNullable<CopiedLog["files"]>) =>
  `${count(there)} stored files${missing === 0 ? "" : ` (${count(missing)} more were damaged, or are gone)`}`
const blobWords = ({ count: there, missing }: NonNullable<CopiedLog["blobs"]>) =>
  `${count(there)} blobs${missing === 0 ? "" : ` (${count(missing)} more that the log names were not there)`}`

/** Drawn as it goes: what copies tells from within, where nothing waits for the screen. */
const drawn = Effect.fnUntraced(function*<A, E, R>(what: string, run: (show: (progress: CopyProgress) => void) => Effect.Effect<A, E, R>) {
  const progress = progressOf(yield* Output, what)
  return yield* Effect.ensuring(run((at) => Effect.runSync(progress.show(at))), progress.clear)
})

const stopped = (what: string) => Effect.mapError(({ message }: { readonly message: string }) => commandFailed("failed", `${what} stopped: ${message}`))

export const exportLog = Effect.fn("exportLog")(function*({ to, withoutBlobs }: { readonly to: string; readonly withoutBlobs: boolean }) {
  const place = placeNamed(to)
  const copied = yield* onRecordHere({ operation: "log-export", on: place, result: wordsOf },
    drawn("export", (show) => Effect.flatMap(LogCopies, (copies) => copies.export(place, show, { withoutBlobs })))).pipe(Effect.provide(yield* logHere("events export")), stopped("The export"))
  yield* answer({ place, ...copied }, () => [`${wordsOf(copied)} are in ${place}`])
})

export const importLog = Effect.fn("importLog")(function*({ check, from, withoutBlobs, yes }: { readonly from: string; readonly check: boolean; readonly withoutBlobs: boolean; readonly yes: boolean }) {
  const place = placeNamed(from)
  if (!check) yield* confirmed(`fills the log from ${place}`, yes)
  const run = Effect.gen(function*() {
    const copies = yield* LogCopies
    if (check) return yield* drawn("check", (show) => copies.verify(place, show, { withoutBlobs }))
    const copied = yield* drawn("import", (show) => copies.import(place, show, { withoutBlobs }))
    // Not before: what is on record is in the log, which has to be empty.
    yield* onRecordHere({ operation: "log-import", on: place, result: () => wordsOf(copied) }, Effect.void)
    return copied
  })
  const copied = yield* run.pipe(Effect.provide(yield* logHere("events import")), stopped(check ? "The check" : "The import"))
  yield* answer({ place, checked: check, ...copied }, () => [
    check ? `${wordsOf(copied)}: all of it is there, and as it was written` : `${wordsOf(copied)} are in the log${movedWords(copied)}`
  ])
})

const movedWords = ({ moved = 0 }: CopiedLog): string => moved === 0 ? ", each where it was" : `; ${count(moved)} of them have other positions than they had`
