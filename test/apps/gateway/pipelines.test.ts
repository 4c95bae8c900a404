/** Pipelines over HTTP and by command. */
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { Millis, PipelineName, TenantId } from "../../../domain/ids.ts"
import type { PipelineCommand } from "../../../domain/pipeline-commands.ts"
import { dueOf } from "../../../domain/pipeline-due.ts"
import { executeOnPipeline, readPipeline } from "../../../apps/pipelines.ts"
import { idNo } from "../../support/pipelines.ts"
import { kiln } from "../operator/kiln-command.ts"
import { anImage, api, type Gateway, openGateway } from "./harness.ts"

let gateway: Gateway
beforeAll(async () => void (gateway = await openGateway()))
afterAll(() => gateway.close())

const compose = { distribution: "debian-13", images: [anImage] }
const send = (method: string, path: string, body?: unknown, token?: string) =>
  gateway.call(`${api}/pipelines${path}`, { method, headers: { "content-type": "application/json" }, ...(body !== undefined && { body: JSON.stringify(body) }), ...(token !== undefined && { token }) })
const jsonOf = async (answer: Response) => [answer.status, await answer.json()] as readonly [number, Record<string, any>]
const declare = (name: string, more: object = {}, query = "") => send("PUT", `/${name}${query}`, { compose, ...more })

/** As the scheduler does it. */
const carryOut = async (name: string, ...commands: ReadonlyArray<(at: Millis) => PipelineCommand>) => {
  for (const command of commands) {
    const at = Millis.make(Date.now())
    await gateway.run(executeOnPipeline({ tenantId: TenantId.make("acme"), messageId: crypto.randomUUID(), at, actor: { kind: "system", id: "pipelines" } }, PipelineName.make(name), command(at)))
  }
}
const build = async (name: string, number: number, outcome: "good" | "failed") => {
  const { pipeline } = await gateway.run(readPipeline(TenantId.make("acme"), PipelineName.make(name)))
  await carryOut(name, (at) => ({ _tag: "RequestBuild", at, composeId: idNo(number), number, why: dueOf(pipeline)!.why }),
    (at) => ({ _tag: "EndBuild", at, number, outcome, ...(outcome === "failed" && { failure: { class: "user", message: "no such package" } as const }) }))
}

describe("a pipeline", () => {
  it("given one that is declared, when it is declared again, then it says what differs, and shows no password", async () => {
    const users = (password: string) => ({ ...compose, customizations: { users: [{ name: "ann", password }] } })
    const [first, declared] = await jsonOf(await declare("secret", { compose: users("planted-one"), keep: 2 }))
    expect([first, declared["result"], declared["version"]]).toEqual([200, "declared", 0])
    const [, same] = await jsonOf(await declare("secret", { compose: users("planted-one"), keep: 2 }))
    expect(same).toEqual({ result: "same", dry_run: false, version: 1, differences: [] })
    const [, changed] = await jsonOf(await declare("secret", { compose: users("planted-two"), schedule: { every: "6 hours" } }))
    expect(changed["differences"]).toEqual([
      { path: "compose.customizations.users[0].password", from: expect.stringMatching(/^\(secret /), to: expect.stringMatching(/^\(secret /) },
      { path: "keep", from: "2" }, { path: "schedule.every", to: "\"6 hours\"" }
    ])
    const [, shown] = await jsonOf(await send("GET", "/secret"))
    expect(shown["compose"].customizations.users[0].password).toBe("***")
    for (const said of [declared, same, changed, shown]) expect(JSON.stringify(said)).not.toContain("planted")
  })

  it("given a dry run, or a version that is not there any more, then nothing changes", async () => {
    const dry = await jsonOf(await declare("dry", {}, "?dry_run=true"))
    expect([dry[1]["result"], dry[1]["dry_run"], (await send("GET", "/dry")).status]).toEqual(["declared", true, 404])
    await declare("dry")
    const [status, problem] = await jsonOf(await declare("dry", { keep: 2 }, "?version=0"))
    expect([status, problem["type"]]).toEqual([409, "urn:kiln:problem:pipeline-changed"])
    expect((await declare("dry", { keep: 2 }, "?version=1")).status).toBe(200)
  })

  it("given what could not be built or is not right, when it is declared, then it is refused with its place", async () => {
    const faults = async (body: object) => {
      const [status, { errors }] = await jsonOf(await send("PUT", "/bad", body))
      return [status, (errors as ReadonlyArray<{ path: string }>).map(({ path }) => path)]
    }
    expect(await faults({ compose: { ...compose, distribution: "nothing-1" } })).toEqual([400, ["compose.distribution"]])
    expect(await faults({ compose: { ...compose, images: [{ ...anImage, type: "tape" }] } })).toEqual([400, ["compose.images[0].type"]])
    expect(await faults({ compose: { ...compose, labels: { pipeline: "other" } } })).toEqual([400, ["compose.labels.pipeline"]])
    expect(await faults({ compose, schedule: { cron: "0 0 31 2 *" } })).toEqual([400, ["schedule.cron"]])
    expect(await faults({ compose, schedule: { cron: "* * * *" } })).toEqual([400, ["schedule.cron"]])
    expect(await faults({ compose, schedule: { every: "5 seconds" } })).toEqual([400, ["schedule.every"]])
    expect(await faults({ compose, schedule: { cron: "0 3 * * *", time_zone: "Mars/Base" } })).toEqual([400, ["schedule.time_zone"]])
    expect(await faults({ compose, schedule: { cron: "0 3 * * *", every: "1 day" } })).toEqual([400, ["schedule"]])
    expect(await faults({ compose, keeps: 1 })).toEqual([400, ["keeps"]])
    expect((await send("PUT", "/Bad_Name", { compose })).status).toBe(400)
  })

  it("given builds, when it is shown, then it says which its name stands for, what failed, and what comes next in time", async () => {
    await declare("shown", { schedule: { cron: "30 3 * * *", time_zone: "Europe/Berlin" }, pause_after: 2, retry_after: "1 hour" })
    await build("shown", 1, "good")
    const [, idle] = await jsonOf(await send("GET", "/shown"))
    expect([idle["status"], idle["promoted"].number, idle["next"].what, idle["schedule"]]).toEqual(["idle", 1, "build", { cron: "30 3 * * *", time_zone: "Europe/Berlin" }])
    expect(new Intl.DateTimeFormat("en", { timeZone: "Europe/Berlin", hour: "2-digit", minute: "2-digit", hour12: false }).format(new Date(idle["next"].at))).toBe("03:30")
    const [asked] = await jsonOf(await send("POST", "/shown/builds"))
    expect(asked).toBe(202)
    await build("shown", 2, "failed")
    const [, retrying] = await jsonOf(await send("GET", "/shown"))
    expect([retrying["status"], retrying["failures"], retrying["last_failure"].message, retrying["next"].why, retrying["promoted"].number]).toEqual(["retrying", 1, "no such package", "request", 1])
    expect(retrying["builds"].map(({ number, status }: { number: number; status: string }) => [number, status])).toEqual([[2, "failed"], [1, "good"]])
    const [refused, notGood] = await jsonOf(await send("POST", "/shown/promote", { build: 2 }))
    expect([refused, notGood["type"], (await send("POST", "/shown/promote", { build: 9 })).status]).toEqual([409, "urn:kiln:problem:build-not-good", 404])
    // Its compose delivered nothing here, so there is nothing to stand for.
    expect((await jsonOf(await send("POST", "/shown/promote", { build: 1 })))[1]["detail"]).toContain("are gone")
  })

  it("given one that is paused, when a build is asked for, then that is refused until it is resumed; deleted it is gone, and may be declared anew", async () => {
    await declare("held")
    await build("held", 1, "good")
    expect((await jsonOf(await send("POST", "/held/pause")))[1]["status"]).toBe("paused")
    expect((await jsonOf(await send("POST", "/held/builds")))[1]["type"]).toBe("urn:kiln:problem:pipeline-paused")
    expect((await jsonOf(await send("POST", "/held/resume")))[1]["status"]).toBe("idle")
    expect((await send("POST", "/held/builds")).status).toBe(202)
    expect([(await send("DELETE", "/held")).status, (await send("GET", "/held")).status, (await send("POST", "/held/builds")).status]).toEqual([204, 404, 404])
    await declare("held")
    expect((await jsonOf(await send("GET", "/held")))[1]["builds"]).toEqual([])
  })

  it("given several, when they are listed, then page by page, of one's own tenant alone, without those that were deleted", async () => {
    const token = await gateway.token({ tenant: "list" })
    for (const name of ["one", "two", "three", "gone"]) await send("PUT", `/${name}`, { compose }, token)
    await send("DELETE", "/gone", undefined, token)
    const list = async (query: string) => (await jsonOf(await gateway.call(`${api}/pipelines${query}`, { token })))[1]
    const first = await list("?limit=2")
    const second = await list(`?limit=2&cursor=${first["next"]}`)
    expect([...first["items"], ...second["items"]].map(({ name }: { name: string }) => name).toSorted()).toEqual(["one", "three", "two"])
    expect(second["next"]).toBeUndefined()
    expect((await list("?distribution=test-distro-1"))["items"]).toEqual([])
    const other = await gateway.token({ tenant: "beta" })
    expect([(await jsonOf(await gateway.call(`${api}/pipelines`, { token: other })))[1]["items"], (await send("GET", "/one", undefined, other)).status]).toEqual([[], 404])
  })
})

describe("kiln pipelines", () => {
  const documented = /```yaml\n([^]*?)```/.exec(readFileSync(join(import.meta.dirname, "../../../docs/pipelines.md"), "utf8"))![1]!
  const run = async (...args: ReadonlyArray<string>) => kiln(["pipelines", ...args, "--url", gateway.url, "--token", await gateway.token({ tenant: "cli" })])

  it("given the file of the documentation, when it is applied, then the difference is shown first, and nothing without a yes", async () => {
    const file = join(gateway.folder, "pipelines.yaml")
    writeFileSync(file, documented)
    const dry = await run("apply", file, "--dry-run")
    expect([dry.code, dry.out.match(/^\S.*$/gm)]).toEqual([0, ["web: to be declared", "ci-runner: to be declared"]])
    expect(dry.out).toContain("  + schedule.cron: \"0 3 * * mon-fri\"")
    const unsure = await run("apply", file)
    expect([unsure.code, unsure.err]).toEqual([2, expect.stringContaining("changes 2 pipelines")])
    expect((await run("list")).out).toContain("There are none")
    const applied = await run("apply", file, "--yes")
    expect([applied.code, applied.out]).toEqual([0, expect.stringContaining("web is declared\nci-runner is declared\n")])
    writeFileSync(file, documented.replace("keep: 3", "keep: 5").replace("    max_age: 30 days\n", ""))
    const again = await run("apply", file, "--yes")
    expect(again.out).toContain("  ~ keep: 3 → 5\n")
    expect(again.out).toContain("  - max_age: \"30 days\"\n")
    expect(again.out).toContain("ci-runner: no difference")
    const json = await run("apply", file, "--dry-run", "--json")
    expect(JSON.parse(json.out)).toMatchObject([{ name: "web", result: "same", version: 2 }, { name: "ci-runner", result: "same", version: 1 }])
  })

  it("given them, when they are listed and shown, then with what comes next, in the time zone of the schedule", async () => {
    const listed = await run("list")
    expect(listed.out).toMatch(/^web +idle +debian-13 +none +none +.+ Europe\/Berlin build \(first\)$/m)
    const shown = await run("show", "web")
    expect(shown.out).toMatch(/^schedule +0 3 \* \* mon-fri Europe\/Berlin$/m)
    expect((await run("pause", "web")).out).toMatch(/^status +paused$/m)
    expect((await run("list")).out).toMatch(/^web +paused .+paused by request$/m)
    const refused = await run("build", "web")
    expect([refused.code, refused.err]).toEqual([2, expect.stringContaining("web is paused")])
    await run("resume", "web")
    expect((await run("build", "web")).out).toBe("web will be built\n")
    expect((await run("promote", "web", "--build", "1")).code).toBe(4)
    expect([(await run("delete", "web")).code, (await run("delete", "web", "--yes", "--json")).out, (await run("show", "web")).code])
      .toEqual([2, `${JSON.stringify({ name: "web", deleted: true }, undefined, 2)}\n`, 4])
  })

  it("given a file without names, or with one twice, then it is refused", async () => {
    const file = join(gateway.folder, "wrong.yaml")
    for (const [text, words] of [["compose: {}", "needs a name"], ["pipelines: [{name: a, compose: {}}, {name: a, compose: {}}]", "there twice"], ["pipelines: 1", "needs a name"]] as const) {
      writeFileSync(file, text)
      expect(await run("apply", file)).toMatchObject({ code: 2, err: expect.stringContaining(words) })
    }
  })
})
