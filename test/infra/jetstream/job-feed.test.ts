import { assert, layer } from "@effect/vitest"
import { Effect, Layer, Schedule } from "effect"
import { v7 } from "uuid"
import { AttemptToken, ComposeId, JobId, TenantId } from "../../../domain/ids.ts"
import { type FeedItem, JobFeed, type Missed } from "../../../domain/ports/job-feed.ts"
import { JobFeedJetStream } from "../../../infra/jetstream/job-feed.ts"
import { WorkNats } from "../../../infra/jetstream/nats.ts"
import { TestAccounts } from "../../support/nats-layers.ts"
import { TestNats } from "../../support/servers.ts"
import { until } from "../../support/small-stack.ts"

const Stack = JobFeedJetStream({ replicas: 1 }).pipe(Layer.provideMerge(TestAccounts), Layer.provideMerge(TestNats.layer))

const tenantId = TenantId.make("acme")
const token = AttemptToken.make("t".repeat(24))
const jobId = JobId.make("0-build")

const say = Effect.fnUntraced(function*(composeId: ComposeId, feed: "log" | "progress", body: object) {
  const { js } = yield* WorkNats
  yield* Effect.tryPromise(() => js.publish(`worker.default.w1.${feed}.${tenantId}.${composeId}.${jobId}`, JSON.stringify({ attempt: 1, token, at: 1, ...body }), { timeout: 500 }))
})

layer(Stack, { excludeTestServices: true })("the feed of a compose", (it) => {
  it.effect("has nothing to tell of a compose that has said nothing, whoever else has spoken", () =>
    Effect.gen(function*() {
      const feed = yield* JobFeed
      const [silent, loud] = [ComposeId.make(v7()), ComposeId.make(v7())]
      assert.deepStrictEqual(yield* feed.recent(tenantId, silent, 0), [])
      yield* say(loud, "log", { lines: ["one"] })
      yield* say(loud, "progress", { progress: { stage: "s", percent: 1 } })
      assert.deepStrictEqual(yield* feed.recent(tenantId, silent, 0), [])
    }))

  it.effect("gives the kept lines after a sequence, more than one page of them, and the latest progress", () =>
    Effect.gen(function*() {
      const feed = yield* JobFeed
      const id = ComposeId.make(v7())
      yield* Effect.forEach(Array.from({ length: 1005 }, (_, index) => index), (index) => say(id, "log", { lines: [`line ${index}`] }))
      yield* say(id, "progress", { progress: { stage: "early", percent: 1 } })
      yield* say(id, "progress", { progress: { stage: "late", percent: 99 } })
      const items = yield* feed.recent(tenantId, id, 0)
      const lines = items.filter((item) => item._tag === "LogLines")
      assert.deepStrictEqual(lines.map((item) => item.lines[0]), Array.from({ length: 1005 }, (_, index) => `line ${index}`))
      assert.deepStrictEqual(items.filter((item) => item._tag === "ProgressReport").map((item) => item.progress.stage), ["late"])
      const rest = yield* feed.recent(tenantId, id, lines[1000]!.sequence)
      assert.strictEqual(rest.filter((item) => item._tag === "LogLines").length, 4)
    }))

  it.effect("gives kept lines by pages, and none of before a time that is said", () =>
    Effect.gen(function*() {
      const feed = yield* JobFeed
      const id = ComposeId.make(v7())
      const before = Date.now() - 1000
      yield* Effect.forEach(Array.from({ length: 505 }, (_, index) => index), (index) => say(id, "log", { lines: [`line ${index}`] }))
      const first = yield* feed.lines(tenantId, id, 0, before)
      assert.deepStrictEqual(first.lines.map((item) => item.lines[0]), Array.from({ length: 500 }, (_, index) => `line ${index}`))
      const second = yield* feed.lines(tenantId, id, first.lines.at(-1)!.sequence)
      assert.deepStrictEqual(second.lines.map((item) => item.lines[0]), ["line 500", "line 501", "line 502", "line 503", "line 504"])
      assert.deepStrictEqual([first.more, second.more], [true, false])
      assert.deepStrictEqual(yield* feed.lines(tenantId, id, second.lines.at(-1)!.sequence), { lines: [], more: false })
      assert.deepStrictEqual(yield* feed.lines(tenantId, id, 0, Date.now() + 60_000), { lines: [], more: false })
    }))

  it.effect("gives no more at once than is good to have in memory", () =>
    Effect.gen(function*() {
      const feed = yield* JobFeed
      const id = ComposeId.make(v7())
      for (let index = 0; index < 6; index++) yield* say(id, "log", { lines: ["x".repeat(200_000)] })
      assert.isBelow((yield* feed.lines(tenantId, id, 0)).lines.length, 5)
      assert.strictEqual((yield* feed.recent(tenantId, id, 0)).length, 6)
    }))

  it.effect("tells of what is said now, with the sequence it was kept under, leaves out what it cannot read, and falls silent with its scope", () =>
    Effect.gen(function*() {
      const feed = yield* JobFeed
      const id = ComposeId.make(v7())
      const heard: Array<FeedItem | Missed> = []
      yield* Effect.scoped(Effect.gen(function*() {
        yield* feed.hear(tenantId, id, (said) => heard.push(said))
        yield* say(id, "log", { lines: "not a list" })
        yield* say(id, "progress", { progress: { stage: "s", percent: 5 } })
        yield* say(id, "log", { lines: ["live"] })
        yield* until(Effect.sync(() => heard.length), (count) => count === 2)
      }))
      yield* say(id, "log", { lines: ["unheard"] })
      const lines = heard.filter((item) => item._tag === "LogLines")
      assert.deepStrictEqual(lines, (yield* feed.lines(tenantId, id, 0)).lines.slice(0, 1))
      assert.deepStrictEqual(heard.map(({ _tag }) => _tag).sort(), ["LogLines", "ProgressReport"])
    }))

  it.effect("says that lines were said before what it hears first", () =>
    Effect.gen(function*() {
      const feed = yield* JobFeed
      const id = ComposeId.make(v7())
      yield* say(id, "log", { lines: ["before"] })
      const { lines: [before] } = yield* feed.lines(tenantId, id, 0)
      const heard: Array<FeedItem | Missed> = []
      yield* feed.hear(tenantId, id, (said) => heard.push(said))
      yield* say(id, "log", { lines: ["now"] })
      yield* say(id, "log", { lines: ["next"] })
      yield* until(Effect.sync(() => heard.length), (count) => count === 3)
      assert.deepStrictEqual(heard.map((said) => said._tag === "LogLines" ? said.lines[0] : said), [{ _tag: "Missed", upTo: before!.sequence }, "now", "next"])
    }).pipe(Effect.scoped))

  it.effect("says after a broken connection that anything may be missing, and hears on", () =>
    Effect.gen(function*() {
      const { restart } = yield* TestNats
      const feed = yield* JobFeed
      const id = ComposeId.make(v7())
      const heard: Array<FeedItem | Missed> = []
      yield* feed.hear(tenantId, id, (said) => heard.push(said))
      yield* restart
      yield* until(Effect.sync(() => heard), ([first]) => first?._tag === "Missed")
      yield* Effect.retry(say(id, "log", { lines: ["after"] }), { times: 100, schedule: Schedule.spaced("20 millis") })
      yield* until(Effect.sync(() => heard.at(-1)), (last) => last?._tag === "LogLines")
      yield* Effect.retry(say(id, "progress", { progress: { stage: "kept in memory", percent: 1 } }), { times: 100, schedule: Schedule.spaced("20 millis") })
      assert.strictEqual((yield* feed.progress(tenantId, id)).length, 1)
    }).pipe(Effect.scoped))
})
