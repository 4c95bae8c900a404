import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import {
  CancelCompose, ComposeCanceled, type ComposeCommand, ComposeDecider, type ComposeEvent, ComposeRejected, ComposeReopened, FailJob, isTerminal,
  JobCanceled, JobReturned, LoseJob, RetryCompose, ReturnJob, SucceedJob
} from "../../domain/compose.ts"
import { fold } from "../../domain/decider.ts"
import { AttemptToken, Millis } from "../../domain/ids.ts"
import type { Failure } from "../../domain/job.ts"
import {
  claim, composeId, digest, failed, failure, finished, jobs, lost, outcomes, queued, requestCompose, requested, started, startJob, succeeded,
  tokenOf, wholeLife
} from "../support/composes.ts"
import { specify } from "../support/specify.ts"

const { given } = specify(ComposeDecider)
const { resolve, build, upload } = jobs
const now = Millis.make(1_790_000_000_000)
const chance = { now, jitter: 0 }
const resolving = [requested, queued(resolve), started(resolve)]
const building = [...resolving, succeeded(resolve), queued(build), started(build)]
const uploading = [...building, succeeded(build), queued(upload), started(upload)]
const notCurrent = new ComposeRejected({ composeId, reason: "NotCurrent" })

const succeed = (jobId: keyof typeof jobs) => SucceedJob.make({ ...claim(jobs[jobId]), outcome: outcomes[jobId] })
const failWith = (why: Failure, jobId = build, attempt = 1) => FailJob.make({ ...claim(jobId, attempt), ...chance, failure: why })
const lose = (jobId = build, attempt = 1) => LoseJob.make({ ...claim(jobId, attempt), ...chance, reason: "silence" })

describe("a request", () => {
  it("queues the first job of each image", () => given().when(requestCompose).then(requested, queued(resolve)))
  it("begins with the build where nothing has to be resolved", () => {
    const simulated = { ...requestCompose, resolves: false }
    given().when(simulated).then({ ...requested, resolves: false }, queued(build))
  })
  it("heard twice is one request", () => given(requested, queued(resolve)).when(requestCompose).thenNothing())
})

describe("a job", () => {
  it("is started by the first worker that says so", () => given(requested, queued(resolve)).when(startJob(resolve)).then(started(resolve)))
  it("takes the same start twice as one", () => given(...resolving).when(startJob(resolve)).thenNothing())
  it("refuses a second worker", () => {
    const other = { ...startJob(resolve), token: AttemptToken.make("somebody-else-entirely-----") }
    given(...resolving).when(other).thenRejected(notCurrent)
  })
  it("refuses a start of an attempt that is over", () =>
    given(...resolving, lost(resolve, 1, false), queued(resolve, 2)).when(startJob(resolve, 1)).thenRejected(notCurrent))
  it("queues what waited for it when it succeeds", () => {
    given(...resolving).when(succeed("resolve")).then(succeeded(resolve), queued(build))
    given(...building).when(succeed("build")).then(succeeded(build), queued(upload))
  })
  it("ends the compose when it was the last", () =>
    given(...uploading).when(succeed("upload")).then(succeeded(upload), finished("succeeded")))
  it("takes a result delivered twice as one", () => given(...wholeLife).when(succeed("upload")).thenNothing())
  it("hears nobody but the holder of its token", () =>
    given(...building).when({ ...succeed("build"), token: AttemptToken.make("a-stale-worker-------------") }).thenRejected(notCurrent))
  it("is not there in another compose's plan", () =>
    given(requested).when(startJob("7-build" as typeof build)).thenRejected(new ComposeRejected({ composeId, reason: "NotFound" })))
})

describe("a failing job", () => {
  it("comes again later when another attempt may pass", () =>
    given(...building).when(failWith(failure)).then(failed(build, 1, false), queued(build, 2, now + 500)))
  it("waits longer each time", () =>
    given(...building, failed(build, 1, false), queued(build, 2, now), started(build, 2)).when(failWith(failure, build, 2))
      .then(failed(build, 2, false), queued(build, 3, now + 1000)))
  it("ends the compose when its attempts are used up", () =>
    given(...building, failed(build, 1, false), queued(build, 2), started(build, 2), failed(build, 2, false), queued(build, 3), started(build, 3))
      .when(failWith(failure, build, 3)).then(failed(build, 3, true), finished("failed")))
  it("is never tried again for what the requester asked wrongly", () => {
    const mistake: Failure = { class: "user", message: "no package nginxx" }
    given(...resolving).when(failWith(mistake, resolve)).then(failed(resolve, 1, true, mistake), finished("failed"))
  })
  it("leaves what waited for it undone", () => {
    const end = fold(ComposeDecider, [...building, failed(build, 1, true), finished("failed")])
    assert.strictEqual(end.jobs.get(upload)?.state, "skipped")
  })
})

describe("a lost job", () => {
  it("is queued again at once, twice", () => {
    given(...building).when(lose()).then(lost(build, 1, false), queued(build, 2))
    given(...building, lost(build, 1, false), queued(build, 2), started(build, 2)).when(lose(build, 2)).then(lost(build, 2, false), queued(build, 3))
  })
  it("fails the compose the third time", () =>
    given(...building, lost(build, 1, false), queued(build, 2), started(build, 2), lost(build, 2, false), queued(build, 3), started(build, 3))
      .when(lose(build, 3)).then(lost(build, 3, true), finished("failed")))
  it("that was given back is queued again as the same attempt", () =>
    given(...building).when(ReturnJob.make(claim(build)))
      .then(JobReturned.make({ composeId, jobId: build, attempt: 1 }), queued(build, 1)))
  it("that was given back is not taken again by the late echo of its old start", () =>
    given(...building, JobReturned.make({ composeId, jobId: build, attempt: 1 }), queued(build, 1)).when(startJob(build)).thenNothing())
})

describe("a cancel", () => {
  const cancel = CancelCompose.make({ composeId })
  const canceled = ComposeCanceled.make({ composeId })
  it("ends the running jobs and the compose", () =>
    given(...building).when(cancel).then(JobCanceled.make({ composeId, jobId: build, attempt: 1 }), canceled))
  it("said twice is one", () => given(...building, JobCanceled.make({ composeId, jobId: build, attempt: 1 }), canceled).when(cancel).thenNothing())
  it("comes too late for what has ended", () =>
    given(...wholeLife).when(cancel).thenRejected(new ComposeRejected({ composeId, reason: "Ended" })))
  it("of nothing is refused", () => given().when(cancel).thenRejected(new ComposeRejected({ composeId, reason: "NotFound" })))
  it("makes the worker's result worthless", () =>
    given(...building, JobCanceled.make({ composeId, jobId: build, attempt: 1 }), canceled).when(succeed("build")).thenRejected(notCurrent))
})

describe("a retry", () => {
  const dead = [...building, failed(build, 1, true), finished("failed")]
  const retry = (jobId?: typeof build) => RetryCompose.make({ composeId, ...(jobId !== undefined && { jobId }) })
  const reopened = ComposeReopened.make({ composeId })
  it("queues what has failed and opens the compose again", () => {
    given(...dead).when(retry()).then(reopened, queued(build, 2))
    given(...dead).when(retry(build)).then(reopened, queued(build, 2))
  })
  it("asked twice is one", () => given(...dead, reopened, queued(build, 2)).when(retry()).thenNothing())
  it("wakes what was skipped, and ends well if all goes well", () => {
    const again = [...dead, reopened, queued(build, 2), started(build, 2)]
    given(...again).when(SucceedJob.make({ ...claim(build, 2), outcome: outcomes.build })).then(succeeded(build, 2), queued(upload))
  })
  it("gives the job its automatic attempts again", () => {
    const again = [...dead, reopened, queued(build, 2), started(build, 2)]
    given(...again).when(failWith(failure, build, 2)).then(failed(build, 2, false), queued(build, 3, now + 500))
    given(...again).when(lose(build, 2)).then(lost(build, 2, false), queued(build, 3))
  })
  it("is refused where nothing has failed, or nothing is", () => {
    const reject = (reason: ComposeRejected["reason"]) => new ComposeRejected({ composeId, reason })
    given(...wholeLife).when(retry()).thenRejected(reject("Ended"))
    given(...dead).when(retry(resolve)).thenRejected(reject("NotFailed"))
    given(...dead).when(retry("9-build" as typeof build)).thenRejected(reject("NotFound"))
    given().when(retry()).thenRejected(reject("NotFound"))
  })
})

describe("laws", () => {
  const commands: ReadonlyArray<ComposeCommand> = [
    requestCompose, startJob(resolve), succeed("resolve"), startJob(build), failWith(failure), lose(), ReturnJob.make(claim(build)),
    startJob(build, 2), SucceedJob.make({ ...claim(build, 2), outcome: outcomes.build }), lose(build, 2), startJob(build, 3),
    succeed("build"), startJob(upload), succeed("upload"), CancelCompose.make({ composeId }), RetryCompose.make({ composeId }), FailJob.make({ ...claim(build, 3), ...chance, failure })
  ]
  /** A fixed generator, so that a failing walk can be walked again. */
  const random = (seed: number) => () => {
    seed = (seed * 1_664_525 + 1_013_904_223) >>> 0
    return seed / 2 ** 32
  }
  const walk = (seed: number, steps: number, check: (events: ReadonlyArray<ComposeEvent>, command: ComposeCommand) => void) => {
    const next = random(seed)
    let events: ReadonlyArray<ComposeEvent> = []
    for (let step = 0; step < steps; step++) {
      // The first commands come first more often, so that walks get somewhere.
      const command = commands[Math.floor(next() * Math.min(commands.length, step + 3))]!
      const decided = ComposeDecider.decide(command, fold(ComposeDecider, events))
      if (Result.isSuccess(decided)) events = [...events, ...decided.success]
      check(events, command)
    }
  }
  const seeds = Array.from({ length: 100 }, (_, seed) => seed)

  it("a command decided twice adds nothing", () => {
    for (const seed of seeds) {
      walk(seed, 40, (events, command) => {
        const again = ComposeDecider.decide(command, fold(ComposeDecider, events))
        assert.deepStrictEqual(Result.getOrElse(again, () => []), [], `seed ${seed}, ${command._tag}`)
      })
    }
  })
  it("a fold of any prefix is valid: one current attempt a job, nothing runs before what it waits for, an ended compose stays ended unless it is reopened", () => {
    for (const seed of seeds) {
      walk(seed, 40, (events) => {
        let ended: string | undefined
        for (let length = 0; length <= events.length; length++) {
          const compose = fold(ComposeDecider, events.slice(0, length))
          for (const job of compose.jobs.values()) {
            const before = job.after === undefined ? undefined : compose.jobs.get(job.after)
            const begun = job.state === "queued" || job.state === "running" || job.state === "succeeded"
            if (before !== undefined && begun) assert.strictEqual(before.state, "succeeded", `seed ${seed}`)
            if (job.state === "running") assert.deepStrictEqual([job.token, job.attempt], [tokenOf(job.jobId, job.attempt), job.attempt])
          }
          if (events[length - 1]?._tag === "ComposeReopened") ended = undefined
          if (ended !== undefined) assert.strictEqual(compose.status, ended, `seed ${seed}`)
          if (compose.status !== "absent" && compose.status !== "open") ended = compose.status
          if (compose.status === "succeeded") assert.isTrue([...compose.jobs.values()].every(({ state }) => isTerminal(state)))
        }
      })
    }
  })
  it("digests of locks and artifacts come through the fold as they were said", () =>
    assert.deepStrictEqual(fold(ComposeDecider, wholeLife).outcomes.get(resolve), { ...outcomes.resolve, lock: { digest, size: 3 } }))
})
