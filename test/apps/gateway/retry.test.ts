import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { WorkerId } from "../../../domain/ids.ts"
import { Built, Uploaded } from "../../../domain/job.ts"
import { aDigest, anArtifact, given, simulated } from "./scenes.ts"
import { api, type Gateway, openGateway } from "./harness.ts"

let gateway: Gateway
beforeAll(async () => {
  gateway = await openGateway()
})
afterAll(() => gateway.close())

const file = { type: "file" as const }
const twoTargets = { ...simulated, images: [{ ...simulated.images[0], targets: [file, file] }] }
const built = Built.make({ manifest: aDigest, artifact: anArtifact, heldBy: WorkerId.make("w1"), reused: false })
const uploaded = Uploaded.make({ target: file, artifact: anArtifact })

interface Shown {
  readonly status: string
  readonly jobs: ReadonlyArray<{ readonly id: string; readonly status: string; readonly attempts: ReadonlyArray<{ readonly attempt: number }> }>
}
const shown = async (id: string) => await (await gateway.call(`${api}/composes/${id}`)).json() as Shown
const states = ({ jobs }: Shown) => jobs.map(({ attempts, id, status }) => `${id} ${status} ${attempts.length}`)
const retry = (id: string, job?: string) => gateway.call(`${api}/composes/${id}/retry${job === undefined ? "" : `?job=${job}`}`, { method: "POST" })

/** Built, delivered to the first of its targets and not to the second. */
const halfDelivered = async () => {
  const compose = await given(gateway, twoTargets)
  await compose.started("0-build")
  await compose.succeeded("0-build", built)
  await compose.started("0-upload-0")
  await compose.succeeded("0-upload-0", uploaded)
  await compose.started("0-upload-1")
  await compose.failed("0-upload-1", "user")
  expect(await shown(compose.id)).toMatchObject({ status: "failed" })
  return compose
}

describe("a retry of one target", () => {
  it("given an image with two, one of which has failed, then that one alone is tried again, with the image that is there", async () => {
    const { id } = await halfDelivered()
    expect((await retry(id, "0-upload-1")).status).toBeLessThan(300)
    expect(states(await shown(id))).toEqual(["0-build succeeded 1", "0-upload-0 succeeded 1", "0-upload-1 queued 2"])
  })

  it("given the whole compose is tried again, then what is built and delivered stays as it is", async () => {
    const { id } = await halfDelivered()
    expect((await retry(id)).status).toBeLessThan(300)
    expect(states(await shown(id))).toEqual(["0-build succeeded 1", "0-upload-0 succeeded 1", "0-upload-1 queued 2"])
  })

  it("given the target that has succeeded, or none that there is, then it is refused and nothing changes", async () => {
    const { id } = await halfDelivered()
    expect((await retry(id, "0-upload-0")).status).toBe(409)
    expect((await retry(id, "0-upload-7")).status).toBe(404)
    expect(await shown(id)).toMatchObject({ status: "failed" })
  })
})
