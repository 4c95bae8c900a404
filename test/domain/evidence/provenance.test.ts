import { assert, describe, it } from "@effect/vitest"
import { type ComposeEvent, ImageGone, JobReturned, JobSucceeded } from "../../../domain/compose-events.ts"
import { provenanceOf } from "../../../domain/evidence/provenance.ts"
import { Digest } from "../../../domain/ids.ts"
import { Built } from "../../../domain/job.ts"
import { artifact, composeId, digest, failed, jobs, lost, outcomes, queued, recordedOf, requested, started, succeeded, wholeLife, worker } from "../../support/composes.ts"

const of = (events: ReadonlyArray<ComposeEvent>) => provenanceOf(recordedOf(events), 0, "https://kiln.example")
const sha = (letter: string) => letter.repeat(64)
const blob = (letter: string) => ({ digest: Digest.make(`sha256:${sha(letter)}`), size: 9 })
const evidence = { spdx: blob("1"), cyclonedx: blob("2"), tools: { mmdebstrap: "1.3.5-7" } }
const built = (file = artifact) => JobSucceeded.make({
  composeId, jobId: jobs.build, attempt: 1, outcome: Built.make({ manifest: digest, artifact: file, heldBy: worker, reused: false, evidence })
})
const resolved = [requested, queued(jobs.resolve), started(jobs.resolve), succeeded(jobs.resolve)]

describe("an image's provenance", () => {
  it("is what the compose's events say, and nothing else", () =>
    assert.deepStrictEqual(of([...resolved, queued(jobs.build), started(jobs.build), built()]), {
      _type: "https://in-toto.io/Statement/v1",
      subject: [{ name: "image.qcow2", digest: { sha256: sha("a") }, annotations: { size: 7 } }],
      predicateType: "https://slsa.dev/provenance/v1",
      predicate: {
        buildDefinition: {
          buildType: "urn:kiln:build:v1",
          externalParameters: { distribution: "debian-13", architecture: "x86_64", type: "guest-image", manifest: digest },
          internalParameters: { builder: "debian" },
          resolvedDependencies: [{ name: "lock.json", digest: { sha256: sha("a") }, mediaType: "application/json" }]
        },
        runDetails: {
          builder: { id: "https://kiln.example", version: { mmdebstrap: "1.3.5-7" } },
          metadata: {
            invocationId: `urn:kiln:compose:${composeId}:0-build:1`,
            startedOn: "2026-09-21T14:13:25.000Z",
            finishedOn: "2026-09-21T14:13:26.000Z",
            kiln_reused: false,
            kiln_attempts: [
              { job: jobs.resolve, attempt: 1, worker: "w1", started_at: "2026-09-21T14:13:22.000Z", ended_at: "2026-09-21T14:13:23.000Z", outcome: "succeeded" },
              { job: jobs.build, attempt: 1, worker: "w1", started_at: "2026-09-21T14:13:25.000Z", ended_at: "2026-09-21T14:13:26.000Z", outcome: "succeeded" }
            ]
          },
          byproducts: [
            { name: "sbom.spdx.json", digest: { sha256: sha("1") }, mediaType: "application/spdx+json" },
            { name: "sbom.cdx.json", digest: { sha256: sha("2") }, mediaType: "application/vnd.cyclonedx+json; version=1.6" }
          ]
        }
      }
    }))

  it("does not change with what becomes of the image later", () => {
    const until = wholeLife.findIndex((event) => event._tag === "JobSucceeded" && event.jobId === jobs.build) + 1
    assert.deepStrictEqual(of(wholeLife), of(wholeLife.slice(0, until)))
  })

  it("is not there before the image is", () => {
    assert.isUndefined(of([...resolved, queued(jobs.build), started(jobs.build)]))
    assert.isUndefined(of([]))
    assert.isUndefined(provenanceOf(recordedOf(wholeLife), 1, "https://kiln.example"))
  })

  it("has every attempt, how it went, and no one that was never begun", () => {
    const statement = of([
      ...resolved, queued(jobs.build), started(jobs.build), lost(jobs.build, 1, false), queued(jobs.build, 2), started(jobs.build, 2), failed(jobs.build, 2, false),
      queued(jobs.build, 3), started(jobs.build, 3), JobReturned.make({ composeId, jobId: jobs.build, attempt: 3 }), started(jobs.build, 4), succeeded(jobs.build, 4)
    ])
    const { kiln_attempts: attempts, invocationId } = statement!.predicate.runDetails.metadata
    assert.deepStrictEqual(attempts.slice(1).map(({ outcome }) => outcome), ["lost", "failed", "returned", "succeeded"])
    assert.match(invocationId, /:0-build:4$/)
  })

  it("is of the image that was built again, once the first is gone", () => {
    const gone = [...resolved, queued(jobs.build), started(jobs.build), built(), ImageGone.make({ composeId, image: 0, digest })]
    assert.isUndefined(of(gone))
    const again = of([...gone, queued(jobs.build, 2), started(jobs.build, 2), built({ ...artifact, digest: blob("e").digest })])
    assert.strictEqual(again?.subject[0]?.digest.sha256, sha("e"))
  })

  it("names no bill of materials of a builder that makes none", () => {
    const { byproducts, builder } = of(wholeLife)!.predicate.runDetails
    assert.deepStrictEqual([byproducts, builder, outcomes.build.evidence], [[], { id: "https://kiln.example" }, undefined])
  })
})
