/** What other programs do to a compose, by commands through the one handler: `given` for the gateway's tests. */
import { Effect } from "effect"
import { execute } from "../../../apps/execute.ts"
import { type ComposeCommand, FailJob, LoseJob, StartJob, SucceedJob } from "../../../domain/compose-commands.ts"
import type { Artifact, Blob } from "../../../domain/artifact.ts"
import type { FailureClass } from "../../../domain/failure-class.ts"
import { AttemptToken, ComposeId, Digest, JobId, Millis, TenantId, WorkerId } from "../../../domain/ids.ts"
import { type JobOutcome, Resolved, Uploaded } from "../../../domain/job.ts"
import type { Spent } from "../../../domain/spent.ts"
import { JobFeedSource } from "../../../infra/memory/job-feed.ts"
import type { Gateway } from "./harness.ts"

export const acme = TenantId.make("acme")
export const tokenOf = (name: string) => AttemptToken.make(name.padEnd(22, "-"))
export const aDigest = Digest.make(`sha256:${"a".repeat(64)}`)
export const anArtifact: Artifact = { digest: aDigest, size: 10, format: "qcow2", filename: "debian-13.qcow2", mediaType: "application/x-qemu-disk" }

export const sceneOf = (gateway: Gateway, id: string) => {
  const composeId = ComposeId.make(id)
  let messages = 0
  const say = (command: ComposeCommand) =>
    gateway.run(execute({
      tenantId: acme, messageId: `${id}-${messages += 1}`, at: Millis.make(Date.now()), actor: { kind: "system", id: "test" }
    }, command))
  const claim = (job: string, attempt = 1, holder = "w1") =>
    ({ composeId, jobId: JobId.make(job), attempt, token: tokenOf(holder) })
  const chance = () => ({ now: Millis.make(Date.now()), jitter: 0 })

  return {
    started: (job: string, attempt = 1, holder = "w1") =>
      say(StartJob.make({ ...claim(job, attempt, holder), worker: WorkerId.make(holder) })),
    succeeded: (job: string, outcome: JobOutcome = Resolved.make({ lock: { digest: aDigest, size: 1 }, packages: 3, downloadBytes: 9 }), log?: Blob, holder = "w1") =>
      say(SucceedJob.make({ ...claim(job, 1, holder), outcome, ...(log && { log }) })),
    succeededAs: (holder: string, job: string, outcome: JobOutcome, spent?: Spent) =>
      say(SucceedJob.make({ ...claim(job, 1, holder), outcome, ...(spent && { spent }) })),
    failed: (job: string, failure: FailureClass, log?: Blob, holder = "w1") =>
      say(FailJob.make({ ...claim(job, 1, holder), ...chance(), failure: { class: failure, message: "it broke", excerpt: "E: broken" }, ...(log && { log }) })),
    lost: (job: string, attempt = 1) => say(LoseJob.make({ ...claim(job, attempt), ...chance(), reason: "no heartbeat" })),
    /** Every job of a compose with one image and no resolve. */
    async done(artifact = anArtifact) {
      await this.started("0-build")
      await this.succeeded("0-build", { _tag: "Built", manifest: aDigest, artifact, heldBy: WorkerId.make("w1"), reused: false })
      await this.started("0-upload-0")
      await this.succeeded("0-upload-0", Uploaded.make({ target: { type: "file" }, artifact }))
    },
    prints: (job: string, lines: ReadonlyArray<string>, attempt = 1, holder = "w1") =>
      gateway.run(Effect.flatMap(JobFeedSource, (source) =>
        source.lines(acme, composeId, { jobId: JobId.make(job), attempt, token: tokenOf(holder), at: Millis.make(Date.now()) }, lines))),
    progresses: (job: string, percent: number, attempt = 1, holder = "w1") =>
      gateway.run(Effect.flatMap(JobFeedSource, (source) =>
        source.progress(acme, composeId, { jobId: JobId.make(job), attempt, token: tokenOf(holder), at: Millis.make(Date.now()) }, { stage: "packages", percent })))
  }
}

export const simulated = { distribution: "test-distro-1", images: [{ architecture: "x86_64", type: "simulated" }] }

/** A compose of tenant acme, and what can happen to it. */
export const given = async (gateway: Gateway, body: object = simulated) => {
  const response = await gateway.post(body)
  const { id } = await response.json() as { id: string }
  return { id, ...sceneOf(gateway, id) }
}
