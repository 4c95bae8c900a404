/** Sets of credentials over HTTP and by command, and targets that name them. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { Effect } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { PoolId, TenantId, WorkerId } from "../../../domain/ids.ts"
import { EventLog } from "../../../domain/ports/event-log.ts"
import { SchedulingAnswers } from "../../../domain/ports/scheduling.ts"
import type { WorkerOutlook } from "../../../domain/scheduling/worker-outlook.ts"
import { credentialsRef } from "../../../domain/recorded.ts"
import { kiln } from "../operator/kiln-command.ts"
import { api, type Gateway, openGateway } from "./harness.ts"

const planted = "planted-secret-4711"
const keys = { provider: "aws", access_key_id: "AKIAEXAMPLE", secret_access_key: planted }

const worker: WorkerOutlook = {
  worker: WorkerId.make("w1"), pools: [PoolId.make("default")], state: "idle", busy: { resolve: 0, build: 0, upload: 0 }, held: 0, jobs: [],
  credentials: [{ name: "shared", provider: "oci" }, { name: "theirs", provider: "aws", tenants: [TenantId.make("beta")] }]
}

let gateway: Gateway
beforeAll(async () => {
  gateway = await openGateway()
  await gateway.run(Effect.flatMap(SchedulingAnswers, (answers) => Effect.forkDetach(answers.serve({
    workers: () => [worker], pools: () => [], waiting: () => [], discard: () => "not-held", retention: () => [], reaper: () => undefined
  }))))
})
afterAll(() => gateway.close())

const put = (name: string, body: unknown, token?: string) =>
  gateway.call(`${api}/credentials/${name}`, {
    method: "PUT", headers: { "content-type": "application/json" }, body: typeof body === "string" ? body : JSON.stringify(body), ...(token !== undefined && { token })
  })
const entries = (tenant: string) => gateway.run(Effect.flatMap(EventLog, (log) => log.read(credentialsRef(TenantId.make(tenant)))))

describe("a set of credentials", () => {
  it("given one that was stored, when it is asked for, then it says what is in it and since when, and no value", async () => {
    const stored = await put("prod", keys)
    const text = await stored.text()
    expect([stored.status, JSON.parse(text)]).toEqual([200, {
      name: "prod", provider: "aws", fields: ["access_key_id", "secret_access_key"], set_by: "anna", set_at: expect.any(String), fingerprint: expect.any(String)
    }])
    const shown = await gateway.call(`${api}/credentials/prod`)
    expect(await shown.text()).toBe(text)
    expect(await (await gateway.call(`${api}/credentials`)).json()).toEqual([JSON.parse(text)])
    for (const said of [text, JSON.stringify(await entries("acme")), ...gateway.logged]) for (const secret of [planted, "AKIAEXAMPLE"]) expect(said).not.toContain(secret)
  })

  it("given the same values once more, in another order, when they are stored, then nothing is recorded; given others, then they take the place", async () => {
    const [first, again, other] = [await put("twice", keys), await put("twice", Object.fromEntries(Object.entries(keys).toReversed())), await put("twice", { ...keys, session_token: "t" })]
    const prints = await Promise.all([first, again, other].map(async (answer) => (await answer.json() as { fingerprint: string }).fingerprint))
    expect([prints[0] === prints[1], prints[0] === prints[2]]).toEqual([true, false])
    expect((await entries("acme")).recorded.filter(({ events }) => events.some(({ name }) => name === "twice"))).toHaveLength(2)
  })

  it("given another tenant, when it asks, then there is nothing", async () => {
    await put("prod", keys)
    const token = await gateway.token({ tenant: "beta" })
    expect(await (await gateway.call(`${api}/credentials`, { token })).json()).toEqual([])
    expect((await gateway.call(`${api}/credentials/prod`, { token })).status).toBe(404)
    expect((await gateway.call(`${api}/credentials/prod`, { method: "DELETE", token })).status).toBe(404)
  })

  it("given dangerous or broken content, when it is stored, then it is refused with its place, and nothing of it is said or logged", async () => {
    const key = (more: object) => ({ provider: "gcp", key: JSON.stringify({ type: "service_account", client_email: "k@p.iam.gserviceaccount.com", private_key: planted, ...more }) })
    const cases: ReadonlyArray<readonly [unknown, string]> = [
      [{ provider: "aws" }, "access_key_id"],
      [{ ...keys, endpoints: { s3: "http://127.0.0.1:9000" } }, "endpoints.s3"],
      [{ ...keys, endpoints: { s3: `ftp://${planted}` } }, "endpoints.s3"],
      [key({ token_uri: `https://${planted}.example` }), "key.token_uri"],
      [{ provider: "gcp", key: JSON.stringify({ type: "external_account", credential_source: { executable: { command: planted } } }) }, "key.type"],
      [{ provider: planted }, ""],
      [{ ...keys, secret_access_key: [planted] }, "secret_access_key"],
      [{ ...keys, profile: planted }, "profile"],
      [JSON.stringify(planted), ""]
    ]
    for (const [body, path] of cases) {
      const refused = await put("bad", body)
      const text = await refused.text()
      expect([refused.status, (JSON.parse(text) as { errors: Array<{ path: string }> }).errors[0]!.path], text).toEqual([400, path])
      expect(text).not.toContain(planted)
    }
    const broken = await put("bad", `{"secret_access_key": "${planted}"`)
    expect([broken.status, (await broken.text()).includes(planted)]).toEqual([400, false])
    expect((await put("Bad_Name", keys)).status).toBe(400)
    expect((await gateway.call(`${api}/credentials/bad`)).status).toBe(404)
    expect(gateway.logged.filter((line) => line.includes(planted))).toEqual([])
  })
})

describe("a target that names a set", () => {
  const asked = (target: object, token?: string) =>
    gateway.post({ distribution: "test-distro-1", images: [{ architecture: "x86_64", type: "simulated", targets: [{ type: "file" }, target] }] }, {}, token)
  const s3 = { type: "s3", bucket: "images-of-acme" }
  const oci = { type: "oci", registry: "registry.example.org", repository: "acme/image" }
  const faultsOf = async (answer: Response) => [answer.status, ((await answer.json()) as { errors?: unknown }).errors]
  const fault = (message: string) => [400, [{ in: "body", path: "images[0].targets[1].credentials", message }]]

  it("given none of that name, or none named where one is needed, when it is asked for, then it is refused with its place", async () => {
    expect(await faultsOf(await asked({ ...s3, credentials: "nowhere" }))).toEqual(fault("there is no set of credentials named nowhere"))
    expect(await faultsOf(await asked(s3))).toEqual(fault("is missing"))
  })

  it("given a set of another provider, when it is asked for, then that is said", async () => {
    await put("prod", keys)
    expect(await faultsOf(await asked({ ...oci, credentials: "prod" }))).toEqual(fault("the set of credentials named prod is not for oci, but for aws"))
  })

  it("given a set that only workers have, when it is asked for, then only its tenants may", async () => {
    expect(await faultsOf(await asked({ ...s3, credentials: "theirs" }))).toEqual(fault("there is no set of credentials named theirs"))
    const beta = await gateway.token({ tenant: "beta" })
    const errors = (answer: unknown) => JSON.stringify(answer)
    expect(errors(await faultsOf(await asked({ ...s3, credentials: "theirs" }, beta)))).not.toContain("credentials named")
    expect(errors(await faultsOf(await asked({ ...oci, credentials: "shared" })))).not.toContain("credentials named")
  })
})

describe("kiln credentials", () => {
  it("given a file, when a set is stored, listed and removed, then no value is shown, also of a file that cannot be read", async () => {
    const file = join(gateway.folder, "set.yaml")
    writeFileSync(file, `provider: oci\nusername: ann\npassword: ${planted}\n`)
    const token = await gateway.token({ tenant: "gamma" })
    const run = (...args: ReadonlyArray<string>) => kiln([...args, "--url", gateway.url, "--token", token])
    const stored = await run("credentials", "set", "hub", "--from-file", file)
    expect(stored.code).toBe(0)
    const listed = await run("credentials", "list")
    expect(listed.out).toMatch(/hub +oci +password, username/)
    writeFileSync(file, `provider: [${planted}`)
    const broken = await run("credentials", "set", "hub", "--from-file", file)
    expect(broken.code).toBe(2)
    const removed = await run("credentials", "remove", "hub", "--yes", "--json")
    expect(JSON.parse(removed.out)).toEqual({ name: "hub", removed: true })
    expect([removed.code, (await run("credentials", "remove", "hub", "--yes")).code]).toEqual([0, 4])
    for (const { err, out } of [stored, listed, broken, removed]) expect(out + err).not.toContain(planted)
  })
})
