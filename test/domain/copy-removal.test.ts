import { assert, describe, it } from "@effect/vitest"
import { CancelCompose, FailJob, LoseJob, RemoveCopy, RetryCompose, SucceedJob } from "../../domain/compose-commands.ts"
import { ComposeCanceled, ComposeFinished, ComposeRequested, CopyCondemned, CopyRemoved, type ComposeEvent } from "../../domain/compose-events.ts"
import { endingOf } from "../../domain/compose-ending.ts"
import { ComposeRejected } from "../../domain/compose-rejected.ts"
import { ComposeDecider } from "../../domain/compose.ts"
import { fold } from "../../domain/decider.ts"
import { Millis } from "../../domain/ids.ts"
import {
  artifact, claim, composeId, failed, failure, jobs, lost, outcomes, queued, requested, started, startJob, succeeded, wholeLife
} from "../support/composes.ts"
import { specify } from "../support/specify.ts"

const { given } = specify(ComposeDecider)
const removal = jobs.delete
const remove = (reason: "asked" | "retention" = "asked", target = 0) => RemoveCopy.make({ composeId, image: 0, target, reason })
const condemned = (reason: "asked" | "retention" = "asked") => CopyCondemned.make({ composeId, image: 0, target: 0, reason })
const gone = (reason: "asked" | "retention" = "asked") => CopyRemoved.make({ composeId, image: 0, target: 0, reason, bytes: artifact.size })
const rejected = (reason: ComposeRejected["reason"]) => new ComposeRejected({ composeId, reason })
const chance = { now: Millis.make(0), jitter: 0 }
const succeed = SucceedJob.make({ ...claim(removal), outcome: outcomes.delete })
const going: ReadonlyArray<ComposeEvent> = [...wholeLife, condemned(), queued(removal)]

describe("a delivered copy", () => {
  it("goes by a job of its own, after the compose's end", () => given(...wholeLife).when(remove("retention")).then(condemned("retention"), queued(removal)))

  it("is on record as gone once that job is done, and the compose's end is not said again", () => {
    given(...going).when(startJob(removal)).then(started(removal))
    given(...going, started(removal)).when(succeed).then(succeeded(removal), gone())
  })

  it("is asked for once, however often that is said, also when it is gone", () => {
    given(...going).when(remove()).thenNothing()
    given(...going, started(removal)).when(remove("retention")).thenNothing()
    given(...going, started(removal), succeeded(removal), gone()).when(remove()).thenNothing()
    given(...going, started(removal), succeeded(removal), gone()).when(succeed).thenNothing()
  })

  it("is tried again when its removal has failed for good, with a new reason if there is one", () =>
    given(...going, started(removal), failed(removal, 1, true)).when(remove("retention")).then(condemned("retention"), queued(removal, 2)))

  it("cannot go while the compose is open, if it was never delivered, or where nothing was asked for", () => {
    given(...wholeLife.slice(0, -1)).when(remove()).thenRejected(rejected("NotEnded"))
    given(...wholeLife.slice(0, -3), ComposeCanceled.make({ composeId })).when(remove()).thenRejected(rejected("NotDelivered"))
    given(...wholeLife).when(remove("asked", 1)).thenRejected(rejected("NotFound"))
    given().when(remove()).thenRejected(rejected("NotFound"))
  })
})

describe("a removal that goes wrong", () => {
  const running = [...going, started(removal)]

  it("is tried again with time in between, and lost ones at once", () => {
    given(...running).when(FailJob.make({ ...claim(removal), ...chance, failure: { class: "target-fault", message: "503" } }))
      .then(failed(removal, 1, false, { class: "target-fault", message: "503" }), queued(removal, 2, 1000))
    given(...running).when(LoseJob.make({ ...claim(removal), ...chance, reason: "silence" })).then(lost(removal, 1, false), queued(removal, 2))
  })

  it("ends as failed and leaves the compose as it ended", () => {
    const user = { class: "user" as const, message: "AccessDenied" }
    given(...running).when(FailJob.make({ ...claim(removal), ...chance, failure: user })).then(failed(removal, 1, true, user))
    const after = fold(ComposeDecider, [...running, failed(removal, 1, true)])
    assert.strictEqual(after.status, "succeeded")
    given(...running, failed(removal, 1, true)).when(RetryCompose.make({ composeId })).thenRejected(rejected("Ended"))
  })

  it("is nobody's to cancel or to try again with a compose that was reopened", () => {
    const reopened: ReadonlyArray<ComposeEvent> = [...wholeLife.slice(0, -1), ComposeFinished.make({ composeId, outcome: "failed" }), condemned(), queued(removal)]
    given(...reopened, started(removal), failed(removal, 1, true)).when(RetryCompose.make({ composeId })).thenRejected(rejected("NotFailed"))
    const open: ReadonlyArray<ComposeEvent> = [...reopened, { _tag: "ComposeReopened", composeId }]
    given(...open).when(CancelCompose.make({ composeId })).then(ComposeCanceled.make({ composeId }))
  })

  it("does not count as the compose's own failure", () => {
    const run: ReadonlyArray<ComposeEvent> = [
      ...wholeLife.slice(0, -1), { _tag: "ComposeReopened", composeId }, failed(removal, 1, true, failure), ComposeFinished.make({ composeId, outcome: "failed" })
    ]
    assert.isFalse(endingOf(run).byPlatform)
    assert.isTrue(endingOf([...run.slice(0, -1), failed(jobs.upload, 1, true, failure), run.at(-1)!]).byPlatform)
  })
})

describe("a compose that asks to be spared", () => {
  const labelled = (labels: Record<string, string>) => ComposeRequested.make({ ...requested, request: { ...requested.request, labels } })
  const end = (labels: Record<string, string>) => given(labelled(labels), ...wholeLife.slice(1, -2)).when(SucceedJob.make({ ...claim(jobs.upload), outcome: outcomes.upload }))

  it("says so with its end", () => {
    const finished = ComposeFinished.make({ composeId, outcome: "succeeded" })
    end({ pipeline: "web" }).then(succeeded(jobs.upload), ComposeFinished.make({ ...finished, spared: { pipeline: "web" } }))
    end({ keep: "true", pipeline: "" }).then(succeeded(jobs.upload), ComposeFinished.make({ ...finished, spared: { always: true } }))
    end({ keep: "yes", team: "web" }).then(succeeded(jobs.upload), finished)
  })
})
