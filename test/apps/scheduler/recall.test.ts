/** What the scheduler's memory lacks of a job, the log has. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { encodeSnapshot } from "../../../apps/scheduler/snapshot.ts"
import { execute } from "../../../apps/execute.ts"
import { StartJob } from "../../../domain/compose-commands.ts"
import { AttemptToken, JobId, Millis, WorkerId } from "../../../domain/ids.ts"
import { EventLog } from "../../../domain/ports/event-log.ts"
import { Snapshots } from "../../../domain/ports/snapshots.ts"
import { historyOf, newTenant, requestSimulated, SmallStack, startScheduler, startWorker, stateOf, until } from "../../support/small-stack.ts"
import { waitingJob } from "../../support/waiting-job.ts"

layer(SmallStack, { excludeTestServices: true })("a snapshot that has missed that a job began", (it) => {
  it.effect("given a worker that is gone since, when a scheduler starts from it, then the job is found to be lost and is done again", () =>
    Effect.gen(function*() {
      const [tenantId, log] = [newTenant(), yield* EventLog]
      const composeId = yield* requestSimulated(tenantId)
      const start = StartJob.make({
        composeId, jobId: JobId.make("0-build"), attempt: 1, worker: WorkerId.make("gone"), token: AttemptToken.make("t".repeat(30))
      })
      yield* execute({ tenantId, messageId: "start", at: Millis.make(Date.now()), actor: { kind: "worker", id: "default/gone" } }, start)
      const [stream] = log.streams
      const lines = encodeSnapshot({ positions: { [stream!]: yield* log.head(stream!) }, overrides: [] }, [waitingJob(tenantId, composeId)])
      yield* (yield* Snapshots).save("scheduler", lines)

      yield* startScheduler("test", 1000, {}, undefined, 300)
      yield* startWorker()
      const { status } = yield* until(stateOf(tenantId, composeId), ({ status }) => status !== "open")
      assert.strictEqual(status, "succeeded")
      const tags = (yield* historyOf(tenantId, composeId)).map(({ _tag }) => _tag)
      assert.strictEqual(tags.filter((tag) => tag === "JobLost").length, 1)
    }))
})
