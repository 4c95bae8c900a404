import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import {
  CancelCompose, CondemnLeftovers, type ComposeCommand, FailJob, GiveUpJob, LoseJob, RemoveCopy, RetryCompose, ReturnJob, StartJob, SucceedJob
} from "../../domain/compose-commands.ts"
import {
  ComposeCanceled, ComposeEvent, ComposeRequested, ComposeReopened, ImageGone, JobCanceled, JobFailed, JobQueued, JobReturned
} from "../../domain/compose-events.ts"
import { ComposeRejected } from "../../domain/compose-rejected.ts"
import { type Compose, isTerminal } from "../../domain/compose-state.ts"
import { ComposeDecider } from "../../domain/compose.ts"
import { isRemoval } from "../../domain/copy-removal.ts"
import { fold } from "../../domain/decider.ts"
import { AttemptToken, JobId, Millis } from "../../domain/ids.ts"
import { type Failure, rebuildsAllowed } from "../../domain/job.ts"
import {
  claim, composeId, digest, failed, failure, finished, image, jobs, lost, outcomes, queued, report, request, requestCompose, requested, started, startJob,
  succeeded, tokenOf, wholeLife, worker
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
    given(...building).when(succeed("build")).then(succeeded(build), heldUpload(1))
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
  it("waits for as long as whoever refused has asked for, but not for ever", () => {
    const refused: Failure = { class: "target-quota", message: "SlowDown" }
    const again = (retryAfterMs: number, delay: number) =>
      given(...uploading).when({ ...failWith(refused, upload), retryAfterMs }).then(failed(upload, 1, false, refused), heldUpload(2, upload, now + delay))
    again(120_000, 120_000)
    again(1000, 15_000)
    again(365 * 86_400_000, 3_600_000)
  })
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
    given(...again).when(SucceedJob.make({ ...claim(build, 2), outcome: outcomes.build })).then(succeeded(build, 2), heldUpload(1))
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

describe("what dispatch needs to know", () => {
  it("comes with each queueing: where the image lies, and the request's priority", () => {
    const urgent = { ...request, priority: "high" as const }
    given().when({ ...requestCompose, request: urgent }).then({ ...requested, request: urgent }, { ...queued(resolve), priority: "high" })
    given(...building).when(succeed("build")).then(succeeded(build), heldUpload(1))
  })
})

/** As the decider queues it while the image is there. */
const heldUpload = (attempt: number, jobId = upload, notBefore?: number) =>
  JobQueued.make({ ...queued(jobId, attempt, notBefore), held: { worker, digest } })

describe("a job that nobody can begin", () => {
  const giveUp = (attempt = 1) => GiveUpJob.make({ composeId, jobId: build, attempt, reason: "delivered 5 times" })
  const waiting = [...resolving, succeeded(resolve), queued(build)]
  it("fails where it lies", () =>
    given(...waiting).when(giveUp()).then(failed(build, 1, true, { class: "platform", message: "delivered 5 times" }), finished("failed")))
  it("is not given up once it was begun, or as another attempt", () => {
    given(...building).when(giveUp()).thenRejected(notCurrent)
    given(...waiting).when(giveUp(2)).thenRejected(notCurrent)
    given(requested).when({ ...giveUp(), jobId: JobId.make("7-build") }).thenRejected(new ComposeRejected({ composeId, reason: "NotFound" }))
  })
})

describe("an image that is gone", () => {
  const other = JobId.make("0-upload-1")
  const both = { ...requested, resolves: false, request: { ...request, images: [{ ...image, targets: [{ type: "file" as const }, { type: "file" as const }] }] as const } }
  const asked = { request: both.request.images[0] }
  const queuedTo = (jobId: typeof upload, attempt: number) => ({ ...queued(jobId, attempt), ...asked, ...(jobId === other && { target: 1 }) })
  const heldTo = (jobId: typeof upload, attempt: number) => ({ ...queuedTo(jobId, attempt), held: { worker, digest } })
  const gone = ImageGone.make({ composeId, image: 0, digest })
  const away = (jobId: typeof upload, attempt: number, final = false) => failed(jobId, attempt, final, { class: "platform", message: "its image is gone" })
  const missing = (jobId = upload, attempt = 1) => FailJob.make({ ...claim(jobId, attempt), ...chance, failure, imageGone: true })
  const built = [both, queuedTo(build, 1), started(build), succeeded(build), heldTo(upload, 1), heldTo(other, 1), started(upload)]
  const uploading = [...built, started(other)]
  /** Both uploads run, and the first has said that the image is gone. */
  const rebuilding = [...uploading, failed(upload, 1, false), gone, queuedTo(build, 2)]

  it("is built again, and what waits for a slot waits for that instead", () =>
    given(...built).when(missing()).then(failed(upload, 1, false), gone, away(other, 1), queuedTo(build, 2)))
  it("is nothing that a build could miss", () =>
    given(...building).when({ ...missing(), jobId: build, token: tokenOf(build, 1) }).then(failed(build, 1, false), queued(build, 2, now + 500)))
  it("is brought to all who wait for it once it is there again", () =>
    given(...built, failed(upload, 1, false), gone, away(other, 1), queuedTo(build, 2), started(build, 2))
      .when(SucceedJob.make({ ...claim(build, 2), outcome: outcomes.build })).then(succeeded(build, 2), heldTo(upload, 2), heldTo(other, 2)))
  it("is built again once, whoever misses it", () => given(...rebuilding).when(missing(other)).then(failed(other, 1, false)))
  it("leaves what is done, and whoever works on it still, alone", () => {
    const half = [...uploading, succeeded(other), failed(upload, 1, false), gone, queuedTo(build, 2), started(build, 2)]
    given(...half).when(FailJob.make({ ...claim(build, 2), ...chance, failure: { class: "user", message: "no" } }))
      .then(failed(build, 2, true, { class: "user", message: "no" }), finished("failed"))
    assert.deepStrictEqual([...fold(ComposeDecider, [...half, failed(build, 2, true)]).jobs.values()].map(({ state }) => state), ["failed", "skipped", "succeeded"])
    const dead = [...rebuilding, started(build, 2), failed(build, 2, true)]
    given(...dead).when(SucceedJob.make({ ...claim(other), outcome: outcomes.upload })).then(succeeded(other), finished("failed"))
  })
  it("lets jobs that are lost, given back or failed meanwhile wait for it", () => {
    given(...rebuilding).when(lose(other)).then(lost(other, 1, false))
    given(...rebuilding).when(failWith(failure, other)).then(failed(other, 1, false))
    given(...rebuilding).when(ReturnJob.make(claim(other))).then(away(other, 1))
  })
  it("and cannot be built again takes them with it", () => {
    const dead = [...rebuilding, started(build, 2), failed(build, 2, true)]
    given(...dead).when(lose(other)).then(lost(other, 1, true), finished("failed"))
    given(...dead).when(failWith(failure, other)).then(failed(other, 1, true), finished("failed"))
    given(...dead).when(missing(other)).then(failed(other, 1, true), finished("failed"))
    given(...dead).when(ReturnJob.make(claim(other))).then(away(other, 1, true), finished("failed"))
  })
  it("may be asked for again: first the build, then what needs it", () => {
    const dead = [...rebuilding, started(build, 2), failed(build, 2, true), failed(other, 1, true), finished("failed")]
    const retry = RetryCompose.make({ composeId })
    const reopened = ComposeReopened.make({ composeId })
    given(...dead).when(retry).then(reopened, queuedTo(build, 3))
    given(...dead).when({ ...retry, jobId: other }).thenRejected(new ComposeRejected({ composeId, reason: "NotFailed" }))
    given(...dead, reopened, queuedTo(build, 3), started(build, 3)).when(SucceedJob.make({ ...claim(build, 3), outcome: outcomes.build }))
      .then(succeeded(build, 3), heldTo(upload, 2), heldTo(other, 2))
  })
  it("is built again so often and no oftener, unless somebody asks for a retry", () => {
    const events: Array<ComposeEvent> = [requested, queued(build), started(build), succeeded(build), heldUpload(1)]
    for (let times = 1; times <= rebuildsAllowed; times++) {
      events.push(started(upload, times), failed(upload, times, false), gone, queued(build, times + 1), started(build, times + 1), succeeded(build, times + 1), heldUpload(times + 1))
    }
    const last = rebuildsAllowed + 1
    given(...events, started(upload, last)).when(missing(upload, last)).then(failed(upload, last, false), heldUpload(last + 1, upload, now + 500))
    const dead = [...events, started(upload, last), failed(upload, last, true), finished("failed"), ComposeReopened.make({ composeId }), heldUpload(last + 1), started(upload, last + 1)]
    given(...dead).when(missing(upload, last + 1)).then(failed(upload, last + 1, false), gone, queued(build, last + 1))
  })
})

const bucket = { type: "s3" as const, bucket: "images" }

describe("an image that is tested and goes to a cloud", () => {
  const cloud = JobId.make("0-upload-1")
  const targets = [{ type: "file" as const }, bucket]
  const images = [{ ...image, targets }] as const
  const asked = ComposeRequested.make({ composeId, request: { ...request, images }, builder: "debian", resolves: false, tests: [0] })
  const of = (event: typeof JobQueued.Type, target: number | undefined, isHeld = true): ComposeEvent =>
    ({ ...event, request: images[0], ...(target !== undefined && { target }), ...(isHeld && { held: { worker, digest } }) })
  const built = [asked, of(queued(build), undefined, false), started(build), succeeded(build), of(queued(jobs.test), undefined), of(queued(upload), 0)]
  const tested = [...built, started(jobs.test), succeeded(jobs.test), of(queued(cloud), 1)]
  const missing = (jobId: JobId, attempt = 1) => FailJob.make({ ...claim(jobId, attempt), ...chance, failure, imageGone: true })
  const gone = ImageGone.make({ composeId, image: 0, digest })

  it("goes into Kiln's own store at once, and to the cloud when it has passed", () => {
    given(...built.slice(0, 3)).when(SucceedJob.make({ ...claim(build), outcome: outcomes.build })).then(...built.slice(3))
    given(...built, started(jobs.test)).when(SucceedJob.make({ ...claim(jobs.test), outcome: outcomes.test })).then(succeeded(jobs.test), of(queued(cloud), 1))
  })
  it("goes nowhere else when it has failed", () =>
    given(...built, started(upload), succeeded(upload), started(jobs.test)).when(FailJob.make({ ...claim(jobs.test), ...chance, failure, report }))
      .then(JobFailed.make({ composeId, jobId: jobs.test, attempt: 1, failure, final: true, report }), finished("failed")))
  it("is built and tested again when it is gone before it was delivered", () => {
    const again = [...tested, started(cloud), failed(cloud, 1, false), gone, failed(upload, 1, false, { class: "platform", message: "its image is gone" }), of(queued(build, 2), undefined, false)]
    given(...tested, started(cloud)).when(missing(cloud)).then(...again.slice(tested.length + 1))
    given(...again, started(build, 2)).when(SucceedJob.make({ ...claim(build, 2), outcome: outcomes.build }))
      .then(succeeded(build, 2), of(queued(jobs.test, 2), undefined), of(queued(upload, 2), 0))
    given(...again, started(build, 2), succeeded(build, 2), of(queued(jobs.test, 2), undefined), of(queued(upload, 2), 0), started(jobs.test, 2))
      .when(SucceedJob.make({ ...claim(jobs.test, 2), outcome: outcomes.test })).then(succeeded(jobs.test, 2), of(queued(cloud, 2), 1))
  })
  it("is not tested again when it is gone after it was delivered there", () => {
    const done = [...tested, started(cloud), succeeded(cloud), started(upload)]
    given(...done, failed(upload, 1, false), gone, of(queued(build, 2), undefined, false), started(build, 2))
      .when(SucceedJob.make({ ...claim(build, 2), outcome: outcomes.build })).then(succeeded(build, 2), of(queued(upload, 2), 0))
  })
})

describe("laws", () => {
  const [first, second] = [upload, JobId.make("0-upload-1")]
  const twoTargets = { ...requestCompose, tests: [0], request: { ...request, images: [{ ...image, targets: [{ type: "file" as const }, { type: "file" as const }, bucket] }] as const } }
  const all: ReadonlyArray<JobId> = [resolve, build, jobs.test, first, second, JobId.make("0-upload-2")]
  const outcomeFor = (jobId: JobId) => jobId === resolve ? outcomes.resolve : jobId === build ? outcomes.build : jobId === jobs.test ? outcomes.test : isRemoval(jobId) ? outcomes.delete : outcomes.upload
  const aboutAttempt = (jobId: JobId, attempt: number): ReadonlyArray<ComposeCommand> => [
    StartJob.make({ ...claim(jobId, attempt), worker }), StartJob.make({ ...claim(jobId, attempt), worker }),
    SucceedJob.make({ ...claim(jobId, attempt), outcome: outcomeFor(jobId) }), SucceedJob.make({ ...claim(jobId, attempt), outcome: outcomeFor(jobId) }),
    FailJob.make({ ...claim(jobId, attempt), ...chance, failure }),
    FailJob.make({ ...claim(jobId, attempt), ...chance, failure: { class: "user", message: "no" } }),
    FailJob.make({ ...claim(jobId, attempt), ...chance, failure, imageGone: true }),
    ...(jobId === jobs.test ? [FailJob.make({ ...claim(jobId, attempt), ...chance, failure, report })] : []),
    ReturnJob.make(claim(jobId, attempt)), LoseJob.make({ ...claim(jobId, attempt), ...chance, reason: "silence" }),
    GiveUpJob.make({ composeId, jobId, attempt, reason: "poison" })
  ]
  /** A fixed generator, so that a failing walk can be walked again. */
  const random = (seed: number) => () => {
    seed = (seed * 1_664_525 + 1_013_904_223) >>> 0
    return seed / 2 ** 32
  }
  /** Answers with all events; `each` sees every command that was not refused, and the compose after it. */
  const walk = (seed: number, each: (command: ComposeCommand, compose: Compose) => void = () => {}): ReadonlyArray<ComposeEvent> => {
    const next = random(seed)
    const events: Array<ComposeEvent> = []
    let compose = ComposeDecider.initial
    for (let step = 0; step < 90; step++) {
      // Mostly about an attempt that is current or has just been, so that walks get somewhere; sometimes about any.
      const open = [...compose.jobs.values()].filter(({ state }) => state === "queued" || state === "running")
      const jobId = open.length > 0 && next() < 0.8 ? open[Math.floor(next() * open.length)]!.jobId : all[Math.floor(next() * all.length)]!
      const attempt = Math.max(1, (compose.jobs.get(jobId)?.attempt ?? 1) - (next() < 0.1 ? 1 : 0))
      const commands = aboutAttempt(jobId, attempt)
      const what = next()
      const command = what < 0.05 || step === 0 ? twoTargets
        : what < 0.06 ? CancelCompose.make({ composeId })
        : what > 0.92 ? RemoveCopy.make({ composeId, image: 0, target: Math.floor(next() * 3), reason: "asked" })
        : what > 0.9 ? CondemnLeftovers.make({ composeId, image: 0, target: Math.floor(next() * 3), resources: [{ kind: "object", id: "left" }] })
        : what < 0.12 ? RetryCompose.make({ composeId, ...(next() < 0.3 && { jobId }) })
        : commands[Math.floor(next() * commands.length)]!
      const decided = ComposeDecider.decide(command, compose)
      if (Result.isFailure(decided)) continue
      events.push(...decided.success)
      compose = fold(ComposeDecider, decided.success, compose)
      each(command, compose)
    }
    return events
  }
  const seeds = Array.from({ length: 100 }, (_, seed) => seed)

  it("a command decided twice adds nothing", () => {
    for (const seed of seeds) {
      walk(seed, (command, compose) => {
        // A retry asked for once more is another one where the first was over at once.
        if (command._tag === "RetryCompose") return
        const again = ComposeDecider.decide(command, compose)
        assert.strictEqual(Result.getOrElse(again, () => []).length, 0, `seed ${seed}, ${command._tag}`)
      })
    }
  })
  it("a fold of any prefix is valid: one current attempt a job, nothing is queued before what it waits for, an ended compose stays ended unless it is reopened", () => {
    const seen = new Set<string>()
    for (const seed of seeds) {
      let compose = ComposeDecider.initial
      let ended: string | undefined
      for (const event of walk(seed)) {
        compose = ComposeDecider.evolve(compose, event)
        seen.add(event._tag)
        for (const job of compose.jobs.values()) {
          const before = job.after === undefined ? undefined : compose.jobs.get(job.after)
          if (before !== undefined && event._tag === "JobQueued" && event.jobId === job.jobId) assert.strictEqual(before.state, "succeeded", `seed ${seed}`)
          if (job.state === "running") assert.strictEqual(job.token, tokenOf(job.jobId, job.attempt))
        }
        if (event._tag === "ComposeReopened") ended = undefined
        if (ended !== undefined) assert.strictEqual(compose.status, ended, `seed ${seed}`)
        if (compose.status !== "open") ended = compose.status
        if (compose.status === "succeeded" || compose.status === "failed") {
          assert.isTrue([...compose.jobs.values()].every(({ kind, state }) => kind === "delete" || isTerminal(state)), `seed ${seed}`)
        }
      }
    }
    assert.deepStrictEqual([...seen].sort(), Object.keys(ComposeEvent.cases).sort())
  })
  it("after each decision an open compose has a job that waits for a slot or runs, so none is ever stuck", () => {
    for (const seed of seeds) {
      walk(seed, (_, { jobs, status }) => {
        const underWay = [...jobs.values()].some(({ kind, state }) => kind !== "delete" && (state === "queued" || state === "running"))
        if ((status === "open") !== underWay) assert.fail(`seed ${seed}: ${status}, ${[...jobs.values()].map(({ jobId, state }) => `${jobId} ${state}`).join(", ")}`)
      })
    }
  })
  it("what is done stays done, unless its image was gone", () => {
    for (const seed of seeds) {
      const done = new Set<string>()
      const events = walk(seed)
      let compose = ComposeDecider.initial
      for (const event of events) {
        if (event._tag === "JobSucceeded" && done.has(event.jobId)) assert.fail(`seed ${seed}: ${event.jobId} succeeded twice`)
        if (event._tag === "JobSucceeded") done.add(event.jobId)
        compose = ComposeDecider.evolve(compose, event)
        if (event._tag === "ImageGone") done.delete(build)
        if (event._tag === "ImageGone" && compose.jobs.get(jobs.test)?.state === "waiting") done.delete(jobs.test)
      }
      assert.deepStrictEqual([...compose.jobs.values()].filter(({ state }) => state === "succeeded").map(({ jobId }) => jobId as string).sort(), [...done].sort(), `seed ${seed}`)
    }
  })
  it("digests of locks and artifacts come through the fold as they were said", () =>
    assert.deepStrictEqual(fold(ComposeDecider, wholeLife).outcomes.get(resolve), { ...outcomes.resolve, lock: { digest, size: 3 } }))
})
