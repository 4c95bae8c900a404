/** What crashes left behind in clouds, over HTTP and by command. */
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { Effect } from "effect"
import { ComposeId, JobId, Millis } from "../../../domain/ids.ts"
import { SchedulingAnswers } from "../../../domain/ports/scheduling.ts"
import type { ReaperReport, SweepRequest } from "../../../domain/scheduling/reaper-report.ts"
import { kiln } from "../operator/kiln-command.ts"
import { acme } from "./scenes.ts"
import { api, type Gateway, openGateway } from "./harness.ts"

const composeId = ComposeId.make("01890000-0000-7000-8000-000000000001")
const left = { tenantId: acme, composeId, jobId: JobId.make("0-upload-0"), type: "s3", resource: { kind: "object", id: "k/1", place: "images" } }
const seen = (dryRun: boolean): ReaperReport => ({
  running: false, at: Millis.make(0), dryRun, more: 0,
  places: [{ tenantId: acme, type: "s3", credentials: "lab", place: "images", things: 3 }, { tenantId: acme, type: "oci", place: "r.example.org a", things: 0, problem: "no worker that delivers is there" }],
  leftovers: [{ ...left, verdict: dryRun ? "due" : "removed", madeAt: 0, notedAt: Millis.make(0) }, { ...left, resource: { kind: "object", id: "k/2" }, verdict: "unknown" }]
})

let gateway: Gateway
let operator: string
let asked: Array<SweepRequest> = []
beforeAll(async () => {
  gateway = await openGateway()
  operator = await gateway.token({ tenant: "default", role: "operator", subject: "olga" })
  let looks = 0
  let last = seen(true)
  await gateway.run(Effect.flatMap(SchedulingAnswers, (answers) => Effect.forkDetach(answers.serve({
    workers: () => [], pools: () => [], waiting: () => [], discard: () => "not-held", retention: () => [],
    reaper: (sweep) => {
      if (sweep === undefined) return { ...last, running: (looks -= 1) > 0 }
      asked.push(sweep)
      last = seen(sweep.dryRun)
      looks = 3
      return { ...last, running: true }
    }
  }))))
})
afterAll(() => gateway.close())

describe("GET and POST /reaper", () => {
  it("show and begin a sweep, for operators of the installation alone", async () => {
    asked = []
    for (const token of [await gateway.token(), await gateway.token({ tenant: "acme", role: "operator" })]) {
      expect((await gateway.call(`${api}/reaper`, { token })).status).toBe(403)
      expect((await gateway.call(`${api}/reaper`, { method: "POST", headers: { "content-type": "application/json" }, body: "{}", token })).status).toBe(403)
    }
    expect(asked).toEqual([])
    const begun = await gateway.call(`${api}/reaper`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ tenant: "acme", dry_run: true }), token: operator })
    expect([begun.status, asked]).toEqual([202, [{ tenantId: "acme", dryRun: true }]])
    const shown = await gateway.call(`${api}/reaper`, { token: operator })
    expect(shown.status).toBe(200)
    expect(await shown.json()).toMatchObject({
      running: true, swept_at: "1970-01-01T00:00:00.000Z", dry_run: true, more: 0,
      places: [{ tenant: "acme", type: "s3", credentials: "lab", place: "images", things: 3 }, { problem: "no worker that delivers is there" }],
      leftovers: [{ tenant: "acme", compose: composeId, job: "0-upload-0", type: "s3", resource: left.resource, status: "due", noted_at: "1970-01-01T00:00:00.000Z" }, { status: "unknown" }]
    })
    expect((await gateway.call(`${api}/reaper`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ tenant: "A*" }), token: operator })).status).toBe(400)
  })
})

describe("kiln reaper", () => {
  it("waits for the sweep and says what became of each thing, and where nobody could look", async () => {
    asked = []
    const run = (...args: ReadonlyArray<string>) => kiln(["reaper", ...args, "--url", gateway.url, "--token", operator])
    const dry = await run("--dry-run", "--tenant", "acme")
    expect([dry.code, asked]).toEqual([0, [{ tenantId: "acme", dryRun: true }]])
    for (const part of ["s3 object k/1 in images", "would be removed", "of no compose here, stays", "not looked at: oci r.example.org a of acme: no worker", "in 1 of 2 places"]) expect(dry.out).toContain(part)
    const wet = await run("--yes")
    expect([wet.code, asked.at(-1), / removed\n/.test(wet.out)]).toEqual([0, { dryRun: false }, true])
    expect(JSON.parse((await run("--yes", "--json")).out)).toMatchObject({ running: false, leftovers: [{ status: "removed" }, { status: "unknown" }] })
  })
})
