/** A log in periods of seconds under the whole of a small Kiln: what is over goes into an archive, and nobody misses it. */
import { randomBytes } from "node:crypto"
import { assert, layer } from "@effect/vitest"
import { Kvm } from "@nats-io/kv"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { Context, Effect, Layer, type Scope } from "effect"
import { v7 } from "uuid"
import { afterAll } from "vitest"
import { execute } from "../../apps/execute.ts"
import { runProjector } from "../../apps/projector/projector.ts"
import { verifyLog } from "../../apps/projector/verify-log.ts"
import { verifyProjection } from "../../apps/projector/verify.ts"
import { runScheduler } from "../../apps/scheduler/scheduler.ts"
import { RemoveCopy } from "../../domain/compose-commands.ts"
import { ComposeId, Millis, type TenantId } from "../../domain/ids.ts"
import { Blobs } from "../../domain/ports/blobs.ts"
import { isOfPeriod } from "../../domain/periods.ts"
import { EventLog } from "../../domain/ports/event-log.ts"
import { LogCopies } from "../../domain/ports/log-copies.ts"
import { Periods } from "../../domain/ports/periods.ts"
import { partBytes, StoredFiles } from "../../domain/ports/stored-files.ts"
import { composeRef } from "../../domain/recorded.ts"
import { CoreNats } from "../../infra/jetstream/nats.ts"
import { LogCopiesJetStream } from "../../infra/jetstream/log-copies.ts"
import { Sql } from "../../infra/postgres/sql.ts"
import { projections } from "../../projections/all.ts"
import { decisionOf, failed, finished, jobs, queued, requested, started } from "../support/composes.ts"
import { newTenant, requestSimulated, smallStack, startWorker, stateOf, until } from "../support/small-stack.ts"

const dir = mkdtempSync(join(tmpdir(), "kiln-periods-"))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

const log = { partitions: 1, replicas: 1, period: 2000, archive: join(dir, "archive") }
/** `other` has an archive of its own, in which nothing is. */
const stackOf = (name: string) => {
  const config = { ...log, archive: join(dir, name) }
  return Layer.provideMerge(LogCopiesJetStream(config), Layer.fresh(smallStack(undefined, config)))
}
type Ports = Layer.Success<ReturnType<typeof stackOf>>

const minute = 60_000
const start = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkScoped(effect)
const scheduler = start(runScheduler({
  instance: "test", policyFile: {}, lostAfterMs: 30_000, targetWaitMs: minute, deadlineMs: () => minute, periods: { everyMs: 200, graceMs: 0 }
}))
const projector = start(runProjector([...projections.values()]))

const ended = (tenantId: TenantId, id: ComposeId) => until(stateOf(tenantId, id), ({ status }) => status === "succeeded")
const remove = (tenantId: TenantId, composeId: ComposeId) =>
  execute({ tenantId, messageId: `remove-${composeId}`, at: Millis.make(Date.now()), actor: { kind: "requester", id: "test" } },
    RemoveCopy.make({ composeId, image: 0, target: 0, reason: "asked" }))
const homeOf = (tenantId: TenantId, id: ComposeId) =>
  Effect.flatMap(EventLog, ({ read }) => Effect.map(read(composeRef(tenantId, id)), ({ recorded }) => recorded[0]!.position.stream))
const isDropped = (stream: string) => until(Effect.flatMap(Periods, ({ list }) => list), (all) => all.some((each) => each.stream === stream && each.state === "dropped"))

/** A compose that has failed, with the log of its job as a blob; answers the blob's digest. */
const withArchivedLog = Effect.gen(function*() {
  const [tenantId, composeId] = [newTenant(), ComposeId.make(v7())]
  const log = yield* (yield* Blobs).put(new TextEncoder().encode("no space left\n"))
  const events = [requested, queued(jobs.resolve), started(jobs.resolve), { ...failed(jobs.resolve, 1, true), log }, finished("failed")]
  const [first, ...rest] = events.map((event) => ({ ...event, composeId }))
  yield* (yield* EventLog).append(composeRef(tenantId, composeId), 0, { ...decisionOf(`m-${composeId}`, first!, ...rest), at: Millis.make(Date.now()) })
  return log.digest
})

const caughtUp = Effect.gen(function*() {
  const { head, streams } = yield* EventLog
  const { run } = yield* Sql
  for (const stream of streams) {
    const upTo = yield* head(stream)
    if (upTo === 0) continue
    yield* until(Effect.orElseSucceed(run((sql) => sql<Array<{ position: number }>>`
      select position from kiln.checkpoints where stream = ${stream} and projection in ${sql([...projections.keys()])}`), () => []),
      (rows) => rows.length === projections.size && rows.every(({ position }) => position >= upTo))
  }
})
const tables = Effect.gen(function*() {
  const { run } = yield* Sql
  return yield* Effect.forEach([...projections.keys()], (name) =>
    Effect.map(run((sql) => sql.unsafe<Array<Record<string, unknown>>>(`select * from kiln.${name} t order by t::text`)), (rows) => [name, rows.map((row) => ({ ...row }))] as const))
})

layer(stackOf("archive"), { excludeTestServices: true })("a Kiln in periods of two seconds", (it) => {
  it.effect("given composes of a period that is over, then it goes into the archive by itself, and all that reads the log reads it there", () =>
    Effect.gen(function*() {
      const running = yield* Effect.scoped(Effect.gen(function*() {
        yield* scheduler
        yield* projector
        yield* startWorker("w1", { abilities: { slots: { resolve: 1, build: 2, upload: 2, delete: 1 } } })
        const tenantId = newTenant()
        const early = [yield* requestSimulated(tenantId), yield* requestSimulated(tenantId)] as const
        for (const id of early) yield* ended(tenantId, id)
        const stream = yield* homeOf(tenantId, early[0])
        assert.isTrue(isOfPeriod(stream))
        yield* isDropped(stream)
        // Made after this Kiln was started, and followed all the same.
        const late = yield* requestSimulated(tenantId)
        yield* ended(tenantId, late)
        assert.notStrictEqual(yield* homeOf(tenantId, late), stream)
        yield* remove(tenantId, early[0])
        yield* until(stateOf(tenantId, early[0]), ({ removed }) => removed.size === 1)
        return { tenantId, early, late, stream }
      }))
      const { recorded } = yield* (yield* EventLog).read(composeRef(running.tenantId, running.early[0]))
      assert.deepStrictEqual(recorded.map(({ revision }) => revision), recorded.map((_, at) => at + 1))
      assert.deepStrictEqual(new Set(recorded.map(({ position }) => position.stream)), new Set([running.stream, "EVENTS"]))
      yield* Effect.scoped(Effect.gen(function*() {
        yield* projector
        yield* caughtUp
      }))
      for (const projection of projections.values()) {
        assert.deepStrictEqual(yield* verifyProjection(projection), { _tag: "Compared", differences: 0, keys: [], parked: 0 }, projection.name)
      }
      const { count, entries, faults } = yield* verifyLog()
      assert.deepStrictEqual([count, faults], [0, []])
      assert.isAtLeast(entries, 10)
    }))

  it.effect("given an export of it, then an empty Kiln that imports it has the same read models, row for row, and refuses a second import", () =>
    Effect.gen(function*() {
      const named = yield* withArchivedLog
      yield* Effect.scoped(Effect.andThen(projector, caughtUp))
      const [there, place] = [yield* tables, join(dir, "export")]
      const owners = [newTenant(), newTenant()]
      const by = { storedAt: Millis.make(1_790_000_000_000), storedBy: "ann" }
      const content = randomBytes(partBytes + 3)
      for (const owner of owners) yield* (yield* StoredFiles).put(owner, content, by)
      const filesThere = yield* (yield* StoredFiles).all
      const exported = yield* (yield* LogCopies).export(place, () => {})
      const [{ tenantId, compose_id: composeId }] = there.find(([name]) => name === "composes")![1].map((row) => ({ ...row, tenantId: row["tenant_id"] })) as unknown as [{ tenantId: TenantId; compose_id: ComposeId }]
      const history = yield* (yield* EventLog).read(composeRef(tenantId, composeId))
      assert.deepStrictEqual([exported.blobs, exported.files], [{ count: 1, missing: 0 }, { count: 2, missing: 0 }])
      const bare = yield* (yield* LogCopies).export(join(dir, "bare"), () => {}, { withoutBlobs: true })
      assert.deepStrictEqual([bare.blobs, bare.files], [undefined, undefined])
      const blob = join(place, "blobs", named.slice("sha256:".length))
      const bytes = readFileSync(blob)
      const file = join(place, "blobs", filesThere[0]!.digest.slice("sha256:".length))
      yield* inOther(Effect.gen(function*() {
        const copies = yield* LogCopies
        for (const [damaged, whole] of [[blob, bytes], [file, content]] as const) {
          writeFileSync(damaged, "something else")
          for (const refused of [copies.verify(place, () => {}), copies.import(place, () => {})]) {
            assert.match((yield* Effect.flip(refused)).message, new RegExp(`${basename(damaged)} in .* is damaged`))
          }
          assert.deepStrictEqual(yield* copies.verify(place, () => {}, { withoutBlobs: true }), { ...bare })
          writeFileSync(damaged, whole)
        }
        // What was stored before the damage was met is no part of a log.
        assert.deepStrictEqual(yield* (yield* EventLog).head("EVENTS"), 0)
        assert.deepStrictEqual(yield* copies.verify(place, () => {}), exported)
        assert.deepStrictEqual(yield* copies.import(place, () => {}), { ...exported, moved: 0 })
        assert.match((yield* Effect.flip(copies.import(place, () => {}))).message, /imported already/)
        yield* Effect.scoped(Effect.gen(function*() {
          yield* projector
          yield* caughtUp
        }))
        assert.deepStrictEqual(yield* tables, there)
        const files = yield* StoredFiles
        assert.sameDeepMembers([...yield* files.all], [...filesThere])
        for (const owner of owners) assert.isTrue(Buffer.concat((yield* Effect.forEach([0, 1], (part) => files.part(owner, filesThere[0]!.digest, part))).map((part) => part!)).equals(content))
        const { blobs, faults } = yield* verifyLog()
        assert.deepStrictEqual([blobs, faults], [exported.blobs!.count, []])
        assert.deepStrictEqual(yield* (yield* EventLog).read(composeRef(tenantId, composeId)), history)
      }))
    }))

  it.effect("given a log that is not empty, or one whose scheduler runs, then an import is refused", () =>
    Effect.gen(function*() {
      const place = join(dir, "export")
      yield* (yield* LogCopies).export(place, () => {})
      assert.match((yield* Effect.flip((yield* LogCopies).import(place, () => {}))).message, /the log is not empty/)
      yield* inOther(Effect.gen(function*() {
        yield* scheduler
        const { js } = yield* CoreNats
        const leases = yield* Effect.promise(() => new Kvm(js).open("LEASES"))
        yield* until(Effect.promise(() => leases.get("scheduler")), (lease) => lease?.operation === "PUT")
        assert.match((yield* Effect.flip((yield* LogCopies).import(place, () => {}))).message, /a scheduler is running/)
      }))
    }))
})

const inOther = <A, E>(effect: Effect.Effect<A, E, Ports | Scope.Scope>) =>
  Effect.scoped(Effect.flatMap(Layer.build(stackOf("other")), (context: Context.Context<Ports>) => Effect.provideContext(effect, context) as Effect.Effect<A, E, Scope.Scope>))
