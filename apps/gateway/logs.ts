/** What a compose's jobs have printed, as text: archived logs of ended attempts, kept lines of all others. */
import { Readable } from "node:stream"
import { createGunzip } from "node:zlib"
import * as NodeStream from "@effect/platform-node/NodeStream"
import { Effect, Stream } from "effect"
import { ComposeId, type TenantId } from "../../domain/ids.ts"
import { Blobs, BlobsUnavailable } from "../../domain/ports/blobs.ts"
import type { LogUnavailable } from "../../domain/ports/event-log.ts"
import { JobFeed } from "../../domain/ports/job-feed.ts"
import type { AttemptRow } from "../../projections/job-attempts.ts"
import type { ComposeState } from "./compose-details.ts"

type Text = Stream.Stream<Uint8Array, BlobsUnavailable | LogUnavailable, Blobs | JobFeed>

/** Of one job or, without its id, of all, each attempt under a heading where there are several. */
export const composeLogs = (tenantId: TenantId, state: ComposeState, job: string | undefined): Text => {
  const wanted = state.attempts
    .filter(({ jobId, startedAt }) => (job === undefined || jobId === job) && startedAt !== null)
  return Stream.fromIterable(wanted).pipe(Stream.flatMap((attempt): Text => {
    const text = attempt.log === null ? kept(tenantId, state, attempt) : archived(attempt.log)
    return wanted.length > 1 ? Stream.concat(plain(heading(attempt)), text) : text
  }))
}

const heading = ({ jobId, attempt, status }: AttemptRow) => `==> ${jobId}, attempt ${attempt}, ${status} <==\n`

const plain = (text: string) => Stream.encodeText(Stream.make(text))

const archived = (log: NonNullable<AttemptRow["log"]>): Text =>
  Stream.unwrap(Effect.gen(function*() {
    const bytes = yield* (yield* Blobs).get(log.digest)
    if (bytes === undefined) return plain("(this log is no longer kept)\n")
    return NodeStream.fromReadable<Uint8Array, BlobsUnavailable>({
      evaluate: () => Readable.from([bytes]).pipe(createGunzip()),
      onError: () => new BlobsUnavailable({ message: "the archived log cannot be unpacked" })
    })
  }))

const kept = (tenantId: TenantId, { row, speakers }: ComposeState, { jobId, attempt }: AttemptRow): Text =>
  Stream.unwrap(Effect.gen(function*() {
    const items = yield* (yield* JobFeed).recent(tenantId, ComposeId.make(row.composeId), 0)
    const lines = items.flatMap((item) => {
      const own = item._tag === "LogLines" && item.jobId === jobId && item.attempt === attempt && speakers.has(item)
      return own ? item.lines : []
    })
    return plain(lines.map((line) => `${line}\n`).join(""))
  }))
