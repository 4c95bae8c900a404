import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { api, aRequest, type Gateway, openGateway } from "./harness.ts"
import { anArtifact, given } from "./scenes.ts"

let gateway: Gateway
beforeAll(async () => {
  gateway = await openGateway()
})
afterAll(() => gateway.close())

const show = async (id: string) => await (await gateway.call(`${api}/composes/${id}`)).json() as Record<string, any>

describe("a compose", () => {
  it("shows right after it was asked for, every job and what each waits for", async () => {
    const { id } = await given(gateway, aRequest)
    expect(await show(id)).toMatchObject({
      id, status: "pending", name: "web server", labels: { team: "web" }, requested_by: "anna", request: aRequest, revision: 1,
      images: [{ architecture: "x86_64", type: "guest-image", status: "pending", targets: [{ type: "file", status: "pending" }] }],
      jobs: [
        { id: "0-resolve", kind: "resolve", status: "queued", waiting_for: { reason: "worker" }, attempts: [{ attempt: 1, status: "queued" }] },
        { id: "0-build", kind: "build", status: "waiting", waiting_for: { reason: "job", job: "0-resolve" }, attempts: [] },
        { id: "0-upload-0", kind: "upload", target: 0, status: "waiting", waiting_for: { reason: "job", job: "0-build" }, attempts: [] }
      ]
    })
  })

  it("runs from its first job's start", async () => {
    const compose = await given(gateway)
    await compose.started("0-build")
    const shown = await show(compose.id)
    expect(shown).toMatchObject({ status: "running", images: [{ status: "running", targets: [{ status: "pending" }] }] })
    expect(shown["jobs"][0]).toMatchObject({ status: "running", attempts: [{ worker: "w1", started_at: shown["started_at"] }] })
    expect(shown["jobs"][0]).not.toHaveProperty("waiting_for")
  })

  it("has its artifact when it has succeeded", async () => {
    const compose = await given(gateway)
    await compose.done()
    const { digest, size, format, filename, mediaType } = anArtifact
    const shown = await show(compose.id)
    expect(shown).toMatchObject({ status: "succeeded", ended_at: expect.any(String) })
    expect(shown["images"]).toMatchObject([{
      status: "succeeded", targets: [{ status: "succeeded", artifact: { digest, size, format, filename, media_type: mediaType } }]
    }])
  })

  it("says why it failed, by class and with an excerpt", async () => {
    const compose = await given(gateway)
    await compose.started("0-build")
    await compose.failed("0-build", "user")
    const shown = await show(compose.id)
    const failure = { class: "user", message: "it broke", excerpt: "E: broken" }
    expect(shown).toMatchObject({ status: "failed", failure, images: [{ status: "failed", targets: [{ status: "failed" }] }] })
    expect(shown["jobs"]).toMatchObject([{ status: "failed", attempts: [{ status: "failed", failure }] }, { status: "skipped" }])
  })

  it("keeps every attempt, and says when the next is due", async () => {
    const compose = await given(gateway)
    await compose.started("0-build")
    await compose.failed("0-build", "repository")
    const { jobs: [build] } = await show(compose.id)
    expect(build).toMatchObject({
      status: "queued", waiting_for: { reason: "retry", until: expect.any(String) },
      attempts: [{ attempt: 1, status: "failed" }, { attempt: 2, status: "queued", not_before: build.waiting_for.until }]
    })
  })

  it("tells of a worker that was lost", async () => {
    const compose = await given(gateway)
    await compose.started("0-build")
    await compose.lost("0-build")
    const { jobs: [build] } = await show(compose.id)
    expect(build.attempts).toMatchObject([{ status: "lost", failure: { class: "platform" } }, { attempt: 2, status: "queued" }])
  })

  it("with an id that is none is refused with its place", async () => {
    for (const id of ["x", "01900000-0000-7000-8000-00000000000Z", "*", "..%2f..", "%00"]) {
      const response = await gateway.call(`${api}/composes/${id}`)
      expect(response.status).toBe(400)
      expect(await response.json()).toMatchObject({ errors: [{ in: "path", path: "id" }] })
    }
  })
})

describe("canceling", () => {
  const cancel = (id: string) => gateway.call(`${api}/composes/${id}/cancel`, { method: "POST" })

  it("answers 202 with the canceled compose, jobs and all", async () => {
    const compose = await given(gateway)
    await compose.started("0-build")
    const response = await cancel(compose.id)
    expect(response.status).toBe(202)
    expect(await response.json()).toMatchObject({
      status: "canceled", images: [{ status: "canceled" }], jobs: [{ status: "canceled" }, { status: "canceled" }]
    })
  })

  it("again changes nothing", async () => {
    const { id } = await given(gateway)
    const [first, second] = [await (await cancel(id)).json() as object, await cancel(id)]
    expect(second.status).toBe(202)
    expect(await second.json()).toEqual(first)
  })

  it("comes too late for a compose that has ended", async () => {
    const compose = await given(gateway)
    await compose.done()
    const response = await cancel(compose.id)
    expect(response.status).toBe(409)
    expect(await response.json()).toMatchObject({ type: "urn:kiln:problem:compose-ended", compose_status: "succeeded" })
  })
})

describe("trying again", () => {
  const retry = (id: string, query = "") => gateway.call(`${api}/composes/${id}/retry${query}`, { method: "POST" })
  const broken = async () => {
    const compose = await given(gateway)
    await compose.started("0-build")
    await compose.failed("0-build", "user")
    return compose
  }

  it("answers 202 with the compose that runs again, and the second attempt of what failed", async () => {
    const { id } = await broken()
    const response = await retry(id)
    expect(response.status).toBe(202)
    const shown = await response.json() as { jobs: ReadonlyArray<{ attempts: ReadonlyArray<unknown> }> }
    expect(shown).toMatchObject({ status: "running", jobs: [{ id: "0-build", status: "queued" }, { id: "0-upload-0", status: "waiting" }] })
    expect(shown).not.toHaveProperty("failure")
    expect(shown.jobs[0]!.attempts.length).toBe(2)
    expect((await retry(id)).status).toBe(202)
  })

  it("takes one job, and knows which there are", async () => {
    const { id } = await broken()
    expect((await retry(id, "?job=7-build")).status).toBe(404)
    expect((await retry(id, "?job=build")).status).toBe(400)
    expect((await retry(id, "?job=0-upload-0")).status).toBe(409)
    expect((await retry(id, "?job=0-build")).status).toBe(202)
  })

  it("is refused for what has succeeded or is not there", async () => {
    const compose = await given(gateway)
    await compose.done()
    const response = await retry(compose.id)
    expect(response.status).toBe(409)
    expect(await response.json()).toMatchObject({ compose_status: "succeeded" })
    expect((await retry("01890000-0000-7000-8000-000000000009")).status).toBe(404)
  })
})
