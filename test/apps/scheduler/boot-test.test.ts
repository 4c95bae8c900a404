/** The test job on its way: to the worker that holds the image, and back with what it has seen. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { gunzipSync } from "node:zlib"
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { execute } from "../../../apps/execute.ts"
import { CancelCompose, RetryCompose } from "../../../domain/compose-commands.ts"
import type { ComposeId, TenantId } from "../../../domain/ids.ts"
import { JobId, Millis, WorkerId } from "../../../domain/ids.ts"
import { Blobs } from "../../../domain/ports/blobs.ts"
import type { Booted, BootOrder } from "../../../domain/ports/image-tests.ts"
import { JobFeed } from "../../../domain/ports/job-feed.ts"
import { Scheduling } from "../../../domain/ports/scheduling.ts"
import { Folder, historyOf, newTenant, requestSimulated, SmallStack, startScheduler, startWorker, stateOf, until } from "../../support/small-stack.ts"

const test = JobId.make("0-test")
const slots = { abilities: { slots: { resolve: 0, build: 1, test: 1, upload: 1 } } }
const good: Booted = { accelerator: "kvm", readyMs: 4000, tookMs: 5000, console: "box login: ", screenshot: new Uint8Array([1, 2, 3]) }
const bad: Booted = { accelerator: "kvm", tookMs: 5000, console: "Kernel panic", problem: "the kernel panicked" }

const ended = (tenantId: TenantId, id: ComposeId) => until(stateOf(tenantId, id), ({ status }) => status !== "open")
const act = (tenantId: TenantId, command: typeof CancelCompose.Type | typeof RetryCompose.Type) =>
  execute({ tenantId, messageId: `${command._tag}-${command.composeId}`, at: Millis.make(Date.now()), actor: { kind: "requester", id: "test" } }, command)
const reportsOf = Effect.fnUntraced(function*(tenantId: TenantId, id: ComposeId) {
  return (yield* historyOf(tenantId, id)).flatMap((event) =>
    event._tag === "JobFailed" && event.report !== undefined ? [event.report]
    : event._tag === "JobSucceeded" && event.outcome._tag === "Tested" && event.outcome.report !== undefined ? [event.outcome.report] : [])
})

layer(SmallStack, { excludeTestServices: true })("a test job", (it) => {
  it.effect("given a worker that can boot, when an image is built, then it is booted in each firmware where it lies, and what was seen is kept", () =>
    Effect.gen(function*() {
      const orders: Array<BootOrder> = []
      yield* startScheduler()
      yield* startWorker("w1", { ...slots, boots: (order) => (orders.push(order), good) })
      const tenantId = newTenant()
      const id = yield* requestSimulated(tenantId, { bytes: 10_000 }, { timeout_seconds: 60 })
      const compose = yield* ended(tenantId, id)
      assert.strictEqual(compose.status, "succeeded")
      assert.deepStrictEqual(orders.map(({ firmware, timeoutMs }) => [firmware, timeoutMs]), [["uefi", 60_000], ["bios", 60_000]])
      assert.include(orders[0]!.path, "held")
      const [report] = yield* reportsOf(tenantId, id)
      assert.deepStrictEqual(report!.boots.map(({ checks, firmware, passed, readyMs }) => ({ checks, firmware, passed, readyMs })), (["uefi", "bios"] as const).map((firmware) =>
        ({ firmware, passed: true, readyMs: 4000, checks: [{ name: "ready", passed: true }] })))
      const { get } = yield* Blobs
      assert.strictEqual(gunzipSync((yield* get(report!.boots[0]!.console.digest))!).toString(), "box login: ")
      assert.deepStrictEqual([...(yield* get(report!.boots[1]!.screenshot!.digest))!], [1, 2, 3])
      const feed = yield* (yield* JobFeed).recent(tenantId, id, 0)
      assert.include(feed.flatMap((item) => item._tag === "LogLines" && item.jobId === test ? item.lines : []).join("\n"), "uefi: ready after 4.0 s, 1 checks, passed")
    }))

  it.effect("given an image that does not boot, then the compose fails at once, its file is delivered all the same, and the test alone can be asked for again", () =>
    Effect.gen(function*() {
      let boots = bad
      yield* startScheduler()
      yield* startWorker("w2", { ...slots, boots: () => boots })
      const tenantId = newTenant()
      const id = yield* requestSimulated(tenantId, {}, true)
      const compose = yield* ended(tenantId, id)
      assert.deepStrictEqual([...compose.jobs.values()].map(({ attempt, jobId, state }) => [jobId as string, state, attempt]), [["0-build", "succeeded", 1], ["0-test", "failed", 1], ["0-upload-0", "succeeded", 1]])
      const failed = (yield* historyOf(tenantId, id)).find((event) => event._tag === "JobFailed")!
      assert.deepInclude(failed.failure, { class: "platform", message: "boot test: in UEFI and BIOS: the kernel panicked", excerpt: "Kernel panic" })
      assert.strictEqual(failed.report?.boots.length, 2)
      boots = good
      yield* act(tenantId, RetryCompose.make({ composeId: id, jobId: test }))
      const again = yield* until(stateOf(tenantId, id), ({ status }) => status === "succeeded")
      assert.deepStrictEqual([...again.jobs.values()].map(({ attempt }) => attempt), [1, 2, 1])
    }))

  it.effect("given a check of the requester's own that fails, then it is the requester's to mend", () =>
    Effect.gen(function*() {
      yield* startScheduler()
      yield* startWorker("w3", { ...slots, boots: () => good })
      const tenantId = newTenant()
      // Simulated images have nothing in them that could run it.
      const id = yield* requestSimulated(tenantId, {}, { script: "exit 0", firmware: ["bios"] })
      yield* ended(tenantId, id)
      const failed = (yield* historyOf(tenantId, id)).find((event) => event._tag === "JobFailed")!
      assert.deepInclude(failed.failure, { class: "user", message: "boot test: in BIOS: script: nothing in the image could run it" })
    }))

  it.effect("given a worker without an emulator, then the test is skipped, unless the request insists on it", () =>
    Effect.gen(function*() {
      yield* startScheduler()
      yield* startWorker("w4", { ...slots, testsNothing: "install ovmf" })
      const tenantId = newTenant()
      // `false` would not be planned at all; here it stands for a request that says nothing.
      const [spared, insists] = [yield* requestSimulated(tenantId, {}, false), yield* requestSimulated(tenantId, {}, true)]
      assert.strictEqual((yield* ended(tenantId, spared)).status, "succeeded")
      assert.deepStrictEqual((yield* stateOf(tenantId, spared)).outcomes.get(test), { _tag: "Tested", verdict: "skipped", reason: "install ovmf" })
      const failing = yield* until(historyOf(tenantId, insists), (events) => events.some(({ _tag }) => _tag === "JobFailed"))
      const failed = failing.find((event) => event._tag === "JobFailed")!
      assert.strictEqual(failed.failure.message, "this worker cannot test the image: install ovmf")
      yield* act(tenantId, CancelCompose.make({ composeId: insists }))
    }))

  it.effect("given a test that runs, when its compose is canceled, then its worker stops, and its workspace is gone", () =>
    Effect.gen(function*() {
      yield* startScheduler()
      yield* startWorker("w5", slots)
      const tenantId = newTenant()
      const id = yield* requestSimulated(tenantId, {}, true)
      yield* until(stateOf(tenantId, id), ({ jobs }) => jobs.get(test)?.state === "running")
      yield* act(tenantId, CancelCompose.make({ composeId: id }))
      const { dir } = yield* Folder
      yield* until(Effect.sync(() => readdirSync(join(dir, "work", "w5"))), (left) => left.length === 0)
      const { workers } = yield* Scheduling
      yield* until(Effect.orElseSucceed(workers(WorkerId.make("w5")), () => []), ([worker]) => worker !== undefined && worker.busy.test === 0)
    }))

  it.effect("given nobody who tests, then it says what it waits for", () =>
    Effect.gen(function*() {
      yield* startScheduler()
      yield* startWorker("w6", { abilities: { slots: { resolve: 0, build: 1, upload: 1 } } })
      const tenantId = newTenant()
      const id = yield* requestSimulated(tenantId, {}, true)
      yield* until(stateOf(tenantId, id), ({ jobs }) => jobs.get(test)?.state === "queued")
      const { waiting } = yield* Scheduling
      const [outlook] = yield* until(Effect.orElseSucceed(waiting(tenantId, id), () => []), (found) => found.some(({ jobId }) => jobId === test))
      assert.deepInclude(outlook, { kind: "test", reason: "holder", worker: WorkerId.make("w6") })
    }))
})
