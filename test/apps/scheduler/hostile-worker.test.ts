/** A worker of tenant A with valid credentials does what it can against tenant B, its own pool's other workers and the log. */
import { assert, layer } from "@effect/vitest"
import type { NatsConnection } from "@nats-io/transport-node"
import { Effect, Stream } from "effect"
import { JobId, PoolId, PoolScope } from "../../../domain/ids.ts"
import { EventLog } from "../../../domain/ports/event-log.ts"
import { Parked } from "../../../domain/ports/parked.ts"
import type { Claim, WorkReport } from "../../../domain/work.ts"
import { CoreNats, WorkNats } from "../../../infra/jetstream/nats.ts"
import { bareWorker, refusals } from "../../support/bare-worker.ts"
import { historyOf, newTenant, requestSimulated, SmallStack, startScheduler, startWorker, stateOf, until } from "../../support/small-stack.ts"

const [a, b] = [newTenant(), newTenant()]
const [poolA, poolB] = [PoolScope.make("pool-a"), PoolScope.make("pool-b")]
const policyFile = { pools: { [PoolId.make("pool-a")]: { tenant: a }, [PoolId.make("pool-b")]: { tenant: b } } }
const build = JobId.make("0-build")
const one = { resolve: 0, build: 1, upload: 1 }

const running = Effect.fnUntraced(function*(tenantId: typeof a, options: Parameters<typeof requestSimulated>[1]) {
  const composeId = yield* requestSimulated(tenantId, options)
  const { jobs } = yield* until(stateOf(tenantId, composeId), ({ jobs }) => jobs.get(build)?.state === "running")
  const claim: Claim = { tenantId, composeId, jobId: build, attempt: 1, token: jobs.get(build)!.token! }
  return claim
})
const succeeded = ({ tenantId, composeId }: Pick<Claim, "tenantId" | "composeId">) =>
  until(stateOf(tenantId, composeId), ({ status }) => status === "succeeded")
const flushed = (nc: NatsConnection) => Effect.promise(() => nc.flush())

const failure = { class: "user", message: "says the hostile worker" } as const
const artifact = { digest: `sha256:${"0".repeat(64)}`, size: 1, format: "raw", filename: "x", mediaType: "x/y" }
const ends = (claim: Claim) => [
  { _tag: "AttemptStarted", claim }, { _tag: "AttemptReturned", claim }, { _tag: "AttemptFailed", claim, failure },
  { _tag: "AttemptSucceeded", claim, outcome: { _tag: "Built", manifest: artifact.digest, artifact, reused: false } }
] as unknown as ReadonlyArray<WorkReport>
const heartbeat = (running: ReadonlyArray<Claim>, slots = { resolve: 0, build: 0, upload: 0 }) => JSON.stringify({
  session: "h".repeat(16), architectures: ["x86_64"], slots, running, held: [artifact.digest], draining: false, version: "1", at: Date.now()
})

layer(SmallStack, { excludeTestServices: true })("a hostile worker of tenant A", (it) => {
  it.effect("given jobs of B and of another worker of A that run, when it lies about them in every message that it may send, then they end as if it were not there", () =>
    Effect.gen(function*() {
      yield* startScheduler("test", 30_000, policyFile)
      yield* startWorker("w1", { scope: poolB })
      yield* startWorker("w2", { scope: poolA, abilities: { slots: one } })
      const [ofB, ofA] = [yield* running(b, { duration_ms: 1500 }), yield* running(a, { duration_ms: 1500 })]
      // The same name as B's worker, so that only the pool tells them apart.
      const nc = yield* bareWorker(poolA, "w1", `pool:${poolA}`)
      const say = (rest: string, data: string | Uint8Array) => nc.publish(`worker.${poolA}.w1.${rest}`, data)
      for (const claim of [ofB, ofA]) {
        say("result", JSON.stringify([...ends(claim), { _tag: "SessionBegan", session: "x" }]))
        say("heartbeat", heartbeat([claim]))
        say(`progress.${claim.tenantId}.${claim.composeId}.${build}`, JSON.stringify({ attempt: 1, token: "x".repeat(30), at: 1, progress: { stage: "hostile", percent: 1 } }))
        const answer = yield* Effect.promise(() => nc.request(`worker.${poolA}.w1.secrets`, JSON.stringify(claim), { timeout: 5000 }))
        assert.deepStrictEqual(answer.json(), { refused: true })
      }
      yield* flushed(nc)
      yield* Effect.all([succeeded(ofB), succeeded(ofA)])
      for (const [claim, worker] of [[ofB, "w1"], [ofA, "w2"]] as const) {
        const { recorded } = yield* (yield* EventLog).read({ tenantId: claim.tenantId, aggregate: "compose", id: claim.composeId } as never)
        const own = `${worker === "w1" ? poolB : poolA}/${worker}`
        assert.deepStrictEqual([...new Set(recorded.map(({ actor }) => actor.id))], ["test", own])
        assert.deepStrictEqual(recorded.flatMap(({ events }) => events.map(({ _tag }) => _tag)), [
          "ComposeRequested", "JobQueued", "JobStarted", "JobSucceeded", "JobQueued", "JobStarted", "JobSucceeded", "ComposeFinished"
        ])
      }
    }))

  it.effect("given a connection with its own rights, when it reads, takes, acknowledges, finishes, cancels or makes what is not its own, then the server refuses", () =>
    Effect.gen(function*() {
      const nc = yield* bareWorker(poolA, "w1", `pool:${poolA}`)
      const refused = refusals(nc)
      const said = [
        "worker.pool-b.w1.result", "worker.pool-b.w1.heartbeat", "worker.pool-b.w1.secrets", "worker.pool-b.w1.log.t.c.j", "worker.pool-a.w2.result",
        "jobs.pool-b.w1", "jobs.pool-a.w1", "control.pool-b.w1", "control.pool-a.w2", "control.all", "events.t.compose.c.1", "live.x",
        "_INBOX_pool-b_w1.x", "queues.CONSUMER.MSG.NEXT.JOBS.pool-b_w1", "queues.CONSUMER.INFO.JOBS.pool-b_w1", "queues.STREAM.INFO.JOBS",
        "$JS.ACK.JOBS.pool-b_w1.1.1.1.1.1", "$JS.ACK.JOBS.pool-a_w2.1.1.1.1.1", "$JS.ACK.RESULTS.scheduler.1.1.1.1.1",
        "$JS.API.INFO", "$JS.API.CONSUMER.MSG.NEXT.JOBS.pool-b_w1", "$JS.API.CONSUMER.MSG.NEXT.RESULTS.scheduler", "$JS.API.STREAM.CREATE.MINE", "$JS.API.STREAM.DELETE.RESULTS",
        "$JS.API.STREAM.PURGE.JOBS", "$JS.API.STREAM.MSG.GET.JOBS", "$JS.API.STREAM.MSG.DELETE.RESULTS", "$JS.API.DIRECT.GET.JOBS",
        "$JS.API.CONSUMER.CREATE.JOBS.mine", "$JS.API.CONSUMER.DURABLE.CREATE.JOBS.mine", "$JS.API.CONSUMER.DELETE.JOBS.pool-b_w1", "$SYS.REQ.USER.AUTH"
      ]
      const heard = [
        ">", "events.>", "jobs.>", "jobs.pool-b.w1", "worker.>", "worker.pool-b.w1.>", "control.>", "control.pool-b.w1", "control.pool-a.w2", "live.>",
        "_INBOX.>", "_INBOX_pool-b_w1.>", "_R_.>", "$JS.>", "$SYS.>", "queues.>"
      ]
      for (const subject of said) nc.publish(subject, "{}", { reply: "_INBOX_pool-a_w1.x" })
      for (const subject of heard) nc.subscribe(subject, { callback: () => {} })
      const passed = Effect.map(flushed(nc), () => [...said, ...heard].filter((subject) => !refused.has(subject)))
      assert.deepStrictEqual(yield* until(passed, (all) => all.length === 0).pipe(Effect.catch(() => passed)), [])
    }))

  it.effect("given what it may ask for, when it names somebody else's subject for the answer, then nothing arrives there and every stream and queue stays", () =>
    Effect.gen(function*() {
      yield* startScheduler("test", 30_000, policyFile)
      yield* startWorker("w1", { scope: poolB })
      const work = yield* WorkNats
      const core = yield* CoreNats
      const nc = yield* bareWorker(poolA, "w1", `pool:${poolA}`)
      const consumer = "pool-a_w1"
      yield* Effect.promise(() => work.jsm.consumers.delete("JOBS", consumer).catch(() => false))
      yield* Effect.promise(() => work.jsm.consumers.add("JOBS", { durable_name: consumer, ack_policy: "explicit", filter_subject: "jobs.pool-a.w1", ack_wait: 60e9 }))
      const heard: Array<string> = []
      for (const subject of ["control.>", "worker.pool-b.w1.result", "worker.pool-b.w1.forged", "worker.pool-b.w1.log.>", "jobs.pool-b.>", "_INBOX_pool-b_w1.>", "events.>"]) {
        for (const account of [work.nc, core.nc]) {
          account.subscribe(subject, { callback: (_, message) => void heard.push(message.subject === "jobs.pool-b.w1" ? `a job of ${message.json<Claim>().tenantId}` : message.subject) })
        }
      }
      const standing = () => Effect.promise(async () => {
        const found: Record<string, unknown> = {}
        for await (const { config: { name }, created } of work.jsm.streams.list()) found[name] = created
        for await (const { created, name } of work.jsm.consumers.list("JOBS")) found[name] = created
        for await (const { created, name } of work.jsm.consumers.list("RESULTS")) found[name] = created
        return found
      })
      yield* succeeded({ tenantId: b, composeId: yield* requestSimulated(b) })
      heard.length = 0
      const before = yield* standing()
      const lastOfLog = (yield* Effect.promise(() => core.jsm.streams.info("EVENTS"))).state.last_seq
      const targets = [
        "worker.pool-b.w1.result", "worker.pool-b.w1.forged", "worker.pool-b.w1.log.t.c.j", "jobs.pool-b.w1", "control.pool-b.w1", "control.all", "_INBOX_pool-b_w1.x",
        "events.t.compose.c.1", "$JS.API.STREAM.DELETE.RESULTS", "$JS.API.STREAM.PURGE.RESULTS", "$JS.API.STREAM.DELETE.LOGS", "$JS.API.STREAM.MSG.DELETE.JOBS",
        "$JS.API.CONSUMER.DELETE.JOBS.pool-b_w1", "$JS.API.CONSUMER.DELETE.RESULTS.scheduler", "$JS.ACK.JOBS.pool-b_w1.1.1.1.1.1", "queues.CONSUMER.MSG.NEXT.JOBS.pool-b_w1"
      ]
      for (const reply of targets) {
        const next = (body: object) => nc.publish(`queues.CONSUMER.MSG.NEXT.JOBS.${consumer}`, JSON.stringify(body), { reply })
        const take = () => Effect.promise(async () => {
          await work.js.publish("jobs.pool-a.w1", "{}")
          return nc.request(`queues.CONSUMER.MSG.NEXT.JOBS.${consumer}`, JSON.stringify({ batch: 1, expires: 2e9 }), { timeout: 3000, noMux: true })
        })
        next({ batch: 1, no_wait: true })
        yield* Effect.promise(() => work.js.publish("jobs.pool-a.w1", "{}"))
        next({ batch: 1, no_wait: true })
        nc.publish(`queues.CONSUMER.INFO.JOBS.${consumer}`, "", { reply })
        nc.publish(`worker.${poolA}.w1.result`, "[]", { reply })
        nc.publish(`worker.${poolA}.w1.secrets`, JSON.stringify({}), { reply })
        for (const word of ["+ACK", "+NXT {\"batch\":1,\"no_wait\":true}"]) {
          const taken = yield* until(take(), ({ reply = "" }) => reply !== "")
          nc.publish(taken.reply!, word, { reply })
        }
        yield* flushed(nc)
      }
      yield* succeeded({ tenantId: b, composeId: yield* requestSimulated(b) })
      assert.deepStrictEqual(yield* standing(), before)
      const ordinary = ["worker.pool-b.w1.result", `a job of ${b}`]
      assert.deepStrictEqual(heard.filter((subject) => !ordinary.includes(subject) && subject !== "control.all" && !subject.startsWith("events.")), [])
      // The scheduler asks once, when it begins.
      assert.isAtMost(heard.filter((subject) => subject === "control.all").length, 1)
      // A start and an end of each of two jobs, and not a word more.
      assert.isAtMost(heard.filter((subject) => subject === "worker.pool-b.w1.result").length, 4)
      const log = yield* entriesAfter(lastOfLog)
      assert.deepStrictEqual([...new Set(log.map(({ tenantId }) => tenantId))], [b])
    }))

  it.effect("given floods of ends without a start, of giants and of rubbish, then B's jobs are done meanwhile and the rubbish is set aside", () =>
    Effect.gen(function*() {
      yield* startScheduler("test", 30_000, policyFile)
      yield* startWorker("w1", { scope: poolB })
      const nc = yield* bareWorker(poolA, "w1", `pool:${poolA}`)
      const say = (rest: string, data: string | Uint8Array) => nc.publish(`worker.${poolA}.w1.${rest}`, data)
      const work = yield* WorkNats
      yield* Effect.promise(() => work.jsm.streams.purge("JOBS", { filter: "jobs.pool-a.w1" }))
      const composeId = yield* requestSimulated(a)
      const claim: Claim = { tenantId: a, composeId, jobId: build, attempt: 1, token: "z".repeat(30) as never }
      // It is given the job, and never begins it.
      yield* until(Effect.promise(async () => {
        say("heartbeat", heartbeat([], { resolve: 1, build: 1, upload: 1 }))
        return (await work.jsm.streams.info("JOBS", { subjects_filter: "jobs.pool-a.w1" })).state.subjects?.["jobs.pool-a.w1"] ?? 0
      }), (count) => count > 0)
      for (let index = 0; index < 1000; index++) {
        say("result", JSON.stringify(ends({ ...claim, token: `${index}`.padStart(30, "z") as never }).slice(1)))
        say("result", index % 2 === 0 ? "[{]" : new Uint8Array([0xff, 0xfe, index % 256]))
        say("heartbeat", "{\"session\":1}")
        say("secrets", "\u0000")
      }
      for (let index = 0; index < 5; index++) say("result", `["${"x".repeat(7_000_000)}"]`)
      yield* flushed(nc)
      yield* Effect.forEach([1, 2, 3], () => Effect.flatMap(requestSimulated(b), (id) => succeeded({ tenantId: b, composeId: id })), { concurrency: 3 })
      assert.deepStrictEqual((yield* historyOf(a, composeId)).map(({ _tag }) => _tag), ["ComposeRequested", "JobQueued"])
      const parked = yield* until((yield* Parked).list, (items) => items.some(({ what }) => what === "report"))
      assert.deepStrictEqual(parked.filter(({ where }) => !where.includes("worker.pool-a.w1.result")), [])
    }))
})

const entriesAfter = (sequence: number) =>
  Effect.flatMap(EventLog, (log) =>
    Effect.flatMap(log.head("EVENTS"), (head) =>
      log.follow("EVENTS", sequence).pipe(Stream.takeUntil(({ position }) => position.sequence >= head), Stream.runCollect))).pipe(
    Effect.map((entries) => [...entries].filter((entry) => entry._tag === "Recorded")))
