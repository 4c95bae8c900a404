/** Targets that are tried before anything is built for them, against an S3 that refuses what is wrong. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { Effect, Exit, Scope } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { Checked, Refused, type SentErrand } from "../../../domain/errand.ts"
import { WorkerId } from "../../../domain/ids.ts"
import { SchedulingAnswers } from "../../../domain/ports/scheduling.ts"
import { s3Keys, s3StandIn } from "../../support/s3-stand-in.ts"
import { kiln } from "../operator/kiln-command.ts"
import { api, type Gateway, openGateway } from "./harness.ts"

const nobody: SentErrand = { answer: Refused.make({ message: "no worker that delivers is there" }) }
/** As a worker would say it of buckets of these names. */
const sent = (bucket: string): SentErrand => {
  if (bucket === "away") return nobody
  const answer = bucket === "refused"
    ? Refused.make({ message: "the set of credentials named remote is for oci, not for aws" })
    : Checked.make({ obstacles: bucket === "images" ? [] : [{ what: "s3:ListBucket", problem: "NoSuchBucket" }] })
  return { worker: WorkerId.make("w1"), answer }
}

let gateway: Gateway
let bucket: { readonly objects: ReadonlyMap<string, unknown>; readonly uploads: ReadonlyMap<string, unknown> }
const scope = Scope.makeUnsafe()
beforeAll(async () => {
  gateway = await openGateway({ privateEndpoints: true })
  const s3 = await Effect.runPromise(Scope.provide(s3StandIn(), scope))
  bucket = s3.store.make("images", "eu-central-1")
  await gateway.run(Effect.flatMap(SchedulingAnswers, (answers) => Effect.forkDetach(answers.serve({
    workers: () => [{ worker: "w1", pools: ["default"], state: "idle", busy: { resolve: 0, build: 0, upload: 0 }, held: 0, jobs: [], credentials: [{ name: "remote", provider: "aws" }] } as never],
    pools: () => [], waiting: () => [], discard: () => "not-held", retention: () => [], reaper: () => undefined,
    errand: (_, { target }) => Effect.succeed(target.type === "s3" && target.credentials === "remote" ? sent(target.bucket) : nobody)
  }))))
  const set = { provider: "aws", ...s3Keys, region: "eu-central-1", endpoints: { s3: s3.endpoint } }
  await put("lab", set)
  await put("wrong", { ...set, secret_access_key: "not-the-key-planted" })
})
afterAll(async () => {
  await gateway.close()
  await Effect.runPromise(Scope.close(scope, Exit.void))
})

const json = { "content-type": "application/json" }
const put = (name: string, set: object) => gateway.call(`${api}/credentials/${name}`, { method: "PUT", headers: json, body: JSON.stringify(set) })
const check = async (...targets: ReadonlyArray<object>) => {
  const answer = await gateway.call(`${api}/targets/check`, { method: "POST", headers: json, body: JSON.stringify({ targets }) })
  return [answer.status, await answer.json() as never] as const
}
const s3 = (bucket: string, credentials = "lab") => ({ type: "s3", bucket, credentials })

describe("a check of targets", () => {
  it("given one that is well, one whose bucket is missing and one whose key is wrong, then each is answered in the provider's words, and nothing is left there", async () => {
    const [status, answers] = await check({ type: "file" }, s3("images"), s3("nowhere"), s3("images", "wrong"))
    expect([status, answers]).toMatchObject([200, [
      { type: "file", status: "ready" }, { type: "s3", credentials: "lab", status: "ready", obstacles: [] }, { status: "obstructed" }, { status: "obstructed" }
    ]])
    expect(JSON.stringify(answers)).toMatch(/NoSuchBucket|NotFound|404/)
    expect(JSON.stringify(answers)).not.toContain("planted")
    expect([bucket.objects.size, bucket.uploads.size]).toEqual([0, 0])
  })

  it("given a worker that can be sent, then it says which one and what that has seen, and the gateway tries nothing", async () => {
    const [status, answers] = await check(s3("images", "remote"), s3("gone", "remote"), s3("refused", "remote"))
    expect([status, answers]).toEqual([200, [
      { type: "s3", credentials: "remote", status: "ready", worker: "w1", obstacles: [] },
      { type: "s3", credentials: "remote", status: "obstructed", worker: "w1", obstacles: [{ what: "s3:ListBucket", problem: "NoSuchBucket" }] },
      {
        type: "s3", credentials: "remote", status: "obstructed", worker: "w1",
        obstacles: [{ what: "check s3", problem: "the set of credentials named remote is for oci, not for aws" }]
      }
    ]])
  })

  it("given a set that only workers have who are away, then it says that nothing was tried; given none, then it is refused with its place", async () => {
    const note = "only workers have the set of credentials named remote, and none of them can try it: no worker that delivers is there"
    expect(await check(s3("away", "remote"))).toMatchObject([200, [{ status: "untried", note }]])
    expect(await check(s3("images"), s3("images", "nobody"))).toMatchObject([400, { errors: [{ path: "targets[1].credentials" }] }])
    expect(await check(s3("Not A Bucket"))).toMatchObject([400, { errors: [{ path: "targets[0].bucket" }] }])
  })

  it("given the command, then it ends with 1 if anything stands in the way", async () => {
    const file = join(gateway.folder, "web.json")
    const run = async (...args: ReadonlyArray<string>) => kiln(["targets", "check", ...args, "--url", gateway.url, "--token", await gateway.token()])
    writeFileSync(file, JSON.stringify({ distribution: "debian-13", images: [{ targets: [s3("images")] }, { targets: [s3("images"), { type: "file" }] }] }))
    expect(await run(file)).toMatchObject({ code: 0, out: "0 s3 with lab: ready\n1 file: ready\n" })
    const wrong = await run("--target", JSON.stringify(s3("nowhere")))
    expect([wrong.code, wrong.out.split("\n")[0]]).toEqual([1, "0 s3 with lab: obstructed"])
    expect(await run("--target", JSON.stringify(s3("images", "remote")))).toMatchObject({ code: 0, out: "0 s3 with remote: ready, as worker w1 sees it\n" })
    expect((await run()).code).toBe(2)
  })
})
