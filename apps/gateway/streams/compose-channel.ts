/** One compose as it goes on, for all who follow it here: read once, told to each. */
import { Effect, Fiber, Queue, Schedule, Scope } from "effect"
import type { ComposeId, JobId, TenantId } from "../../../domain/ids.ts"
import { EventLog, type LogUnavailable } from "../../../domain/ports/event-log.ts"
import { type FeedItem, JobFeed, type LogLines, type Missed, missedAnything, type ProgressReport } from "../../../domain/ports/job-feed.ts"
import { composeRef, type LogEntry, type Recorded } from "../../../domain/recorded.ts"
import { NotFound } from "../api/problems.ts"
import { beginning, type Cursor, type Told } from "../follower.ts"
import { progressText } from "../sse.ts"
import { Broadcast } from "./broadcast.ts"
import { endFrame, type Frame, frameOf, latest } from "./frame.ts"
import { LogTail } from "./log-tail.ts"
import type { Reader } from "./reader.ts"
import { endsCompose, retell } from "./retell.ts"
import { Window } from "./window.ts"

type Heard = LogEntry | FeedItem | Missed
type Render = (from: Cursor) => (frame: Frame) => Uint8Array | string | undefined

export interface ComposeChannel {
  /** Tells the reader all after a place, until the compose has ended or the reader has gone. Answers when it only has to wait for news. */
  attend(reader: Reader, from: Cursor, render: Render, progress: boolean): Effect.Effect<void, LogUnavailable | NotFound>
}

/** More than that at once is read from where it is kept. */
const mostHeard = 10_000
/** Lines out of turn are told apart from known ones among the latest so many. */
const mostRemembered = 1000

/** By so much the server may have gone back, as lines are not synced to disk. */
const mostLost = 1000

/** A server that is away is asked again; after a minute readers are better off elsewhere. */
const patiently = Schedule.max([Schedule.spaced("1 second"), Schedule.recurs(60)])

export interface ChannelOptions {
  /** Bytes that are kept for those who fall behind. */
  readonly limit: () => number
  /** Nothing more will come of it. */
  readonly broken: Effect.Effect<void>
  /** With what all channels share: a fiber of ours would keep what its request had. */
  readonly run: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
}

export const openComposeChannel = Effect.fnUntraced(function*(tenantId: TenantId, composeId: ComposeId, { broken, limit, run }: ChannelOptions) {
  const log = yield* EventLog
  const feed = yield* JobFeed
  const tail = yield* LogTail
  const ref = composeRef(tenantId, composeId)
  const scope = yield* Effect.scope

  const heard = yield* Queue.unbounded<Heard>()
  let overheard = false
  yield* tail.hear(ref, (entry) => Queue.offerUnsafe(heard, entry))
  yield* feed.hear(tenantId, composeId, (said) => {
    overheard ||= Queue.sizeUnsafe(heard) >= mostHeard
    if (!overheard) Queue.offerUnsafe(heard, said)
  })

  /** Of all that readers cannot have from the window any more. */
  let dropped = beginning
  const broadcast = new Broadcast(new Window<Frame>(limit, ({ cursor }) => {
    if (cursor !== undefined) dropped = latest(dropped, cursor)
  }))
  const say = (told: ReadonlyArray<Told>) => Effect.sync(() => {
    for (const each of told) broadcast.say(frameOf(each))
  })
  const sayEnd = () => {
    if (follower.ended === undefined) return
    broadcast.say(endFrame(follower.ended))
  }

  const history = Effect.flatMap(log.read(ref), ({ recorded: [first, ...rest] }) =>
    first === undefined ? Effect.fail(new NotFound({ detail: `there is no compose ${composeId}` })) : Effect.succeed([first, ...rest] as const))

  const recorded = yield* history
  const retold = yield* retell(recorded, 0, say)
  const { follower } = retold
  let { horizon } = retold
  let hasLooked = recorded.some(begins)
  const remembered = new Set<number>()
  const progress = new Map<JobId, Buffer>()

  const printed = (item: LogLines): ReadonlyArray<Told> => {
    if (item.sequence <= horizon || remembered.has(item.sequence)) {
      if (!follower.isLater(item)) return []
      // A server that was killed has lost the latest lines, and gives their sequences to others.
      horizon = Math.min(horizon, item.sequence - 1)
      remembered.clear()
      follower.rewind(horizon)
    }
    remembered.add(item.sequence)
    if (remembered.size > mostRemembered) {
      const [oldest] = remembered as Iterable<number> as [number]
      remembered.delete(oldest)
      horizon = Math.max(horizon, oldest)
    }
    return follower.printed(item)
  }

  const look = (from = horizon) => Effect.gen(function*() {
    hasLooked = true
    for (let [after, more] = [from, true]; more;) {
      const page = yield* feed.lines(tenantId, composeId, after)
      yield* say(page.lines.flatMap(printed))
      after = page.lines.at(-1)?.sequence ?? after
      horizon = Math.max(horizon, after)
      more = page.more
    }
    remembered.clear()
  })

  const decided = Effect.fnUntraced(function*(entry: Recorded<"compose">) {
    // Whoever goes on after the end has to have had all lines.
    if (endsCompose(entry)) yield* look()
    yield* say(follower.decided(entry))
    for (const job of progress.keys()) if (!follower.isRunning(job)) progress.delete(job)
    if (!hasLooked && begins(entry)) yield* look()
  })

  const readOn = Effect.gen(function*() {
    const { recorded: news } = yield* log.read(ref, follower.revision)
    yield* Effect.forEach(news, decided, { discard: true })
    return news.length
  })

  const isNews = (entry: LogEntry): entry is Recorded<"compose"> =>
    entry._tag === "Recorded" && entry.aggregate === "compose" && entry.revision > follower.revision

  const take = Effect.fnUntraced(function*(said: Heard) {
    switch (said._tag) {
      case "Recorded":
      case "Unreadable": {
        if (!isNews(said)) return
        if (said.revision === follower.revision + 1) yield* decided(said)
        else yield* readOn
        // An end that a retry has undone by now is none.
        while (follower.ended !== undefined && (yield* readOn) > 0);
        return sayEnd()
      }
      case "LogLines":
        return yield* say(printed(said))
      case "ProgressReport":
        return progressed(said)
      case "Missed":
        if (said === missedAnything) yield* look(Math.max(0, follower.cursor.sequence - mostLost))
        else if (said.upTo > horizon && !remembered.has(said.upTo)) yield* look()
    }
  })

  const progressed = (said: ProgressReport) => {
    if (!follower.progressed(said)) return
    const text = Buffer.from(progressText(said))
    progress.set(said.jobId, text)
    broadcast.mention(text)
  }

  if (hasLooked && follower.ended === undefined) for (const each of yield* feed.progress(tenantId, composeId)) progressed(each)
  sayEnd()

  const following = run(Effect.gen(function*() {
    for (;;) {
      for (const said of yield* Queue.takeAll(heard)) yield* Effect.retry(take(said), patiently)
      if (!overheard) continue
      overheard = false
      yield* Effect.retry(look(), patiently)
    }
  }).pipe(
    Effect.catch((error) => Effect.gen(function*() {
      yield* Effect.logWarning("a compose cannot be followed", error.message)
      yield* broken
      broadcast.each((reader) => reader.leave("unavailable"))
    }))))
  yield* Scope.addFinalizer(scope, Fiber.interrupt(following))

  const covers = ({ revision, sequence }: Cursor) => dropped.revision <= revision && dropped.sequence <= sequence

  /** What the window has not any more, read for this one alone. */
  const catchUp = Effect.fnUntraced(function*(reader: Reader, from: Cursor, render: Render) {
    const rendered = render(from)
    const { follower: alone } = yield* retell(yield* history, from.sequence, (told) => Effect.suspend(() => {
      for (const each of told) {
        const text = rendered(frameOf(each))
        if (text !== undefined) reader.write(text)
      }
      return reader.room
    }))
    return latest(from, alone.cursor)
  }, Effect.provideService(JobFeed, feed))

  return {
    attend: Effect.fnUntraced(function*(reader, from, render, withProgress) {
      let at = from
      while (!covers(at) && !reader.hasGone) at = yield* catchUp(reader, at, render)
      const { rise } = broadcast.sit(reader, endingWith(render(at), reader, () => broadcast.window.at(broadcast.window.next - 1)))
      reader.whenGone(rise)
      if (withProgress) for (const text of progress.values()) reader.write(text)
    })
  } satisfies ComposeChannel
})

/** The end is one only while nothing was said after it. */
const endingWith = (render: ReturnType<Render>, reader: Reader, last: () => Frame | undefined) => (frame: Frame) => {
  if (frame.cursor !== undefined) return render(frame)
  if (last() !== frame) return undefined
  const text = render(frame)
  if (text !== undefined) reader.write(text)
  reader.leave("ended")
  return undefined
}

const begins = ({ events }: Recorded<"compose">): boolean => events.some(({ _tag }) => _tag === "JobStarted")
