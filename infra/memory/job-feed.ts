/** The job feed in memory, with the end that workers speak into. */
import { Context, Effect, Layer, PubSub, Stream } from "effect"
import type { AttemptToken, ComposeId, JobId, Millis, TenantId } from "../../domain/ids.ts"
import type { Progress } from "../../domain/ports/image-builder.ts"
import { type FeedItem, JobFeed, type LogLines, type ProgressReport } from "../../domain/ports/job-feed.ts"

interface From {
  readonly jobId: JobId
  readonly attempt: number
  readonly token: AttemptToken
  readonly at: Millis
}

export class JobFeedSource extends Context.Service<JobFeedSource, {
  lines(tenantId: TenantId, composeId: ComposeId, from: From, lines: ReadonlyArray<string>): Effect.Effect<void>
  progress(tenantId: TenantId, composeId: ComposeId, from: From, progress: Progress): Effect.Effect<void>
}>()("infra/memory/JobFeedSource") {}

interface Said {
  readonly key: string
  readonly item: FeedItem
}

const keyOf = (tenantId: TenantId, composeId: ComposeId) => `${tenantId}/${composeId}`

export const JobFeedInMemory = Layer.effectContext(Effect.gen(function*() {
  const lines: Array<Said & { readonly item: LogLines }> = []
  const progress = new Map<string, Said & { readonly item: ProgressReport }>()
  const live = yield* PubSub.unbounded<Said>()

  const feed = JobFeed.of({
    recent: (tenantId, composeId, after) =>
      Effect.sync(() => {
        const key = keyOf(tenantId, composeId)
        return [
          ...lines.filter((said) => said.key === key && said.item.sequence > after),
          ...[...progress.values()].filter((said) => said.key === key)
        ].map(({ item }) => item)
      }),
    live: (tenantId, composeId) => {
      const key = keyOf(tenantId, composeId)
      return Stream.fromPubSub(live).pipe(Stream.filter((said) => said.key === key), Stream.map(({ item }) => item))
    }
  })

  const source = JobFeedSource.of({
    lines: (tenantId, composeId, from, text) =>
      Effect.suspend(() => {
        const item: LogLines = { _tag: "LogLines", ...from, sequence: lines.length + 1, lines: text }
        const said = { key: keyOf(tenantId, composeId), item }
        lines.push(said)
        return PubSub.publish(live, said)
      }),
    progress: (tenantId, composeId, from, now) =>
      Effect.suspend(() => {
        const item: ProgressReport = { _tag: "ProgressReport", ...from, progress: now }
        const said = { key: keyOf(tenantId, composeId), item }
        progress.set(`${said.key}/${from.jobId}`, said)
        return PubSub.publish(live, said)
      })
  })

  return Context.make(JobFeed, feed).pipe(Context.add(JobFeedSource, source))
}))
