/** A scheduler in a process of its own that is killed (-9) in the midst of what takes it several steps. */
import { afterAll, assert, beforeAll, describe, it, layer } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Layer } from "effect"
import { v7 } from "uuid"
import { executeOnPipeline, readPipeline } from "../../../apps/pipelines.ts"
import { ComposeId, Millis, PipelineName, type TenantId } from "../../../domain/ids.ts"
import { DeclarePipeline, DeletePipeline } from "../../../domain/pipeline-commands.ts"
import { EventLog } from "../../../domain/ports/event-log.ts"
import { Periods } from "../../../domain/ports/periods.ts"
import { composeRef, pipelineRef } from "../../../domain/recorded.ts"
import { CoreNats } from "../../../infra/jetstream/nats.ts"
import { decisionOf, finished, jobs, queued, requested } from "../../support/composes.ts"
import { logIn } from "../../support/kiln-log.ts"
import { TestAccounts } from "../../support/nats-layers.ts"
import { type S3Fault, type S3Server, s3Keys, startS3 } from "../../support/s3-stand-in.ts"
import { startSchedulerProcess } from "../../support/scheduler-process.ts"
import { temporaryFolder, TestNats } from "../../support/servers.ts"
import { Folder, historyOf, newTenant, SmallStack, startScheduler, startWorker, until } from "../../support/small-stack.ts"

let s3: S3Server
const keys = { AWS_ACCESS_KEY_ID: s3Keys.access_key_id, AWS_SECRET_ACCESS_KEY: s3Keys.secret_access_key }
const before = Object.fromEntries(Object.keys(keys).map((name) => [name, process.env[name]]))
beforeAll(async () => {
  s3 = await startS3()
  s3.store.make("archive", "eu-north-1")
  Object.assign(process.env, keys)
})
afterAll(async () => {
  for (const [name, value] of Object.entries(before)) if (value === undefined) delete process.env[name]; else process.env[name] = value
  await s3.close()
})

describe("a scheduler that is killed while it archives", () => {
  it.live("given kill -9 at one request to the archive after the other, then nothing is lost, the archive is whole, and the period is dropped once", () =>
    Effect.gen(function*() {
      const archive = `s3://archive/kiln?endpoint=${encodeURIComponent(s3.endpoint)}&region=eu-north-1`
      const context = yield* Effect.context<CoreNats | TestNats>()
      const [dir, { jsm, nc }] = [yield* temporaryFolder, Context.get(context, CoreNats)]
      const dropped: Array<string> = []
      nc.subscribe("$JS.EVENT.ADVISORY.STREAM.DELETED.>", { callback: (_, { subject }) => void dropped.push(subject.split(".").at(-1)!) })
      const { log } = yield* logIn(context, archive)
      const refs = Array.from({ length: 50 }, () => composeRef(newTenant(), ComposeId.make(v7())))
      yield* Effect.forEach(refs, (ref) => log.append(ref, 0, decisionOf(v7(), requested)), { concurrency: "unbounded", discard: true })
      yield* Effect.forEach(refs, (ref) => log.append(ref, 1, decisionOf(v7(), queued(jobs.build), finished("succeeded"))), { concurrency: "unbounded", discard: true })
      const histories = Effect.forEach(refs, (ref) => Effect.map(log.read(ref), ({ recorded }) => recorded))
      const known = yield* histories
      const streams = [...new Set(known.flat().map(({ position }) => position.stream))]
      const isOnServer = (stream: string) => Effect.promise(() => jsm.streams.info(stream).then(() => true, () => false))

      const start = startSchedulerProcess(dir, "archiver", { ...keys, KILN_ARCHIVE: archive, KILN_ARCHIVE_EVERY: "100 millis", KILN_ARCHIVE_AFTER: "0 seconds" })
      /** Each is killed one request further on; each begins with what the one before has left. */
      const deaths: ReadonlyArray<readonly [n: number, fault: (reached: () => void) => S3Fault]> = [
        [1, (reached) => ({ hang: reached })],
        [2, (reached) => {
          reached()
          return { wait: new Promise(() => {}) }
        }],
        [3, (reached) => ({ hang: reached })],
        [5, (reached) => ({ hang: reached })]
      ]
      for (const [n, fault] of deaths) {
        const reached = yield* Deferred.make<void>()
        const first = s3.asked.length
        s3.fault = (request) => request.n === first + n ? fault(() => Deferred.doneUnsafe(reached, Effect.void)) : undefined
        const child = yield* start
        yield* Effect.timeout(Deferred.await(reached), "30 seconds")
        yield* child.signal("SIGKILL")
        yield* child.exited
        s3.fault = () => undefined
        assert.deepStrictEqual(yield* Effect.forEach(streams, isOnServer), streams.map(() => true))
        assert.deepStrictEqual(yield* histories, known)
      }
      yield* start
      yield* until(Effect.forEach(streams, isOnServer), (there) => !there.includes(true))
      const { ports } = yield* logIn(context, archive)
      yield* until(Context.get(ports, Periods).list, (all) => streams.every((stream) => all.find((each) => each.stream === stream)?.state === "dropped"))
      // Periods in which nothing happened go, too.
      assert.deepStrictEqual(dropped.filter((stream) => streams.includes(stream)).toSorted(), streams.toSorted())
      assert.deepStrictEqual(yield* histories, known)
      // As whoever begins now has it: of the archive alone.
      const later = Context.get(ports, EventLog)
      assert.deepStrictEqual(yield* Effect.forEach(refs, (ref) => Effect.map(later.read(ref), ({ recorded }) => recorded)), known)
    }).pipe(Effect.scoped, Effect.provide(TestAccounts.pipe(Layer.provideMerge(Layer.fresh(TestNats.layer))))))
})

const web = PipelineName.make("web")
const ages = 2 ** 41
const say = (tenantId: TenantId, command: Parameters<typeof executeOnPipeline>[2]) =>
  executeOnPipeline({ tenantId, messageId: v7(), at: command.at, actor: { kind: "requester", id: "test" } }, web, command)
const now = () => Millis.make(Date.now())
const pipelineOf = (tenantId: TenantId) => Effect.map(readPipeline(tenantId, web), ({ pipeline }) => pipeline)
const eventsOf = (tenantId: TenantId) =>
  Effect.map(Effect.flatMap(EventLog, (log) => log.read(pipelineRef(tenantId, web))), ({ recorded }) => recorded.flatMap(({ events }) => events))

layer(SmallStack, { excludeTestServices: true })("a scheduler that is killed while pipelines are under way", (it) => {
  it.effect("given kill -9 again and again, then no build is doubled, numbers have no gap, and each build is promoted once", () =>
    Effect.gen(function*() {
      const tenants = [newTenant(), newTenant(), newTenant()]
      const { dir } = yield* Folder
      yield* startWorker("w1", { abilities: { slots: { resolve: 1, build: 2, upload: 1, delete: 1 } } })
      for (const [at, tenantId] of tenants.entries()) {
        const options = at === 0 ? {} : { packages_every_ms: at === 1 ? 300 : ages }
        const request = { distribution: at === 0 ? "test-distro-1" : "test-distro-2", images: [{ architecture: "x86_64", type: "simulated", options }] as const }
        yield* say(tenantId, DeclarePipeline.make({
          at: now(), definition: { request, schedule: { everyMs: 80 }, maxAgeMs: 300 }, means: { builder: "simulated", resolves: at > 0 }
        }))
      }
      const begin = Effect.map(Effect.forkDetach(Effect.scoped(Effect.andThen(startScheduler("pipelines"), Effect.never))),
        (fiber) => Effect.timeoutOption(Fiber.interrupt(fiber), "3 seconds"))
      // Which lets the worker in, whose token the real one would refuse.
      const stop = yield* begin
      for (const tenantId of tenants) yield* until(pipelineOf(tenantId), ({ promoted }) => promoted !== undefined)
      yield* stop
      const progress = Effect.map(Effect.forEach(tenants, eventsOf), (all) => all.flat().length)
      for (let round = 0; round < 4; round++) {
        const child = yield* startSchedulerProcess(dir, "pipelines")
        const already = yield* progress
        yield* until(progress, (count) => count > already + 2 + 3 * round)
        yield* child.signal("SIGKILL")
        yield* child.exited
      }
      yield* startSchedulerProcess(dir, "pipelines")
      for (const tenantId of tenants) {
        const { lastNumber } = yield* pipelineOf(tenantId)
        yield* until(pipelineOf(tenantId), ({ promoted }) => (promoted?.number ?? 0) > lastNumber)
        yield* say(tenantId, DeletePipeline.make({ at: now() }))
        const events = yield* eventsOf(tenantId)
        const builds = events.filter((event) => event._tag === "BuildRequested")
        const checks = events.filter((event) => event._tag === "CheckRequested")
        assert.deepStrictEqual(builds.map(({ number }) => number), builds.map((_, at) => at + 1))
        assert.strictEqual(new Set([...builds, ...checks].map(({ composeId }) => composeId)).size, builds.length + checks.length)
        const good = events.flatMap((event) => event._tag === "BuildEnded" && event.outcome === "good" ? [event.number] : [])
        assert.deepStrictEqual(events.flatMap((event) => event._tag === "PipelinePromoted" ? [event.number] : []), good)
        assert.strictEqual(events.filter(({ _tag }) => _tag === "BuildEnded").length, good.length)
        for (const { composeId } of [...builds.slice(0, -1), ...checks.slice(0, -1)]) {
          const history = yield* historyOf(tenantId, composeId)
          assert.strictEqual(history.filter(({ _tag }) => _tag === "ComposeRequested").length, 1)
          const succeeded = history.flatMap((event) => event._tag === "JobSucceeded" ? [event.jobId] : [])
          assert.strictEqual(new Set(succeeded).size, succeeded.length, "a job has its effect once")
        }
      }
    }).pipe(Effect.scoped))
})
