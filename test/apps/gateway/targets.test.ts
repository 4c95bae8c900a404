/** Targets that are not Kiln's own store, as requesters see them. */
import { createHash } from "node:crypto"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { Effect, Fiber } from "effect"
import { type AskedErrand, Linked } from "../../../domain/errand.ts"
import { Digest, Millis, WorkerId } from "../../../domain/ids.ts"
import { Uploaded } from "../../../domain/job.ts"
import { SchedulingAnswers } from "../../../domain/ports/scheduling.ts"
import { contentOf } from "../../support/s3-store.ts"
import { s3Keys, startS3, type S3Server } from "../../support/s3-stand-in.ts"
import { api, type Gateway, openGateway } from "./harness.ts"
import { anArtifact, given } from "./scenes.ts"

let gateway: Gateway
let s3: S3Server
const bytes = Buffer.from("an image")
const digest = Digest.make(`sha256:${createHash("sha256").update(bytes).digest("hex")}`)
const artifact = { ...anArtifact, digest, size: bytes.length }
const target = { type: "s3", bucket: "images", credentials: "lab" } as const
const asked = (...targets: ReadonlyArray<object>) => ({ distribution: "test-distro-1", images: [{ architecture: "x86_64", type: "simulated", targets }] })

const lab = () => ({ provider: "aws", ...s3Keys, region: "eu-central-1", endpoints: { s3: s3.endpoint } })
const set = (init: RequestInit) => gateway.call(`${api}/credentials/lab`, { headers: { "content-type": "application/json" }, ...init })

beforeAll(async () => {
  s3 = await startS3()
  const bucket = s3.store.make("images", "eu-central-1")
  s3.store.put(bucket, "a/b/disk.raw", contentOf([bytes], { forgetful: false }), {})
  gateway = await openGateway({ privateEndpoints: true })
  expect((await set({ method: "PUT", body: JSON.stringify(lab()) })).status).toBe(200)
})
afterAll(async () => {
  await gateway.close()
  await s3.close()
})

const show = async (id: string) => await (await gateway.call(`${api}/composes/${id}`)).json() as Record<string, any>
const delivered = async () => {
  const compose = await given(gateway, asked(target, target))
  await compose.started("0-build")
  await compose.succeeded("0-build", { _tag: "Built", manifest: digest, artifact, heldBy: WorkerId.make("w1"), reused: false })
  await compose.started("0-upload-0")
  await compose.started("0-upload-1")
  const copy = {
    id: "a/b/disk.raw", place: "images", url: "s3://images/a/b/disk.raw", digest, format: "qcow2",
    resources: [{ kind: "object", id: "a/b/disk.raw", place: "images" }], bytesSent: 12, deliveredAt: Millis.make(Date.UTC(2026, 0, 31))
  }
  await compose.succeeded("0-upload-0", Uploaded.make({ target, artifact, copy }))
  return compose
}

describe("a compose with several targets", () => {
  it("shows of each how it stands, where it is while it runs, and why it has failed", async () => {
    const compose = await delivered()
    await compose.progresses("0-upload-1", 42)
    const [image] = (await show(compose.id))["images"]
    expect(image.targets[0]).toEqual({
      type: "s3", job: "0-upload-0", status: "succeeded", attempts: 1, artifact: expect.objectContaining({ digest }),
      copy: { id: "a/b/disk.raw", place: "images", url: "s3://images/a/b/disk.raw", digest, format: "qcow2", bytes_sent: 12, delivered_at: "2026-01-31T00:00:00.000Z" }
    })
    expect(image.targets[1]).toEqual({ type: "s3", job: "0-upload-1", status: "running", attempts: 1, progress: { at: expect.any(String), stage: "packages", percent: 42 } })
    await compose.failed("0-upload-1", "user")
    const failed = (await show(compose.id))["images"][0].targets
    expect(failed[1]).toMatchObject({ status: "failed", failure: { class: "user", message: "it broke" } })
    expect(failed[1]).not.toHaveProperty("progress")
    expect(failed[0]).toMatchObject({ status: "succeeded" })
  })

  it("has a link to what lies in a bucket, signed when it is asked for, that opens it and nothing else", async () => {
    const { id } = await delivered()
    const artifacts = await (await gateway.call(`${api}/composes/${id}/artifacts`)).json() as ReadonlyArray<{ url: string; expires_at: string; digest: string }>
    expect(artifacts).toMatchObject([{ target: 0, digest }])
    const { expires_at, url } = artifacts[0]!
    expect(Math.abs(Date.parse(expires_at) - Date.now() - 3_600_000)).toBeLessThan(60_000)
    expect(url.startsWith(s3.endpoint)).toBe(true)
    expect(url).not.toContain(s3Keys.secret_access_key)
    expect(Buffer.from(await (await fetch(url)).arrayBuffer()).equals(bytes)).toBe(true)
    expect((await fetch(url.replace("disk.raw?", "other.raw?"))).status).toBe(403)
  })

  it("is refused where a target makes no sense, with its place in the request", async () => {
    const errorsOf = async (...targets: ReadonlyArray<object>) => {
      const answer = await gateway.post(asked(...targets))
      const { errors = [] } = await answer.json() as { errors?: ReadonlyArray<{ path: string; message: string }> }
      return [answer.status, ...errors.map(({ path }) => path)]
    }
    expect(await errorsOf(target, { ...target, bucket: "Not_a_bucket" })).toEqual([400, "images[0].targets[1].bucket"])
    expect(await errorsOf({ type: "aws", bucket: "images", region: "the moon", credentials: "lab" })).toEqual([400, "images[0].targets[0].region"])
    expect(await errorsOf({ type: "s3", bucket: "images", region: "a region", credentials: "lab" })).toEqual([400, "images[0].targets[0].region"])
    expect(await errorsOf({ type: "aws", bucket: "images", region: "eu-central-1", credentials: "lab" })).toEqual([400, "images[0].targets[0].type"])
    expect(await errorsOf({ type: "ftp" })).toEqual([400, expect.stringContaining("images[0].targets[0]")])
    expect(await errorsOf(target)).toEqual([202])
  })

  it("has its link signed by a worker where only workers have the credentials, and none while nobody is there who could", async () => {
    const { id } = await delivered()
    const links = async () => await (await gateway.call(`${api}/composes/${id}/artifacts`)).json() as ReadonlyArray<{ readonly url: string }>
    await set({ method: "DELETE" })
    expect(await links()).toEqual([])
    const answers = await gateway.run(SchedulingAnswers)
    const asked: Array<AskedErrand> = []
    const serving = await gateway.run(Effect.forkDetach(answers.serve({
      workers: () => [], pools: () => [], waiting: () => [], discard: () => "not-held", retention: () => [], reaper: () => undefined,
      errand: (_, errand) => {
        asked.push(errand)
        return Effect.succeed({ worker: WorkerId.make("w1"), answer: Linked.make({ url: "https://signed.example.org/disk.raw" }) })
      }
    })))
    expect((await links()).map(({ url }) => url)).toEqual(["https://signed.example.org/disk.raw"])
    expect(asked).toMatchObject([{ _tag: "Link", target, copy: { id: "a/b/disk.raw" }, seconds: 3600 }])
    await gateway.run(Fiber.interrupt(serving))
    await set({ method: "PUT", body: JSON.stringify(lab()) })
  })

  it("keeps the set of credentials to itself", async () => {
    const { id } = await delivered()
    const text = JSON.stringify(await show(id)) + gateway.logged.join("\n")
    expect(text).not.toContain(s3Keys.secret_access_key)
  })
})
