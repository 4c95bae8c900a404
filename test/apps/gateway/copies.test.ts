/** Copies that go, over HTTP and by command. */
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { Effect } from "effect"
import { executeOnPipeline } from "../../../apps/pipelines.ts"
import { ComposeId, Millis, PipelineName } from "../../../domain/ids.ts"
import { Removed } from "../../../domain/job.ts"
import type { PipelineCommand } from "../../../domain/pipeline-commands.ts"
import { SchedulingAnswers } from "../../../domain/ports/scheduling.ts"
import { kiln } from "../operator/kiln-command.ts"
import { acme, given, simulated } from "./scenes.ts"
import { anImage, api, type Gateway, openGateway } from "./harness.ts"

const old = { composeId: ComposeId.make("01890000-0000-7000-8000-000000000001"), image: 0, target: 1, type: "s3", bytes: 2048, deliveredAt: Millis.make(0), why: "age" as const }
const view = { compose: old.composeId, image: 0, target: 1, type: "s3", size: 2048, delivered_at: "1970-01-01T00:00:00.000Z", why: "age" }
const asked: Array<boolean> = []

let gateway: Gateway
beforeAll(async () => {
  gateway = await openGateway()
  await gateway.run(Effect.flatMap(SchedulingAnswers, (answers) => Effect.forkDetach(answers.serve({
    workers: () => [], pools: () => [], waiting: () => [], discard: () => "not-held",
    reaper: () => undefined,
    retention: (tenantId, now) => tenantId === acme ? (asked.push(now), [old]) : []
  }))))
})
afterAll(() => gateway.close())

interface Shown {
  readonly status: string
  readonly images: ReadonlyArray<{ readonly status: string; readonly targets: ReadonlyArray<object> }>
  readonly jobs: ReadonlyArray<{ readonly id: string; readonly status: string }>
}
const remove = (id: string, target = 0, token?: string) =>
  gateway.call(`${api}/composes/${id}/images/0/targets/${target}`, { method: "DELETE", ...(token !== undefined && { token }) })
const shown = async (id: string) => await (await gateway.call(`${api}/composes/${id}`)).json() as Shown
const links = async (id: string) => await (await gateway.call(`${api}/composes/${id}/artifacts`)).json() as ReadonlyArray<object>

describe("DELETE of a delivered copy", () => {
  it("given an ended compose, when it is asked for, then a job removes it, and the image's record says so while all else stays", async () => {
    const compose = await given(gateway)
    await compose.done()
    expect(await links(compose.id)).toHaveLength(1)
    const answer = await remove(compose.id)
    expect([answer.status, await answer.json()]).toMatchObject([202, { status: "succeeded" }])
    expect((await shown(compose.id)).images[0]!.targets[0]).toMatchObject({ status: "succeeded", removal: { status: "queued", reason: "asked" } })
    await compose.started("0-delete-0")
    await compose.succeeded("0-delete-0", Removed.make({ target: { type: "file" } }))
    const { images, jobs, status } = await shown(compose.id)
    expect([status, images[0]!.status, images[0]!.targets[0]]).toMatchObject(["succeeded", "succeeded", { removal: { status: "succeeded", reason: "asked" } }])
    expect([images[0]!.targets[0], jobs.at(-1)]).toMatchObject([expect.not.objectContaining({ artifact: expect.anything() }), { id: "0-delete-0", status: "succeeded" }])
    expect(await links(compose.id)).toEqual([])
    expect((await remove(compose.id)).status).toBe(202)
  })

  it("given a removal that fails, then the compose stays as it ended, in its own words and in the list", async () => {
    const compose = await given(gateway)
    await compose.done()
    await remove(compose.id)
    await compose.started("0-delete-0")
    await compose.failed("0-delete-0", "user")
    const now = await shown(compose.id)
    expect([now.status, now.images[0]!.status]).toEqual(["succeeded", "succeeded"])
    expect(now).not.toHaveProperty("failure")
    expect(await links(compose.id)).toHaveLength(1)
  })

  it("given one that a pipeline's name stands for, then it is refused with the pipeline and its build, until it is forced or another is promoted", async () => {
    const pipeline = PipelineName.make("web")
    await gateway.call(`${api}/pipelines/${pipeline}`, {
      method: "PUT", headers: { "content-type": "application/json" }, body: JSON.stringify({ compose: { distribution: "debian-13", images: [anImage] } })
    })
    const carryOut = (command: (at: Millis) => PipelineCommand) => {
      const at = Millis.make(Date.now())
      return gateway.run(executeOnPipeline({ tenantId: acme, messageId: crypto.randomUUID(), at, actor: { kind: "system", id: "pipelines" } }, pipeline, command(at)))
    }
    const build = async (number: number) => {
      const compose = await given(gateway, { ...simulated, labels: { pipeline } })
      await compose.done()
      if (number > 1) await carryOut((at) => ({ _tag: "AskBuild", at }))
      await carryOut((at) => ({ _tag: "RequestBuild", at, composeId: ComposeId.make(compose.id), number, why: number === 1 ? "first" : "request" }))
      await carryOut((at) => ({ _tag: "EndBuild", at, number, outcome: "good" }))
      return compose.id
    }
    const first = await build(1)
    const refused = await remove(first)
    expect([refused.status, await refused.json()]).toEqual([409, expect.objectContaining({ type: "urn:kiln:problem:copy-promoted", pipeline, build: 1 })])
    const run = async (...args: ReadonlyArray<string>) => kiln([...args, "--url", gateway.url, "--token", await gateway.token()])
    expect(await run("delete", first, "--yes")).toMatchObject({ code: 2, err: expect.stringContaining("the pipeline web stands for its build 1, which is this") })
    expect((await shown(first)).images[0]!.targets[0]).not.toHaveProperty("removal")
    // One that only says so in its labels is nobody's.
    const stranger = await given(gateway, { ...simulated, labels: { pipeline } })
    await stranger.done()
    expect((await remove(stranger.id)).status).toBe(202)
    const second = await build(2)
    expect((await remove(first)).status).toBe(202)
    expect((await remove(second)).status).toBe(409)
    expect(await run("delete", second, "--yes", "--force")).toMatchObject({ code: 0 })
    expect((await shown(second)).images[0]!.targets[0]).toMatchObject({ removal: { reason: "asked" } })
  })

  it("given one that is open, another tenant's or not there, then nothing happens", async () => {
    const compose = await given(gateway)
    const early = await remove(compose.id)
    expect([early.status, await early.json()]).toMatchObject([409, { type: "urn:kiln:problem:compose-open" }])
    await compose.done()
    expect((await remove(compose.id, 1)).status).toBe(404)
    expect((await remove(compose.id, 0, await gateway.token({ tenant: "beta" }))).status).toBe(404)
    expect((await remove("01890000-0000-7000-8000-00000000ffff")).status).toBe(404)
    expect(await links(compose.id)).toHaveLength(1)
  })
})

describe("retention", () => {
  it("is listed by GET and begun by POST, each for the caller's tenant", async () => {
    const list = await gateway.call(`${api}/retention`)
    expect([list.status, await list.json()]).toEqual([200, [view]])
    expect((await gateway.call(`${api}/retention`, { method: "POST" })).status).toBe(202)
    expect(asked).toEqual([false, true])
    expect(await (await gateway.call(`${api}/retention`, { token: await gateway.token({ tenant: "beta" }) })).json()).toEqual([])
  })
})

describe("kiln delete and kiln retention", () => {
  it("remove what was delivered, or say that there is nothing", async () => {
    const compose = await given(gateway)
    await compose.done()
    const run = async (...args: ReadonlyArray<string>) => kiln([...args, "--url", gateway.url, "--token", await gateway.token()])
    expect(await run("delete", compose.id, "--target", "0", "--yes")).toMatchObject({ code: 0, out: "image 0, target 0 (file) is being removed\n" })
    expect((await shown(compose.id)).jobs.at(-1)).toMatchObject({ id: "0-delete-0", status: "queued" })
    expect(await run("delete", compose.id, "--image", "3")).toMatchObject({ code: 4 })
    asked.length = 0
    const dry = await run("retention", "--dry-run")
    expect([dry.code, dry.out.includes("They would go now"), asked]).toEqual([0, true, [false]])
    expect((await run("retention", "--yes")).out).toContain("They are being removed")
    expect(asked).toEqual([false, true])
  })
})
