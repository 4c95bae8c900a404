import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Layer, type Scope, Stream } from "effect"
import { v7 } from "uuid"
import { ComposeId, TenantId } from "../../../domain/ids.ts"
import { EventLog } from "../../../domain/ports/event-log.ts"
import { Periods } from "../../../domain/ports/periods.ts"
import { composeRef } from "../../../domain/recorded.ts"
import { EventLogJetStream } from "../../../infra/jetstream/event-log.ts"
import { CoreNats } from "../../../infra/jetstream/nats.ts"
import { PeriodsJetStream } from "../../../infra/jetstream/periods.ts"
import { decisionOf, jobs, queued, requested } from "../../support/composes.ts"
import { TestAccounts } from "../../support/nats-layers.ts"
import { type S3Fault, type S3Server, s3Keys, startS3 } from "../../support/s3-stand-in.ts"
import type { StoredObject } from "../../support/s3-store.ts"
import { TestNats } from "../../support/servers.ts"

const bucket = "kiln-archive"
const refs = Array.from({ length: 20 }, () => composeRef(TenantId.make("acme"), ComposeId.make(v7())))
/** What archiving asks of a bucket: three puts, and all of it back. */
const requests = 5

let s3: S3Server
let objects: Map<string, StoredObject>
const location = (run: string) => `s3://${bucket}/${run}?endpoint=${encodeURIComponent(s3.endpoint)}&region=eu-north-1`
const keys = { AWS_ACCESS_KEY_ID: s3Keys.access_key_id, AWS_SECRET_ACCESS_KEY: s3Keys.secret_access_key }
const before = Object.fromEntries(Object.keys(keys).map((name) => [name, process.env[name]]))

beforeAll(async () => {
  s3 = await startS3()
  objects = s3.store.make(bucket, "eu-north-1").objects
  Object.assign(process.env, keys)
})
afterAll(async () => {
  for (const [name, value] of Object.entries(before)) if (value === undefined) delete process.env[name]; else process.env[name] = value
  await s3.close()
})

/** As many of them as are asked for; each is as good as a process of its own. */
const processAt = (archive: string) => Layer.build(Layer.fresh(Layer.merge(
  EventLogJetStream({ partitions: 1, replicas: 1, period: "month", archive }), PeriodsJetStream({ partitions: 1, replicas: 1, period: "month", archive }))))

const filled = Effect.fnUntraced(function*(log: EventLog["Service"]) {
  for (const ref of refs) yield* log.append(ref, 0, decisionOf(v7(), requested))
  const { stream } = yield* log.append(refs[0]!, 1, decisionOf(v7(), queued(jobs.build)))
  return { stream, histories: yield* histories(log) }
})
const histories = (log: EventLog["Service"]) => Effect.forEach(refs, (ref) => log.read(ref))
const isOnServer = (stream: string) => Effect.flatMap(CoreNats, ({ jsm }) => Effect.promise(() => jsm.streams.info(stream).then(() => true, () => false)))
const advanced = Effect.fnUntraced(function*({ archive, drop, seal }: Periods["Service"], stream: string) {
  yield* seal(stream)
  yield* archive(stream)
  yield* drop(stream)
})

const given = (name: string, run: (archive: string) => Effect.Effect<void, unknown, CoreNats | Scope.Scope>) =>
  it.live(`given ${name}, then nothing is lost and the next one goes on`, () =>
    Effect.scoped(run(location(v7()))).pipe(Effect.provide(TestAccounts.pipe(Layer.provideMerge(Layer.fresh(TestNats.layer))))))

/** The first dies there; whether it went well is for the second to find out. */
const diesThen = (archive: string, dying: (log: EventLog["Service"], periods: Periods["Service"], stream: string) => Effect.Effect<unknown, unknown, CoreNats>) =>
  Effect.gen(function*() {
    const first = yield* processAt(archive)
    const { histories: known, stream } = yield* filled(Context.get(first, EventLog))
    yield* dying(Context.get(first, EventLog), Context.get(first, Periods), stream)
    s3.fault = () => undefined
    const second = yield* processAt(archive)
    assert.deepStrictEqual(yield* histories(Context.get(second, EventLog)), known)
    yield* advanced(Context.get(second, Periods), stream)
    assert.isFalse(yield* isOnServer(stream))
    for (const each of [first, second, yield* processAt(archive)]) {
      assert.deepStrictEqual(yield* histories(Context.get(each, EventLog)).pipe(Effect.repeat({ until: (found) => found[0]!.recorded.length > 0, times: 50 })), known)
    }
  })

const diesAtRequest = (archive: string, n: number, fault: (reached: () => void) => S3Fault) =>
  diesThen(archive, Effect.fnUntraced(function*(_, periods, stream) {
    const reached = yield* Deferred.make<void>()
    const begin = s3.asked.length
    s3.fault = ({ n: at }) => at === begin + n ? fault(() => Deferred.doneUnsafe(reached, Effect.void)) : undefined
    yield* periods.seal(stream)
    const archiving = yield* Effect.forkChild(periods.archive(stream))
    yield* Deferred.await(reached)
    assert.isTrue(yield* isOnServer(stream))
    // A process that is killed says nothing more; what it has asked of the bucket may be there or not.
    yield* Fiber.interrupt(archiving).pipe(Effect.timeout("2 seconds"), Effect.ignore)
  }))

describe("archiving that is killed", () => {
  for (let n = 1; n <= requests; n++) {
    given(`a death after request ${n} to the bucket was done and before it was answered`, (archive) => diesAtRequest(archive, n, (reached) => ({ hang: reached })))
    given(`a death before request ${n} to the bucket was done`, (archive) => diesAtRequest(archive, n, (reached) => {
      reached()
      return { wait: new Promise(() => {}) }
    }))
  }

  given("a death between the server's seal and the record of it", (archive) => diesThen(archive, (_, __, stream) =>
    Effect.flatMap(CoreNats, ({ jsm }) => Effect.promise(async () => {
      const sealed = { ...(await jsm.streams.info(stream)).config, sealed: true }
      await jsm.streams.update(stream, sealed)
    }))))

  given("a death between the record of the seal and the archive", (archive) => diesThen(archive, (_, { seal }, stream) => seal(stream)))

  given("a death between the archive and the drop", (archive) => diesThen(archive, (_, periods, stream) =>
    Effect.andThen(periods.seal(stream), periods.archive(stream))))

  given("a death between the drop and the record of it", (archive) => diesThen(archive, (_, periods, stream) =>
    periods.seal(stream).pipe(Effect.andThen(periods.archive(stream)),
      Effect.andThen(Effect.flatMap(CoreNats, ({ jsm }) => Effect.promise(() => jsm.streams.delete(stream)))))))
})

describe("an archive that is not whole", () => {
  const cases: ReadonlyArray<readonly [name: string, harm: (key: string) => void]> = [
    ["has lost a file", (key) => void objects.delete(key)],
    ["has a file with other bytes", (key) => void objects.set(key, { ...objects.get(key)!, bytes: [Buffer.from("other")], size: 5 })]
  ]
  for (const [name, harm] of cases) {
    it.live(`given one that ${name}, then the server keeps the stream, and what is missing is said`, () =>
      Effect.scoped(Effect.gen(function*() {
        const run = v7()
        const first = yield* processAt(location(run))
        const { stream } = yield* filled(Context.get(first, EventLog))
        yield* Context.get(first, Periods).seal(stream)
        yield* Context.get(first, Periods).archive(stream)
        harm([...objects.keys()].find((key) => key.startsWith(`${run}/segments/`))!)
        const later = yield* processAt(location(run))
        const error = yield* Effect.flip(Context.get(later, Periods).drop(stream))
        assert.match(error.message, /is not in s3:|is damaged/)
        assert.isTrue(yield* isOnServer(stream))
      })).pipe(Effect.provide(TestAccounts.pipe(Layer.provideMerge(Layer.fresh(TestNats.layer))))))
  }

  it.live("given more than one segment and thousands of composes, then each is found in it, and all are told in order", () =>
    Effect.scoped(Effect.gen(function*() {
      const run = v7()
      const archive = location(run)
      const log = Context.get(yield* processAt(archive), EventLog)
      const many = Array.from({ length: 3000 }, () => composeRef(TenantId.make("acme"), ComposeId.make(v7())))
      yield* Effect.forEach(many, (ref) => log.append(ref, 0, decisionOf(v7(), requested, queued(jobs.resolve))), { concurrency: 256, discard: true })
      const { stream } = yield* log.append(many[0]!, 1, decisionOf(v7(), queued(jobs.build)))
      const periods = Context.get(yield* processAt(archive), Periods)
      yield* advanced(periods, stream)
      const upTo = yield* log.head(stream)
      const told = yield* Stream.runCollect(log.scan(stream, { after: 0, upTo }))
      assert.deepStrictEqual(told.map(({ position }) => position.sequence), Array.from({ length: 3001 }, (_, at) => at + 1))
      for (const ref of [many[0]!, many[1500]!, many[2999]!]) assert.isAtLeast((yield* log.read(ref)).revision, 1)
      assert.strictEqual((yield* log.read(composeRef(TenantId.make("acme"), ComposeId.make(v7())))).revision, 0)
      assert.isAbove([...objects.keys()].filter((key) => key.startsWith(`${run}/segments/`)).length, 1)
    })).pipe(Effect.provide(TestAccounts.pipe(Layer.provideMerge(Layer.fresh(TestNats.layer))))))
})
