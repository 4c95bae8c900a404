import { gzipSync } from "node:zlib"
import { Effect } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { TestReport } from "../../../domain/boot-test.ts"
import { FailJob } from "../../../domain/compose-commands.ts"
import { ComposeId, JobId, Millis, WorkerId } from "../../../domain/ids.ts"
import { Built, Tested } from "../../../domain/job.ts"
import { Blobs } from "../../../domain/ports/blobs.ts"
import { execute } from "../../../apps/execute.ts"
import type { ComposeDetails } from "../../../apps/gateway/api/compose-views.ts"
import { people } from "../../../apps/operator/commands/show.ts"
import { api, aRequest, type Gateway, openGateway } from "./harness.ts"
import { acme, aDigest, anArtifact, given, simulated, tokenOf } from "./scenes.ts"

let gateway: Gateway
beforeAll(async () => {
  gateway = await openGateway()
})
afterAll(() => gateway.close())

const image = { architecture: "x86_64", type: "guest-image" }
const asking = (test?: unknown) => ({ ...aRequest, images: [{ ...image, ...(test !== undefined && { test }) }] })
const show = async (id: string) => await (await gateway.call(`${api}/composes/${id}`)).json() as Record<string, any>
/** As `kiln show` says it. */
const said = (compose: object) =>
  people({ json: false, utc: true, terminal: false, colours: false, columns: () => 200, write: () => {}, writeError: () => {} }, compose as ComposeDetails).join("\n")
const stored = (bytes: Uint8Array) => gateway.run(Effect.flatMap(Blobs, (blobs) => blobs.put(bytes)))
const reportOf = async (passed: boolean): Promise<TestReport> => ({
  accelerator: "tcg",
  boots: [{
    firmware: "uefi", passed, ...(passed && { readyMs: 21_500 }), tookMs: 24_000,
    checks: [{ name: "ready", passed, ...(!passed && { message: "not ready within 300 s" }) }],
    console: await stored(gzipSync("box login: \n")), ...(passed && { screenshot: await stored(new Uint8Array([137, 80, 78, 71])) })
  }]
})
/** A compose whose test is the next thing to happen. */
const built = async (test?: unknown) => {
  const compose = await given(gateway, asking(test))
  await compose.started("0-resolve")
  await compose.succeeded("0-resolve")
  await compose.started("0-build")
  await compose.succeeded("0-build", Built.make({ manifest: aDigest, artifact: anArtifact, heldBy: WorkerId.make("w1"), reused: false }))
  await compose.started("0-test")
  return compose
}

describe("a boot test", () => {
  it("is planned for what can boot, unless the request spares it", async () => {
    const kinds = async (body: object) => (await show((await given(gateway, body)).id))["jobs"].map(({ id }: { id: string }) => id)
    expect(await kinds(asking())).toEqual(["0-resolve", "0-build", "0-test", "0-upload-0"])
    expect(await kinds(asking({ ports: ["22:tcp"] }))).toContain("0-test")
    expect(await kinds(asking(false))).toEqual(["0-resolve", "0-build", "0-upload-0"])
    expect(await kinds(simulated)).toEqual(["0-build", "0-upload-0"])
  })

  it("is refused where nothing boots, or where it is asked for wrongly, with the place of the fault", async () => {
    const refused = async (body: object) => {
      const answer = await gateway.post(body)
      expect(answer.status).toBe(400)
      return ((await answer.json()) as { errors: ReadonlyArray<unknown> }).errors
    }
    expect(await refused({ ...simulated, images: [{ ...simulated.images[0], test: true }] })).toEqual([
      { in: "body", path: "images[0].test", message: "images of this type do not boot, so they cannot be tested" }
    ])
    expect(await refused(asking({ ports: ["ssh"] }))).toMatchObject([{ path: "images[0].test.ports[0]" }])
    expect(await refused(asking({ timeout_seconds: 1 }))).toMatchObject([{ path: "images[0].test.timeout_seconds" }])
    expect(await refused(asking({ firmwares: ["uefi"] }))).toMatchObject([{ path: "images[0].test.firmwares" }])
  })

  it("shows its verdict, its times and its checks, and where console and screen are", async () => {
    const compose = await built()
    expect((await show(compose.id))["images"][0].test).toEqual({ status: "running" })
    await compose.succeeded("0-test", Tested.make({ verdict: "passed", report: await reportOf(true) }))
    const { test } = (await show(compose.id))["images"][0]
    const at = `${api}/composes/${compose.id}/images/0/boots/uefi`
    expect(test).toEqual({
      status: "succeeded", verdict: "passed", accelerator: "tcg",
      boots: [{
        firmware: "uefi", passed: true, ready_seconds: 21.5, took_seconds: 24, checks: [{ name: "ready", passed: true }],
        console: `${at}/console.txt`, screenshot: `${at}/screenshot.png`
      }]
    })
    const text = await gateway.call(test.boots[0].console)
    expect([text.status, text.headers.get("content-type"), await text.text()]).toEqual([200, "text/plain; charset=utf-8", "box login: \n"])
    const picture = await gateway.call(test.boots[0].screenshot)
    expect([picture.headers.get("content-type"), picture.headers.get("x-content-type-options"), [...new Uint8Array(await picture.arrayBuffer())]])
      .toEqual(["image/png", "nosniff", [137, 80, 78, 71]])
    expect(said(await show(compose.id))).toMatch(/^0-test +succeeded .*uefi ready after 21\.5 s$/m)
    for (const path of [`${at.replace("uefi", "bios")}/console.txt`, `${at.replace("images/0", "images/1")}/console.txt`]) expect((await gateway.call(path)).status).toBe(404)
    expect((await gateway.call(`${at}/console.txt`, { token: await gateway.token({ tenant: "other" }) })).status).toBe(404)
  })

  it("that is not passed shows what was seen, beside why the job failed", async () => {
    const compose = await built(true)
    const composeId = ComposeId.make(compose.id)
    const failure = { class: "platform" as const, message: "boot test: in UEFI: not ready within 300 s", excerpt: "box login:" }
    await gateway.run(execute({ tenantId: acme, messageId: `verdict-${compose.id}`, at: Millis.make(Date.now()), actor: { kind: "system", id: "test" } }, FailJob.make({
      composeId, jobId: JobId.make("0-test"), attempt: 1, token: tokenOf("w1"), now: Millis.make(Date.now()), jitter: 0, failure, report: await reportOf(false)
    })))
    const shown = await show(compose.id)
    expect(shown["images"][0]).toMatchObject({ status: "failed", test: { status: "failed", verdict: "failed", boots: [{ passed: false, checks: [{ passed: false, message: "not ready within 300 s" }] }] } })
    expect(shown["jobs"][2]).toMatchObject({ id: "0-test", status: "failed", attempts: [{ attempt: 1, failure }] })
    expect(shown["images"][0].test.boots[0]).not.toHaveProperty("screenshot")
    expect((await gateway.call(`${api}/composes/${compose.id}/images/0/boots/uefi/screenshot.png`)).status).toBe(404)
  })

  it("that nobody could carry out says why", async () => {
    const compose = await built()
    await compose.succeeded("0-test", Tested.make({ verdict: "skipped", reason: "install ovmf" }))
    expect((await show(compose.id))["images"][0].test).toEqual({ status: "succeeded", verdict: "skipped", reason: "install ovmf" })
    expect(said(await show(compose.id))).toMatch(/^0-test +succeeded .*skipped: install ovmf$/m)
  })
})
