/** The command as scripts see it: what it prints, and how it ends. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { prefix as contractPrefix } from "../../../apps/gateway/api/kiln-api.ts"
import { prefix } from "../../../apps/operator/api-prefix.ts"
import { aRequest, type Gateway, openGateway } from "../gateway/harness.ts"
import { kiln, kilnProcess } from "./kiln-command.ts"

let gateway: Gateway
let token: string
let folder: string

beforeAll(async () => {
  gateway = await openGateway()
  token = await gateway.token()
  folder = mkdtempSync(join(tmpdir(), "kiln-test-"))
})

afterAll(async () => {
  await gateway.close()
  rmSync(folder, { recursive: true, force: true })
})

const run = (args: ReadonlyArray<string>, where: { readonly url?: string; readonly token?: string } = {}) =>
  kiln(["--url", where.url ?? gateway.url, "--token", where.token ?? token, ...args])

const document = async (args: ReadonlyArray<string>) => {
  const { code, err, out } = await run([...args, "--json"])
  assert.deepStrictEqual([code, err], [0, ""])
  return JSON.parse(out)
}

const file = (content: object | string, name = "request.json") => {
  const path = join(folder, name)
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content))
  return path
}

const build = (request: object = aRequest) => document(["build", file(request), "--detach"])

describe("kiln", () => {
  it("asks at the place of the contract", () => assert.strictEqual(prefix, contractPrefix))

  it("builds from JSON and from YAML, from a file and from what comes in", async () => {
    const yaml = file("distribution: debian-13\nname: from yaml\nimages:\n  - {architecture: x86_64, type: guest-image}\n", "web.yaml")
    const { name, status } = await document(["build", yaml, "--detach"])
    assert.deepStrictEqual([name, status], ["from yaml", "pending"])
    const { code, out } = await kilnProcess(["build", "-", "--detach"], { KILN_URL: gateway.url, KILN_TOKEN: token }, JSON.stringify(aRequest))
    assert.strictEqual(code, 0)
    assert.match(out, /^[0-9a-f-]{36}\n$/)
  })

  it("given targets on the command line, when it builds, then all images go there and nowhere else", async () => {
    const { id } = await document(["build", file({ ...aRequest, images: [{ architecture: "x86_64", type: "guest-image", targets: [{ type: "file" }, { type: "file" }] }] }), "--detach", "--target", "{\"type\":\"file\"}"])
    const shown = await document(["show", id])
    assert.deepStrictEqual(shown.images[0].targets.map(({ type }: { type: string }) => type), ["file"])
    const wrong = await run(["build", file(aRequest), "--target", "{type"])
    assert.deepStrictEqual([wrong.code, wrong.out], [2, ""])
    assert.match(wrong.err, /--target is no JSON/)
    assert.strictEqual((await run(["build", file(aRequest), "--target", "{\"type\":\"s3\",\"bucket\":\"UP\"}"])).code, 2)
  })

  it("makes one compose of one idempotency key", async () => {
    const args = ["build", file(aRequest), "--detach", "--idempotency-key", "k1"]
    const [first, second] = [await document(args), await document(args)]
    assert.strictEqual(first.id, second.id)
    file({ ...aRequest, name: "other" })
    assert.strictEqual((await run(args)).code, 2)
  })

  it("says where a request is wrong", async () => {
    const request = { ...aRequest, customizations: { users: [{ name: "A B" }] } }
    const { code, err, out } = await run(["build", file(request)])
    assert.deepStrictEqual([code, out], [2, ""])
    assert.match(err, /^ {2}customizations\.users\[0\]\.name: /m)
    const asJson = await run(["build", file(request), "--json"])
    const { error } = JSON.parse(asJson.err)
    assert.deepStrictEqual([error.code, error.problem.errors[0].path], [2, "customizations.users[0].name"])
  })

  it("refuses wrong usage with a sentence", async () => {
    const wrong = [["bogus"], ["list", "--status", "gone"], ["list", "--limit", "0"], ["show", "nope"], ["list", "--since", "tomorrow"],
      ["build", join(folder, "nothing.json")], ["show"], ["list", "--colour"]]
    for (const args of wrong) {
      const { code, err, out } = await run(args)
      assert.deepStrictEqual([args, code, out], [args, 2, ""])
      assert.notMatch(err, /\n\s+at /)
    }
    const { code, err } = await run(["build", file("{ not json")])
    assert.deepStrictEqual([code, err.startsWith(`${join(folder, "request.json")} is no JSON: `)], [2, true])
  })

  it("tells not found, not allowed and not reachable apart", async () => {
    const unknown = "01890000-0000-7000-8000-000000000000"
    for (const command of ["show", "watch", "logs", "cancel", "download"]) {
      assert.deepStrictEqual([command, (await run([command, unknown])).code], [command, 4])
    }
    assert.strictEqual((await run(["list"], { token: "wrong" })).code, 5)
    const away = await run(["list"], { url: "http://127.0.0.1:1" })
    assert.deepStrictEqual([away.code, away.err.split("(")[0]], [6, "Kiln at http://127.0.0.1:1 cannot be reached "])
  })

  it("lists what jobs have run, what was built, what was used and who did what", async () => {
    const { id } = await build({ ...aRequest, name: "history" })
    const jobs = await document(["history", "--compose", id, "--kind", "resolve"])
    assert.deepStrictEqual(jobs.items.map(({ compose, job, status }: Record<string, string>) => [compose, job, status]), [[id, "0-resolve", "queued"]])
    assert.match((await run(["history", "--compose", id])).out, /^COMPOSE .*\n[0-9a-f-]{36} {2}0-resolve {2}queued/)
    assert.deepStrictEqual((await document(["images", "--compose", id])).items, [])
    assert.strictEqual((await run(["usage", "--until", "2020-01-01"])).out, "Nothing was used\n")
    assert.strictEqual((await document(["usage", "--by", "day"])).by, "day")
    assert.deepStrictEqual((await document(["list", "--label", "team=web", "--label", "team", "--search", "history"])).items.map(({ id }: { id: string }) => id), [id])
    assert.strictEqual((await run(["audit"])).code, 5)
    const operator = await gateway.token({ role: "operator", tenant: "acme" })
    assert.match((await run(["audit", "--id", id], { token: operator })).out, /anna \(requester\) +ComposeRequested +compose /)
    assert.strictEqual((await document(["show", id, "--as-of", "2d"]).catch(() => "none")), "none")
    assert.strictEqual((await run(["show", id, "--as-of", "2d"])).code, 4)
  })

  it("lists by pages and by filters", async () => {
    for (const name of ["list-a", "list-b", "list-c"]) await build({ ...aRequest, name })
    const { items } = await document(["list", "--search", "list-", "--all"])
    assert.deepStrictEqual(items.map(({ name }: { name: string }) => name), ["list-c", "list-b", "list-a"])
    const page = await document(["list", "--search", "list-", "--limit", "2"])
    assert.lengthOf(page.items, 2)
    assert.isString(page.next)
    assert.lengthOf((await document(["list", "--search", "list-", "--until", "1h"])).items, 0)
    const { out } = await run(["list", "--search", "list-b", "--utc"])
    const [head, row] = out.trimEnd().split("\n")
    assert.match(head!, /^ID +STATUS +DISTRIBUTION +IMAGES +REQUESTED +TOOK +NAME$/)
    assert.match(row!, /^[0-9a-f-]{36} {2}pending +debian-13 +1 {2}\d{4}-\d\d-\d\d \d\d:\d\d:\d\d Z +list-b$/)
  })

  it("shows, cancels, watches and ends with 3", async () => {
    const { id } = await build()
    const shown = await run(["show", id])
    assert.match(shown.out, /^Status +pending$/m)
    assert.match(shown.out, /^0-build +waiting +waits for 0-resolve$/m)
    assert.strictEqual((await document(["cancel", id])).status, "canceled")
    const lines = await run(["watch", id])
    assert.deepStrictEqual([lines.code, /compose canceled$/m.test(lines.out), lines.err], [3, true, `Compose ${id} was canceled\n`])
    const events = await run(["watch", id, "--json"])
    assert.strictEqual(events.code, 3)
    assert.deepStrictEqual(events.out.trimEnd().split("\n").map((line) => JSON.parse(line).event).at(-1), "end")
    assert.strictEqual((await run(["download", id])).code, 3)
    assert.deepStrictEqual(await document(["logs", id]), { id, lines: [] })
  })

  it("knows what can be built", async () => {
    assert.include((await run(["distributions"])).out, "debian-13")
    const found = await document(["packages", "vim", "--distribution", "debian-13"])
    assert.strictEqual(found[0].name, "vim")
  })

  it("lists the packages of a request, and of what is said on the command line", async () => {
    const request = file({ ...aRequest, customizations: { packages: ["vim"] } })
    const found = await document(["depsolve", request])
    assert.deepStrictEqual(found.packages.map(({ name }: { name: string }) => name), ["vim"])
    const { code, out } = await run(["depsolve", "--distribution", "debian-13", "--package", "nginx", "--package", "vim=1.0"])
    assert.strictEqual(code, 0)
    assert.match(out, /^nginx +1\.0 +all +1000 B$/m)
    assert.match(out, /^2 packages for debian-13 guest-image x86_64, 2\.0 KiB to download$/m)
  })

  it("says which package there is not, and which image to ask for", async () => {
    const { code, err } = await run(["depsolve", "-d", "debian-13", "-p", "emcas"])
    assert.deepStrictEqual([code, err], [2, "The packages cannot be had:\n  customizations.packages: unable to locate \"emcas\"\n"])
    assert.match((await run(["depsolve"])).err, /^Say which: a file, or --distribution$/m)
    assert.match((await run(["depsolve", file({ distribution: "debian-13" })])).err, /architecture/)
  })

  it("finds the Kiln of its home, and says when there is none", async () => {
    const home = join(folder, "home")
    mkdirSync(home)
    const none = await kilnProcess(["list"], { KILN_HOME: home })
    assert.deepStrictEqual([none.code, none.err], [6, "Kiln is not running here: run npm start, or give --url and --token\n"])
    writeFileSync(join(home, "endpoint.json"), JSON.stringify({ url: gateway.url, token: token, nats: "", postgres: "" }))
    assert.strictEqual((await kilnProcess(["list"], { KILN_HOME: home })).code, 0)
    // The token of this home is nobody else's business.
    assert.strictEqual((await kilnProcess(["list", "--url", "http://127.0.0.1:1"], { KILN_HOME: home })).code, 5)
  })

  it("signs tokens that the gateway takes", async () => {
    const { code, out } = await kilnProcess(["token", "--tenant", "acme", "--role", "requester", "--ttl", "1h"], { KILN_KEYS: gateway.folder })
    assert.strictEqual(code, 0)
    assert.strictEqual((await run(["list"], { token: out.trim() })).code, 0)
    assert.strictEqual((await kilnProcess(["token", "--ttl", "soon"], { KILN_KEYS: gateway.folder })).code, 2)
    assert.strictEqual((await kilnProcess(["token", "--tenant", "Not A Name"], { KILN_KEYS: gateway.folder })).code, 2)
    assert.strictEqual((await kilnProcess(["token", "--pool", "p"], { KILN_KEYS: gateway.folder })).code, 2)
  })

  it("documents its exit codes and completes for shells", async () => {
    const { code, out } = await kilnProcess(["--help"], {})
    assert.strictEqual(code, 0)
    for (const word of ["0    all well", "3    the compose was canceled", "6    the service cannot be reached"]) assert.include(out, word)
    for (const shell of ["bash", "zsh", "fish"]) assert.include((await kiln(["completions", shell])).out, "distributions")
  })
})
