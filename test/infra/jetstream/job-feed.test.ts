import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, Layer, Stream } from "effect"
import { v7 } from "uuid"
import { AttemptToken, ComposeId, JobId, TenantId } from "../../../domain/ids.ts"
import { JobFeed } from "../../../domain/ports/job-feed.ts"
import { JobFeedJetStream } from "../../../infra/jetstream/job-feed.ts"
import { WorkNats } from "../../../infra/jetstream/nats.ts"
import { TestAccounts } from "../../support/nats-layers.ts"
import { TestNats } from "../../support/servers.ts"

const Stack = JobFeedJetStream({ replicas: 1 }).pipe(Layer.provideMerge(TestAccounts), Layer.provideMerge(TestNats.layer))

const tenantId = TenantId.make("acme")
const token = AttemptToken.make("t".repeat(24))
const jobId = JobId.make("0-build")

const say = Effect.fnUntraced(function*(composeId: ComposeId, feed: "log" | "progress", body: object) {
  const { js } = yield* WorkNats
  yield* Effect.promise(() => js.publish(`worker.default.w1.${feed}.${tenantId}.${composeId}.${jobId}`, JSON.stringify({ attempt: 1, token, at: 1, ...body })))
})

layer(Stack, { excludeTestServices: true, timeout: "20 seconds" })("the feed of a compose", (it) => {
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
    }), 20_000)

  it.effect("passes on what is said now, with the sequence it was kept under, and leaves out what it cannot read", () =>
    Effect.gen(function*() {
      const feed = yield* JobFeed
      const id = ComposeId.make(v7())
      const heard = yield* feed.live(tenantId, id).pipe(Stream.take(2), Stream.runCollect, Effect.forkChild)
      yield* Effect.sleep("100 millis")
      yield* say(id, "log", { lines: "not a list" })
      yield* say(id, "progress", { progress: { stage: "s", percent: 5 } })
      yield* say(id, "log", { lines: ["live"] })
      const items = yield* Fiber.join(heard)
      const [line] = items.filter((item) => item._tag === "LogLines")
      const [kept] = (yield* feed.recent(tenantId, id, 0)).filter((item) => item._tag === "LogLines")
      assert.deepStrictEqual(line, kept)
    }))
})
