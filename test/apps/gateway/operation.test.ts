/** Workers, pools, what was put aside and what jobs wait for, over HTTP and by command. */
import { Effect, Layer } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { ComposeId, JobId, Millis, PoolId, TenantId, WorkerId } from "../../../domain/ids.ts"
import { Parked } from "../../../domain/ports/parked.ts"
import { Scheduling, SchedulingAnswers } from "../../../domain/ports/scheduling.ts"
import type { JobOutlook } from "../../../domain/scheduling/job-outlook.ts"
import type { WorkerOutlook } from "../../../domain/scheduling/worker-outlook.ts"
import { kiln } from "../operator/kiln-command.ts"
import { busy, demandOf } from "../../domain/scaling/pools.ts"
import { api, type Gateway, openGateway } from "./harness.ts"
import { aDigest, acme, given, simulated } from "./scenes.ts"

const at = Millis.make(Date.parse("2026-01-31T12:00:00Z"))
const composeId = ComposeId.make("01890000-0000-7000-8000-000000000001")
const slots = { resolve: 2, build: 1, upload: 4 }
const idle = { resolve: 0, build: 0, upload: 0 }

const builder: WorkerOutlook = {
  worker: WorkerId.make("build-1"), pools: [PoolId.make("acme"), PoolId.make("default")], state: "working", version: "1",
  abilities: { architectures: ["x86_64"], slots, distributions: ["debian-13"], imageTypes: ["guest-image"], labels: { rack: "7" } },
  sessionSince: at, heardAt: at, busy: { ...idle, build: 1 }, held: 1, heldDigests: [aDigest],
  jobs: [{ tenantId: acme, composeId, jobId: JobId.make("0-build"), kind: "build", attempt: 2, state: "running", since: at }]
}
const quiet: WorkerOutlook = { worker: WorkerId.make("old"), pools: [PoolId.make("default")], state: "silent", busy: idle, held: 0, jobs: [] }

const queued: JobOutlook = {
  jobId: JobId.make("0-build"), attempt: 1, kind: "build", reason: "worker", pool: PoolId.make("p"), architecture: "x86_64",
  distribution: "test-distro-1", imageType: "simulated", since: at, position: 3
}

const outlooks = new Map<string, JobOutlook>()
const serving = (gateway: Gateway) =>
  gateway.run(Effect.flatMap(SchedulingAnswers, (answers) => Effect.forkDetach(answers.serve({
    workers: (name) => [builder, quiet].filter(({ worker }) => name === undefined || worker === name),
    pools: () => [{ ...demandOf(3, [busy("w1")]), pool: PoolId.make("default"), at }],
    waiting: (tenantId, id) => tenantId === acme && outlooks.has(id) ? [outlooks.get(id)!] : [],
    discard: (name, digest) => name === quiet.worker ? "away" : name === builder.worker && digest === aDigest ? "asked" : "not-held",
    reaper: () => undefined,
    retention: (tenantId) => tenantId === acme ? [{ composeId, image: 0, target: 1, type: "s3", bytes: 2048, deliveredAt: at, why: "age" }] : []
  }))))

const jobOf = async (gateway: Gateway, id: string) =>
  (await (await gateway.call(`${api}/composes/${id}`)).json() as { jobs: Array<{ waiting_for?: object }> }).jobs[0]!

let gateway: Gateway
let operator: string
beforeAll(async () => {
  gateway = await openGateway()
  operator = await gateway.token({ tenant: "default", role: "operator", subject: "olga", ttl: 600_000 })
  await serving(gateway)
})
afterAll(() => gateway.close())

describe("a queued job", () => {
  it("given a scheduler that answers, when its compose is shown, then it says what it waits for, as fields and as a sentence", async () => {
    const { id } = await given(gateway)
    const waits = async (outlook: Partial<JobOutlook>) => {
      outlooks.set(id, { ...queued, ...outlook })
      return (await jobOf(gateway, id)).waiting_for
    }
    expect(await waits({})).toEqual({
      reason: "worker", pool: "p", architecture: "x86_64", since: "2026-01-31T12:00:00.000Z", position: 3,
      message: "waiting for a worker of x86_64 in pool p since 2026-01-31T12:00:00.000Z, to build test-distro-1 simulated"
    })
    const { position: _, ...uncounted } = queued
    const worker = WorkerId.make("w1")
    expect(await waits({ kind: "upload" })).toMatchObject({ message: "waiting for a worker that uploads in pool p since 2026-01-31T12:00:00.000Z" })
    expect(await waits({ reason: "slots", position: 12 })).toMatchObject({ reason: "slots", position: 12, message: "position 12 in pool p" })
    expect(await waits({ reason: "tenant-limit" })).toMatchObject({ message: "position 3 in pool p, waiting for one of the tenant's running jobs to end" })
    expect(await waits({ reason: "target-limit", limit: "aws/eu-central-1/prod", running: 20, atMost: 20 })).toMatchObject({
      reason: "target-limit", limit: "aws/eu-central-1/prod", running: 20, at_most: 20,
      message: "position 3 in pool p, waiting for a delivery to aws eu-central-1 with the credentials prod to end: 20 of at most 20 run"
    })
    expect(await waits({ reason: "target-limit", limit: "oci/r.example.org:5000/", running: 2, until: at })).toMatchObject({
      running: 2, until: "2026-01-31T12:00:00.000Z",
      message: "position 3 in pool p, waiting until 2026-01-31T12:00:00.000Z, when the next delivery to oci r.example.org:5000 may begin"
    })
    expect(await waits({ reason: "holder", worker })).toMatchObject({ worker: "w1", message: "position 3 in pool p, waiting for worker w1, which holds the image" })
    expect(await waits({ ...uncounted, reason: "retry", until: at })).toMatchObject({ until: "2026-01-31T12:00:00.000Z", message: "tries again at 2026-01-31T12:00:00.000Z in pool p" })
    expect(await waits({ ...uncounted, reason: "assigned", worker })).toMatchObject({ worker: "w1", message: "given to worker w1 of pool p" })
  })

  it("given an outlook on an earlier attempt, when its compose is shown, then that is left out", async () => {
    const { id } = await given(gateway)
    outlooks.set(id, { ...queued, attempt: 7 })
    expect((await jobOf(gateway, id)).waiting_for).toEqual({ reason: "worker" })
  })

  it("given a scheduler that never answers, when its compose is shown, then it is shown without, and asked once for what is queued and not at all for what is not", async () => {
    let asked = 0
    const mute = Layer.succeed(Scheduling, Scheduling.of({
      workers: () => Effect.never, pools: Effect.never, discard: () => Effect.never,
      retention: () => Effect.never,
      reaper: () => Effect.never,
      errand: () => Effect.never,
      waiting: () => Effect.andThen(Effect.sync(() => asked += 1), Effect.never)
    }))
    const lonely = await openGateway({}, mute as Layer.Layer<never>)
    try {
      const compose = await given(lonely, { ...simulated, images: [simulated.images[0], simulated.images[0]] })
      expect((await jobOf(lonely, compose.id)).waiting_for).toEqual({ reason: "worker" })
      expect(asked).toBe(1)
      await compose.started("0-build")
      await compose.started("1-build")
      expect(await jobOf(lonely, compose.id)).not.toHaveProperty("waiting_for")
      expect(asked).toBe(1)
    } finally {
      await lonely.close()
    }
  })
})

describe("what operators look after", () => {
  const paths = ["/workers", "/pools", "/parked"]

  it("is shown to operators of the installation alone", async () => {
    const others = await Promise.all([gateway.token({ tenant: "default" }), gateway.token({ tenant: "acme", role: "operator" })])
    for (const token of others) {
      for (const path of paths) expect((await gateway.call(`${api}${path}`, { token })).status).toBe(403)
      expect((await gateway.call(`${api}/parked/00`, { token, method: "DELETE" })).status).toBe(403)
      expect((await gateway.call(`${api}/workers/build-1/images/${aDigest}`, { token, method: "DELETE" })).status).toBe(403)
    }
    for (const path of paths) expect((await gateway.call(`${api}${path}`, { token: operator })).status).toBe(200)
  })

  it("given no scheduler, then workers and pools are not available, with a sentence, and what is parked is", async () => {
    const lonely = await openGateway()
    try {
      const token = await lonely.token({ tenant: "default", role: "operator" })
      for (const [path, method] of [["/workers", "GET"], ["/pools", "GET"], [`/workers/w1/images/${aDigest}`, "DELETE"]] as const) {
        const answer = await lonely.call(`${api}${path}`, { token, method })
        expect(answer.status).toBe(503)
        expect(await answer.json()).toMatchObject({ type: "urn:kiln:problem:unavailable", detail: "no scheduler answers" })
      }
      expect((await lonely.call(`${api}/parked`, { token })).status).toBe(200)
    } finally {
      await lonely.close()
    }
  })

  it("has workers with their abilities and jobs, of all pools or one, and with their images where one is named", async () => {
    const workers = async (query = "") => await (await gateway.call(`${api}/workers${query}`, { token: operator })).json() as Array<Record<string, unknown>>
    expect(await workers("?name=build-1&pool=acme")).toEqual([{
      worker: "build-1", pools: ["acme", "default"], state: "working", architectures: ["x86_64"], distributions: ["debian-13"], image_types: ["guest-image"],
      labels: { rack: "7" }, slots, busy: { ...idle, build: 1 }, held_images: 1, held_digests: [aDigest], version: "1",
      session_since: "2026-01-31T12:00:00.000Z", heard_at: "2026-01-31T12:00:00.000Z",
      jobs: [{ tenant: "acme", compose: composeId, job: "0-build", kind: "build", attempt: 2, state: "running", since: "2026-01-31T12:00:00.000Z" }]
    }])
    expect((await workers()).map(({ worker }) => worker)).toEqual(["build-1", "old"])
    expect((await workers("?pool=acme")).map(({ worker }) => worker)).toEqual(["build-1"])
    expect(await workers("?pool=default&name=old")).toEqual([{ worker: "old", pools: ["default"], state: "silent", busy: idle, held_images: 0, jobs: [] }])
    expect((await gateway.call(`${api}/workers?name=*`, { token: operator })).status).toBe(400)
  })

  it("has an image removed by the worker that holds it, if that is heard", async () => {
    const discard = async (worker: string, digest: string) => {
      const answer = await gateway.call(`${api}/workers/${worker}/images/${digest}`, { token: operator, method: "DELETE" })
      return [answer.status, await answer.json()] as const
    }
    expect(await discard("build-1", aDigest)).toEqual([202, { worker: "build-1", digest: aDigest, status: "asked" }])
    const unheld = `sha256:${"0".repeat(64)}`
    expect(await discard("build-1", unheld)).toMatchObject([404, { detail: `no worker build-1 holds ${unheld}` }])
    expect(await discard("old", aDigest)).toMatchObject([503, { detail: "worker old is silent and cannot be told" }])
    expect((await discard("build-1", "sha256:1"))[0]).toBe(400)
  })

  it("has pools with what waits and works in them", async () => {
    const [pool] = await (await gateway.call(`${api}/pools`, { token: operator })).json() as Array<Record<string, any>>
    expect(pool).toMatchObject({ pool: "default", at: "2026-01-31T12:00:00.000Z", workers: 1 })
    expect(Object.keys(pool!["kinds"])).toEqual(["resolve", "build", "upload"])
    expect(pool!["kinds"].build).toMatchObject({ waiting: expect.any(Number), oldest_wait_seconds: expect.any(Number), wanted_slots: 3 })
  })

  it("has what was put aside, until it is dropped", async () => {
    const park = gateway.run(Effect.flatMap(Parked, (parked) =>
      parked.park({ what: "job", by: "scheduler", where: "jobs.default.w1", reason: "never begun", tenantId: TenantId.make("acme"), composeId, text: "{}", at })))
    await park
    const [item, ...rest] = await (await gateway.call(`${api}/parked`, { token: operator })).json() as Array<{ id: string }>
    expect(rest).toEqual([])
    expect(item).toEqual({
      id: expect.any(String), what: "job", by: "scheduler", where: "jobs.default.w1", reason: "never begun", tenant: "acme", compose: composeId, text: "{}",
      at: "2026-01-31T12:00:00.000Z"
    })
    const drop = async (id: string) => (await gateway.call(`${api}/parked/${id}`, { token: operator, method: "DELETE" })).status
    expect([await drop(item!.id), await drop(item!.id), await drop("XYZ")]).toEqual([204, 404, 400])
    expect(await (await gateway.call(`${api}/parked`, { token: operator })).json()).toEqual([])
  })

  it("has all that was put aside of a tenant or a kind dropped at once, if one says which", async () => {
    const park = (tenant: string, what: "job" | "report", where: string) => gateway.run(Effect.flatMap(Parked, (parked) =>
      parked.park({ what, by: "scheduler", where, reason: "never begun", tenantId: TenantId.make(tenant), at })))
    await park("acme", "job", "a")
    await park("acme", "report", "b")
    await park("other", "job", "c")
    const places = async (query: string) =>
      (await (await gateway.call(`${api}/parked${query}`, { token: operator })).json() as Array<{ where: string }>).map(({ where }) => where).toSorted()
    expect([await places(""), await places("?what=job"), await places("?tenant=acme"), await places("?what=delivery")]).toEqual([["a", "b", "c"], ["a", "c"], ["a", "b"], []])
    const drop = async (query: string, token = operator) => {
      const answer = await gateway.call(`${api}/parked${query}`, { token, method: "DELETE" })
      return [answer.status, answer.status === 200 ? await answer.json() : undefined] as const
    }
    expect(await drop("", await gateway.token({ tenant: "acme", role: "operator" }))).toEqual([403, undefined])
    expect([await drop(""), await drop("?what=image"), await drop("?all=yes")]).toEqual([[400, undefined], [400, undefined], [400, undefined]])
    expect(await drop("?what=job&tenant=acme")).toEqual([200, { dropped: 1 }])
    expect(await places("")).toEqual(["b", "c"])
    expect(await drop("?all=true")).toEqual([200, { dropped: 2 }])
    expect(await places("")).toEqual([])
  })
})

describe("kiln", () => {
  const run = (...args: ReadonlyArray<string>) => kiln(["--url", gateway.url, "--token", operator, ...args])

  it("lists workers as tables and as a document", async () => {
    const { code, out } = await run("workers", "--utc")
    expect(code).toBe(0)
    expect(out).toMatch(/^build-1 +acme default +working +0\/2 +1\/1 +0\/0 +0\/4 +1 +2026-01-31 12:00:00 Z +\S+ ago +x86_64 debian-13 guest-image rack=7$/m)
    expect(out).toMatch(/^old +default +silent +0\/\? +0\/\? +0\/\? +0\/\? +0 +never$/m)
    expect(out).toMatch(new RegExp(`^build-1 +acme +${composeId} +0-build +2 +running +2026-01-31 12:00:00 Z$`, "m"))
    expect(JSON.parse((await run("workers", "build-1", "--pool", "acme", "--json")).out)).toMatchObject([{ worker: "build-1", held_digests: [aDigest] }])
    expect((await run("workers", "nobody")).out).toBe("No worker has been heard of\n")
  })

  it("has a worker remove an image", async () => {
    expect(await run("discard", "build-1", aDigest, "--yes")).toMatchObject({ code: 0, out: `build-1 was told to remove ${aDigest}\n` })
    expect(JSON.parse((await run("discard", "build-1", aDigest, "--yes", "--json")).out)).toEqual({ worker: "build-1", digest: aDigest, status: "asked" })
    expect((await run("discard", "nobody", aDigest, "--yes")).code).toBe(4)
    expect((await run("discard", "old", aDigest, "--yes")).code).toBe(6)
    expect((await run("discard", "build-1", "image")).code).toBe(2)
  })

  it("lists pools as a table and as a document", async () => {
    expect((await run("pools")).out).toMatch(/^default +1 +build +\d+ /m)
    expect(JSON.parse((await run("pools", "--json")).out)).toMatchObject([{ pool: "default", workers: 1 }])
  })

  it("lists and drops what is parked", async () => {
    expect((await run("parked", "list")).out).toBe("Nothing is parked\n")
    await gateway.run(Effect.flatMap(Parked, (parked) => parked.park({ what: "event", by: "projector composes", where: "EVENTS 17 x", reason: "not JSON", at })))
    const [{ id }] = JSON.parse((await run("parked", "list", "--json")).out) as [{ id: string }]
    expect((await run("parked", "list", "--utc")).out).toMatch(new RegExp(`^${id} +2026-01-31 12:00:00 Z +event +projector composes +EVENTS 17 x +not JSON$`, "m"))
    expect(await run("parked", "drop", id)).toMatchObject({ code: 2, out: "", err: `This forgets ${id}: say --yes if that is meant\n` })
    expect(await run("parked", "drop", id, "--yes")).toMatchObject({ code: 0, out: `${id} is forgotten\n` })
    expect((await run("parked", "drop", id, "--yes")).code).toBe(4)
    expect((await run("parked", "drop", "Z")).code).toBe(2)
    const { items } = JSON.parse((await run("audit", "--json")).out) as { items: ReadonlyArray<{ action: string; id: string; detail?: string; actor: { id: string } }> }
    const drop = items.filter((item) => item.id.startsWith("parked-drop-"))
    expect(drop.slice(0, 2).map(({ action, actor, detail }) => [action, actor.id, detail])).toEqual([
      ["OperationSucceeded", "olga", undefined], ["OperationBegun", "olga", "event of projector composes: EVENTS 17 x"]
    ])
    expect((await run("audit")).out).toMatch(/olga \(operator\) +OperationBegun +operation image-discard-/)
  })

  it("says what a job waits for when a compose is shown", async () => {
    const { id } = await given(gateway)
    outlooks.set(id, { ...queued, reason: "slots", position: 12 })
    const { out } = await kiln(["--url", gateway.url, "--token", await gateway.token(), "show", id])
    expect(out).toMatch(/^0-build +queued .*position 12 in pool p$/m)
  })
})
