/** A compose that builds another's image once more and compares. */
import { assert, describe, it } from "@effect/vitest"
import { LoseJob, SucceedJob } from "../../domain/compose-commands.ts"
import { endingOf, estimatedBytes } from "../../domain/compose-ending.ts"
import { ComposeDecider } from "../../domain/compose.ts"
import { ComposeId, Millis, WorkerId } from "../../domain/ids.ts"
import { Verified } from "../../domain/job.ts"
import { manifestOf } from "../../domain/manifest.ts"
import { listed, type Verifies } from "../../domain/verification.ts"
import { artifact, claim, digest, finished, image, jobs, lost, queued, request, requestCompose, requested, started, succeeded, worker } from "../support/composes.ts"
import { specify } from "../support/specify.ts"

const { given } = specify(ComposeDecider)
const { build } = jobs
const verifies: Verifies = { composeId: ComposeId.make("01890000-0000-7000-8000-000000000002"), image: 3, manifest: digest, artifact, worker, lock: { digest, size: 3 } }
const again = { ...request, images: [{ ...image, targets: [] }] as const }
const asked = { ...requested, request: again, resolves: false, verifies }
const queuedBuild = (attempt = 1, notBefore?: number) => ({ ...queued(build, attempt, notBefore), request: again.images[0], avoid: worker })
const outcome = Verified.make({ verdict: "identical", manifest: digest, artifact, differences: [], more: 0, by: WorkerId.make("w2") })

describe("a verification", () => {
  it("is one build, of nobody's packages but those of the first, that avoids who built it", () =>
    given().when({ ...requestCompose, request: again, resolves: false, verifies }).then(asked, queuedBuild()))
  it("ends with its verdict: nothing is booted or delivered, and nothing is stored", () => {
    given(asked, queuedBuild(), started(build)).when(SucceedJob.make({ ...claim(build), outcome }))
      .then({ ...succeeded(build), outcome }, finished("succeeded"))
    assert.strictEqual(estimatedBytes(again), 0)
    assert.strictEqual(endingOf([asked, queuedBuild(), started(build), { ...succeeded(build), outcome }, finished("succeeded")]).bytes, 0)
  })
  it("whose worker is lost is queued again, and avoids the first one's builder still", () =>
    given(asked, queuedBuild(), started(build)).when(LoseJob.make({ ...claim(build), now: Millis.make(0), jitter: 0, reason: "silence" }))
      .then(lost(build, 1, false), queuedBuild(2)))
  it("builds from the manifest that the first was built from", () => {
    const spec = { distribution: "debian-13", customizations: {} }
    assert.deepStrictEqual(manifestOf("debian", { ...spec, image: again.images[0] }, undefined), manifestOf("debian", { ...spec, image }, undefined))
  })
})

describe("differences that an event carries", () => {
  const difference = { where: "root:/etc/hostname", what: "different", fields: { sha256: ["a".repeat(64), "b".repeat(64)] } } as const
  it("are all there is, if that is little", () => assert.deepStrictEqual(listed([difference]), { differences: [difference], more: 0 }))
  it("are the first two hundred, and the number of the others", () => {
    const { differences, more } = listed(Array.from({ length: 500 }, () => ({ where: "x", what: "different" as const })), 7)
    assert.deepStrictEqual([differences.length, more], [200, 307])
  })
  it("are fewer where they are long", () => {
    const { differences, more } = listed(Array.from({ length: 50 }, () => ({ ...difference, where: "x".repeat(4000) })))
    assert.isBelow(JSON.stringify(differences).length, 50_000)
    assert.strictEqual(differences.length + more, 50)
  })
})
