/** The job feed in memory, with the end that workers speak into. */
import { Context, Effect, Layer } from "effect"
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

const page = 100

const keyOf = (tenantId: TenantId, composeId: ComposeId) => `${tenantId}/${composeId}`

export const JobFeedInMemory = Layer.effectContext(Effect.sync(() => {
  const lines: Array<Said & { readonly item: LogLines }> = []
  const progress = new Map<string, Said & { readonly item: ProgressReport }>()
  const listeners = new Map<(item: FeedItem) => void, string>()
  const say = (said: Said) => {
    for (const [listener, key] of listeners) if (key === said.key) listener(said.item)
  }

  const feed = JobFeed.of({
    recent: (tenantId, composeId, after) =>
      Effect.sync(() => {
        const key = keyOf(tenantId, composeId)
        return [
          ...lines.filter((said) => said.key === key && said.item.sequence > after),
          ...[...progress.values()].filter((said) => said.key === key)
        ].map(({ item }) => item)
      }),
    lines: (tenantId, composeId, after) =>
      Effect.sync(() => {
        const found = lines.filter(({ item, key }) => key === keyOf(tenantId, composeId) && item.sequence > after)
        return { lines: found.slice(0, page).map(({ item }) => item), more: found.length > page }
      }),
    progress: (tenantId, composeId) =>
      Effect.sync(() => [...progress.values()].filter(({ key }) => key === keyOf(tenantId, composeId)).map(({ item }) => item)),
    hear: (tenantId, composeId, listener) =>
      Effect.acquireRelease(
        Effect.sync(() => void listeners.set(listener, keyOf(tenantId, composeId))),
        () => Effect.sync(() => void listeners.delete(listener))
      )
  })

  const source = JobFeedSource.of({
    lines: (tenantId, composeId, from, text) =>
      Effect.sync(() => {
        const item: LogLines = { _tag: "LogLines", ...from, sequence: lines.length + 1, lines: text }
        const said = { key: keyOf(tenantId, composeId), item }
        lines.push(said)
        say(said)
      }),
    progress: (tenantId, composeId, from, now) =>
      Effect.sync(() => {
        const item: ProgressReport = { _tag: "ProgressReport", ...from, progress: now }
        const said = { key: keyOf(tenantId, composeId), item }
        progress.set(`${said.key}/${from.jobId}`, said)
        say(said)
      })
  })

  return Context.make(JobFeed, feed).pipe(Context.add(JobFeedSource, source))
}))
