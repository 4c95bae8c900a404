/**
 * One compose as it goes on: its decisions, and what its running attempts say. Decisions come from the log. Lines are
 * read from where the feed keeps them, in order and without gaps; its live side only says when to look again.
 */
import { Effect, Stream } from "effect"
import type { ComposeId, TenantId } from "../../domain/ids.ts"
import { EventLog } from "../../domain/ports/event-log.ts"
import { type FeedItem, JobFeed } from "../../domain/ports/job-feed.ts"
import { composeRef, type Recorded } from "../../domain/recorded.ts"
import { type Followed, Follower } from "./follower.ts"

/** How far a listener has come: the last decision and the last line. */
export interface Cursor {
  readonly revision: number
  readonly sequence: number
}

export const beginning: Cursor = { revision: 0, sequence: 0 }

/** What live notices may have missed is found at the next look. */
const lookAgain = "1 second"

type Notice = Recorded<"compose"> | FeedItem | { readonly _tag: "Tick" }
const tick: Notice = { _tag: "Tick" }

/** Ends by itself when the compose has ended and everything about it was said. */
export const followCompose = (tenantId: TenantId, composeId: ComposeId, from: Cursor) =>
  Stream.unwrap(Effect.gen(function*() {
    const log = yield* EventLog
    const feed = yield* JobFeed
    const follower = new Follower(from)

    const look = Effect.map(
      Effect.suspend(() => feed.recent(tenantId, composeId, follower.sequence)),
      (items) => items.flatMap((item) => item._tag === "LogLines" ? follower.printed(item) : follower.progressed(item))
    )

    /** An end that a retry has undone is history. */
    const isLast = (notice: Recorded<"compose">) => Effect.map(log.read(composeRef(tenantId, composeId)), ({ revision }) => revision === notice.revision)

    // Lines that cannot be had now are had at a later look. Only the last must not fail: the end would come too soon.
    const lookIfPossible = Effect.orElseSucceed(look, (): ReadonlyArray<Followed> => [])

    const take = (notice: Notice): Effect.Effect<ReadonlyArray<Followed>, Effect.Error<typeof look>> => {
      switch (notice._tag) {
        case "Recorded": {
          const decided = follower.decided(notice)
          if (follower.ended) {
            return Effect.flatMap(look, (said) =>
              Effect.map(isLast(notice), (last) => [...said, ...decided, ...(last ? [follower.end()] : [])]))
          }
          // Who comes late finds what was said before, without waiting for the next word.
          const started = notice.events.some(({ _tag }) => _tag === "JobStarted")
          return started ? Effect.map(lookIfPossible, (said) => [...decided, ...said]) : Effect.succeed(decided)
        }
        case "ProgressReport":
          return Effect.succeed(follower.progressed(notice))
        case "LogLines":
          return notice.sequence > follower.sequence ? lookIfPossible : Effect.succeed([])
        case "Tick":
          return follower.running ? lookIfPossible : Effect.succeed([])
      }
    }

    const notices: Array<Stream.Stream<Notice, Effect.Error<typeof look>>> = [
      log.watch(composeRef(tenantId, composeId), 0),
      Stream.catch(feed.live(tenantId, composeId), () => Stream.empty),
      Stream.map(Stream.tick(lookAgain), () => tick)
    ]
    return Stream.mergeAll(notices, { concurrency: "unbounded" }).pipe(
      Stream.mapEffect(take),
      Stream.takeUntil((followed) => followed.at(-1)?._tag === "Ended"),
      Stream.filter((followed) => followed.length > 0)
    )
  }))
