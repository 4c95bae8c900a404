import { assert, layer } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Stream } from "effect"
import { v7 } from "uuid"
import { ComposeId, TenantId } from "../../../domain/ids.ts"
import { periodAt } from "../../../domain/periods.ts"
import { EventLog } from "../../../domain/ports/event-log.ts"
import { Periods } from "../../../domain/ports/periods.ts"
import { accountRef, type AggregateRef, composeRef, type LogEntry } from "../../../domain/recorded.ts"
import { PolicyCleared } from "../../../domain/account.ts"
import { EventLogJetStream } from "../../../infra/jetstream/event-log.ts"
import { CoreNats } from "../../../infra/jetstream/nats.ts"
import { PeriodsJetStream } from "../../../infra/jetstream/periods.ts"
import { decisionOf, jobs, queued, requested, started } from "../../support/composes.ts"
import { TestAccounts } from "../../support/nats-layers.ts"
import { temporaryFolder, TestNats } from "../../support/servers.ts"

const second = 1000
const tenantId = TenantId.make("acme")
const newCompose = (): AggregateRef<"compose"> => composeRef(tenantId, ComposeId.make(v7()))

class Archive extends Context.Service<Archive, string>()("test/Archive") {}

/** With the archive of the file's folder; a second and a third of the same are other processes. */
const logHere = Layer.unwrap(Effect.map(Archive, (archive) => {
  const config = { partitions: 1, replicas: 1, period: second, archive }
  return Layer.merge(EventLogJetStream(config), PeriodsJetStream(config))
}))

const Stack = Layer.fresh(logHere).pipe(
  Layer.provideMerge(Layer.effect(Archive, temporaryFolder)), Layer.provideMerge(TestAccounts), Layer.provideMerge(TestNats.layer))

const nextPeriod = Effect.suspend(() => Effect.sleep(periodAt(second, Date.now()).to - Date.now() + 5))
const all = (log: EventLog["Service"]) =>
  Effect.map(Effect.forEach(log.streams, (stream) =>
    Effect.flatMap(log.head(stream), (upTo) => Stream.runCollect(log.scan(stream, { after: 0, upTo })))), (found) => found.flat())
const archived = (stream: string) =>
  Effect.gen(function*() {
    const periods = yield* Periods
    yield* periods.seal(stream)
    yield* periods.archive(stream)
    yield* periods.drop(stream)
  })
const stateOf = (stream: string) => Effect.flatMap(Periods, ({ list }) => Effect.map(list, (streams) => streams.find((each) => each.stream === stream)))
const look = (holds: () => boolean) => Effect.repeat(Effect.sleep("10 millis"), { until: holds })
const wordsOf = (entries: Iterable<LogEntry>) => Array.from(entries, ({ position: { sequence, stream } }) => `${stream} ${sequence}`)

layer(Stack, { excludeTestServices: true })("a log in periods of a second", (it) => {
  it.effect("keeps composes in the stream of the time they were asked for, and what lives long apart", () =>
    Effect.gen(function*() {
      const log = yield* EventLog
      const [one, account] = [newCompose(), accountRef(tenantId)]
      const first = yield* log.append(one, 0, decisionOf(v7(), requested))
      yield* nextPeriod
      const two = newCompose()
      const other = yield* log.append(two, 0, decisionOf(v7(), requested))
      const later = yield* log.append(one, 1, decisionOf(v7(), queued(jobs.build)))
      const lasting = yield* log.append(account, 0, { ...decisionOf(v7(), requested), events: [PolicyCleared.make({})] })
      assert.strictEqual(later.stream, first.stream)
      assert.notStrictEqual(other.stream, first.stream)
      assert.strictEqual(lasting.stream, "EVENTS")
      assert.deepStrictEqual(log.streams.filter((stream) => [first.stream, other.stream, "EVENTS"].includes(stream)), [first.stream, other.stream, "EVENTS"])
    }))

  it.effect("tells who follows of a stream before anything is in it", () =>
    Effect.gen(function*() {
      const log = yield* EventLog
      const heads = new Map<string, number>()
      const told = yield* log.streamsAsTheyCome.pipe(
        Stream.mapEffect((stream) => Effect.map(log.head(stream), (head) => void heads.set(stream, head))), Stream.runDrain, Effect.forkChild)
      yield* look(() => heads.size > 0)
      const known = new Set(heads.keys())
      yield* nextPeriod
      yield* nextPeriod
      const { stream } = yield* log.append(newCompose(), 0, decisionOf(v7(), requested))
      assert.isFalse(known.has(stream))
      yield* look(() => heads.has(stream))
      yield* Fiber.interrupt(told)
    }))

  it.effect("given a period that is archived and dropped, then it is read, followed, scanned and found as before", () =>
    Effect.gen(function*() {
      const log = yield* EventLog
      const refs = Array.from({ length: 40 }, newCompose)
      const { stream } = yield* log.append(refs[0]!, 0, decisionOf(v7(), requested))
      for (const ref of refs.slice(1)) yield* log.append(ref, 0, decisionOf(v7(), requested))
      for (const ref of refs) yield* log.append(ref, 1, decisionOf(v7(), queued(jobs.build)))
      const before = yield* Effect.forEach(refs, (ref) => log.read(ref))
      const entries = yield* all(log)
      const followed: Array<LogEntry> = []
      yield* Stream.runForEach(log.follow(stream, 3), (entry) => Effect.sync(() => void followed.push(entry))).pipe(Effect.forkChild)
      yield* nextPeriod
      yield* archived(stream)
      const { jsm } = yield* CoreNats
      assert.strictEqual(yield* Effect.promise(() => jsm.streams.info(stream).then(() => "there", () => "gone")), "gone")
      assert.isTrue(log.isSealed(stream))
      assert.deepStrictEqual(yield* Effect.forEach(refs, (ref) => log.read(ref)), before)
      assert.deepStrictEqual((yield* log.read(refs[7]!, 1)).recorded.map(({ revision }) => revision), [2])
      assert.deepStrictEqual(yield* all(log), entries)
      const head = yield* log.head(stream)
      const from = yield* Stream.runCollect(log.follow(stream, head - 2).pipe(Stream.take(2)))
      assert.deepStrictEqual(wordsOf(from), [`${stream} ${head - 1}`, `${stream} ${head}`])
      const expected = wordsOf(entries.filter(({ position }) => position.stream === stream && position.sequence > 3))
      yield* look(() => followed.length >= expected.length)
      assert.deepStrictEqual(wordsOf(followed), expected)
      const ofNobody = yield* Stream.runCollect(log.scan(stream, { after: 0, upTo: head, tenantId: TenantId.make("nobody") }))
      assert.deepStrictEqual(ofNobody, [])
      const described = yield* stateOf(stream)
      assert.deepStrictEqual([described?.state, described?.entries, described?.bytes], ["dropped", head, 0])
    }))

  it.effect("given a compose of an archived period, then what is decided later goes on where it was, and a race has one winner", () =>
    Effect.gen(function*() {
      const log = yield* EventLog
      const ref = newCompose()
      const first = decisionOf(v7(), requested)
      const position = yield* log.append(ref, 0, first)
      yield* log.append(ref, 1, decisionOf(v7(), queued(jobs.build)))
      const seen = yield* log.watch(ref, 0).pipe(Stream.take(3), Stream.runCollect, Effect.forkChild)
      yield* nextPeriod
      yield* archived(position.stream)
      assert.deepStrictEqual(yield* log.append(ref, 0, first), position)
      assert.strictEqual((yield* Effect.flip(log.append(ref, 1, decisionOf(v7(), started(jobs.build)))))._tag, "WrongRevision")
      const late = decisionOf(v7(), started(jobs.build))
      const tail = yield* log.append(ref, 2, late)
      assert.strictEqual(tail.stream, "EVENTS")
      assert.deepStrictEqual(yield* log.append(ref, 2, late), tail)
      assert.strictEqual((yield* Effect.flip(log.append(ref, 2, decisionOf(v7(), started(jobs.build)))))._tag, "WrongRevision")
      assert.deepStrictEqual((yield* log.read(ref)).recorded.map(({ revision }) => revision), [1, 2, 3])
      assert.deepStrictEqual((yield* Fiber.join(seen)).map(({ revision }) => revision), [1, 2, 3])
      assert.deepStrictEqual((yield* log.watch(ref, 1).pipe(Stream.take(2), Stream.runCollect)).map(({ revision }) => revision), [2, 3])
    }))

  it.effect("given writers that have not heard of the sealing, then nothing of theirs is lost or stored twice", () =>
    Effect.gen(function*() {
      const log = yield* EventLog
      const refs = Array.from({ length: 50 }, newCompose)
      const { stream } = yield* log.append(refs[0]!, 0, decisionOf(v7(), requested))
      for (const ref of refs.slice(1)) yield* log.append(ref, 0, decisionOf(v7(), requested))
      yield* nextPeriod
      let isArchived = false
      const writers = yield* Effect.forEach(refs, Effect.fnUntraced(function*(ref) {
        let after = 1
        for (; after < 20 || !isArchived; after++) {
          const decision = decisionOf(v7(), queued(jobs.build, after))
          yield* log.append(ref, after, decision).pipe(Effect.retry({ while: ({ _tag }) => _tag === "LogUnavailable", times: 100 }))
        }
        return after
      }), { concurrency: "unbounded" }).pipe(Effect.forkChild)
      yield* Effect.sleep("20 millis")
      yield* archived(stream)
      isArchived = true
      const written = yield* Fiber.join(writers)
      for (const [at, ref] of refs.entries()) {
        assert.deepStrictEqual((yield* log.read(ref)).recorded.map(({ revision }) => revision), Array.from({ length: written[at]! }, (_, at) => at + 1))
      }
      const tail = (yield* log.read(refs[0]!)).recorded.filter(({ position }) => position.stream === "EVENTS")
      assert.isAbove(tail.length, 0)
    }))

  it.effect("given a process that was started without an archive, then it says what is missing", () =>
    Effect.gen(function*() {
      const log = yield* EventLog
      const ref = newCompose()
      const { stream } = yield* log.append(ref, 0, decisionOf(v7(), requested))
      yield* nextPeriod
      yield* archived(stream)
      const other = yield* Layer.build(Layer.fresh(EventLogJetStream({ partitions: 1, replicas: 1 })))
      const error = yield* Effect.flip(Context.get(other, EventLog).read(ref))
      assert.match(error.message, /KILN_ARCHIVE does not say where/)
    }))
})

/** Without an archive, as it was before there were periods. */
const plain = (period?: number) => Layer.build(Layer.fresh(EventLogJetStream({ partitions: 1, replicas: 1, ...(period !== undefined && { period }) })))

layer(TestAccounts.pipe(Layer.provideMerge(Layer.fresh(TestNats.layer))), { excludeTestServices: true })("a log that was there before there were periods", (it) => {
  it.effect("goes on where it is, has periods from the next but one on, and the same for whoever was started otherwise", () =>
    Effect.gen(function*() {
      const old = Context.get(yield* plain(), EventLog)
      const [before, early] = [newCompose(), newCompose()]
      yield* old.append(before, 0, decisionOf(v7(), requested))
      assert.deepStrictEqual(old.streams, ["EVENTS"])
      const log = Context.get(yield* plain(second), EventLog)
      const other = Context.get(yield* plain(7 * second), EventLog)
      const first = yield* log.append(before, 1, decisionOf(v7(), queued(jobs.build)))
      yield* log.append(early, 0, decisionOf(v7(), requested))
      assert.strictEqual(first.stream, "EVENTS")
      yield* nextPeriod
      yield* nextPeriod
      const late = newCompose()
      for (const [index, each] of [log, old, other].entries()) {
        const { stream } = yield* each.append(late, index, decisionOf(v7(), requested))
        assert.match(stream, /^EVENTS-\d{8}t\d{6}$/)
        assert.strictEqual((yield* each.append(before, 2 + index, decisionOf(v7(), requested))).stream, "EVENTS")
      }
      for (const each of [log, old, other]) {
        assert.deepStrictEqual(yield* Effect.forEach([before, early, late], (ref) => Effect.map(each.read(ref), ({ revision }) => revision)), [5, 1, 3])
      }
    }))
})
