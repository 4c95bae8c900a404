/** Blueprints over HTTP and by command. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Result, Stream } from "effect"
import { v7 } from "uuid"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { blueprintNamed, changeBlueprint, createBlueprint, deleteBlueprint } from "../../../apps/blueprints.ts"
import { executeOn } from "../../../apps/execute-on.ts"
import type { Intent } from "../../../apps/execute.ts"
import { BlueprintDecider, ChangeBlueprint, CreateBlueprint, DeleteBlueprint } from "../../../domain/blueprint.ts"
import type { SealedComposeRequest } from "../../../domain/compose-request.ts"
import { BlueprintId, ComposeId, Millis, TenantId } from "../../../domain/ids.ts"
import { EventLog } from "../../../domain/ports/event-log.ts"
import { blueprintRef, composeRef } from "../../../domain/recorded.ts"
import { parse } from "yaml"
import { kiln } from "../operator/kiln-command.ts"
import { api, aRequest, type Gateway, openGateway } from "./harness.ts"

const password = "correct horse battery"
const request = { distribution: "debian-13", images: [aRequest.images[0]], customizations: { hostname: "web", users: [{ name: "ann", password }] } }
const document = (name: string, others: object = {}) => ({ name, request: { ...request, ...others } })

let gateway: Gateway
let folder: string
beforeAll(async () => {
  gateway = await openGateway()
  folder = mkdtempSync(join(tmpdir(), "kiln-blueprints-"))
})
afterAll(async () => {
  await gateway.close()
  rmSync(folder, { recursive: true, force: true })
})

const send = (method: string, path: string, body?: unknown, headers: Record<string, string> = {}, token?: string) =>
  gateway.call(`${api}${path}`, {
    method, headers: { ...(body !== undefined && { "content-type": "application/json" }), ...headers },
    ...(body !== undefined && { body: JSON.stringify(body) }), ...(token !== undefined && { token })
  })
const json = async <A = any>(response: Response | Promise<Response>) => await (await response).json() as A
const create = (name: string, others: object = {}) => json<{ id: string; version: number }>(send("POST", "/blueprints", document(name, others)))
const eventsOf = (id: string) => gateway.run(Effect.map(Effect.flatMap(EventLog, (log) => log.read(composeRef(TenantId.make("acme"), ComposeId.make(id)))),
  ({ recorded }) => recorded.flatMap(({ events }) => events)))

describe("a blueprint", () => {
  it("given a request, when it is kept, then it is shown with its secrets masked, and nothing of them is in the log", async () => {
    const made = await send("POST", "/blueprints", { ...document("kept"), description: "For the front" })
    expect(made.status).toBe(201)
    const view = await json(made)
    expect(made.headers.get("location")).toBe(`${api}/blueprints/${view.id}`)
    expect(view).toMatchObject({ name: "kept", description: "For the front", version: 1, latest: 1, distribution: "debian-13", images: 1, created_by: "anna", changed_by: "anna" })
    expect(view.request.customizations.users).toEqual([{ name: "ann", password: "***" }])
    const { differences: _, ...shown } = view
    expect(await json(send("GET", `/blueprints/${view.id}`))).toEqual(shown)
    const log = await gateway.run(Effect.flatMap(EventLog, (log) => Effect.flatMap(log.head("EVENTS"), (upTo) => Stream.runCollect(log.scan("EVENTS", { after: 0, upTo })))))
    expect(JSON.stringify(log)).not.toContain(password)
  })

  it("given what cannot be built, then nothing is kept, and every fault is told with its place", async () => {
    const wrong = { name: " ", request: { ...request, images: [{ architecture: "x86_64", type: "ami", size: 1 }] } }
    const refused = await json(send("POST", "/blueprints", wrong))
    expect(refused.errors.map(({ path }: { path: string }) => path).toSorted()).toEqual(["name", "request.images[0].size"])
    const unknown = await json(send("POST", "/blueprints", document("wrong", { images: [{ architecture: "x86_64", type: "ami" }] })))
    expect(unknown).toMatchObject({ status: 400, errors: [{ in: "body", path: "request.images[0].type" }] })
    const sets = [{ ...aRequest.images[0], targets: [{ type: "s3", bucket: "images", region: "eu-central-1" }] }]
    expect(await json(send("POST", "/blueprints", document("wrong", { images: sets })))).toMatchObject({ errors: [{ path: "request.images[0].targets[0].credentials" }] })
    const masked = { ...request, customizations: { users: [{ name: "bob", password: "***" }] } }
    expect(await json(send("POST", "/blueprints", { name: "wrong", request: masked }))).toMatchObject({ errors: [{ path: "request.customizations.users[0].password" }] })
    expect((await json(send("GET", "/blueprints?name=wrong"))).items).toEqual([])
  })

  it("given a change, then there is a version more, the same again adds none, and a masked password stays what it was", async () => {
    const { id } = await create("changing")
    const masked = { ...request, customizations: { hostname: "web-2", users: [{ name: "ann", password: "***" }] } }
    const changed = await json(send("PUT", `/blueprints/${id}`, { name: "changing", request: masked }))
    expect(changed).toMatchObject({ version: 2, latest: 2, differences: [{ path: "request.customizations.hostname", from: "\"web\"", to: "\"web-2\"" }] })
    expect(await json(send("PUT", `/blueprints/${id}`, { name: "changing", request: masked }))).toMatchObject({ version: 2, differences: [] })
    expect(await json(send("PUT", `/blueprints/${id}`, document("changing", { customizations: { ...masked.customizations, users: request.customizations.users } }))))
      .toMatchObject({ version: 2, differences: [] })
    const other = { ...request, customizations: { hostname: "web-2", users: [{ name: "ann", password: "another one" }] } }
    const secret = await json(send("PUT", `/blueprints/${id}`, { name: "changing", request: other }))
    expect(secret.version).toBe(3)
    expect(secret.differences).toEqual([{ path: "request.customizations.users[0].password", from: expect.stringMatching(/^\(secret /), to: expect.stringMatching(/^\(secret /) }])
    expect((await json(send("GET", `/blueprints/${id}?version=1`))).request.customizations.hostname).toBe("web")
    expect((await send("GET", `/blueprints/${id}?version=9`)).status).toBe(404)
    expect(await json(send("GET", `/blueprints/${id}/differences?from=1&to=3`))).toMatchObject({ from: 1, to: 3, differences: [{ path: "customizations.users[0].password" }, { path: "customizations.hostname" }] })
    expect(await json(send("GET", `/blueprints/${id}/differences`))).toMatchObject({ from: 2, to: 3, differences: [{}] })
  })

  it("given a version that somebody has not seen, when they change it, then they are told", async () => {
    const { id } = await create("raced")
    await send("PUT", `/blueprints/${id}`, document("raced", { customizations: { hostname: "b" } }))
    const late = await send("PUT", `/blueprints/${id}`, document("raced", { customizations: { hostname: "c" } }), { "if-match": "\"1\"" })
    expect([late.status, await json(late)]).toMatchObject([412, { type: "urn:kiln:problem:blueprint-changed", version: 2 }])
    expect((await send("PUT", `/blueprints/${id}`, document("raced", { customizations: { hostname: "c" } }), { "if-match": "2" })).status).toBe(200)
    expect((await send("PUT", `/blueprints/${id}`, document("raced"), { "if-match": "two" })).status).toBe(400)
  })

  it("given a dry run, then it is judged and compared, and stays as it was", async () => {
    const { id } = await create("dry")
    const dry = await json(send("PUT", `/blueprints/${id}?dry_run=true`, { ...document("drier"), description: "New" }))
    expect(dry).toMatchObject({ name: "drier", description: "New", version: 1, differences: [{ path: "name" }, { path: "description", to: "\"New\"" }] })
    expect(await json(send("GET", `/blueprints/${id}`))).toMatchObject({ name: "dry" })
    expect((await send("PUT", `/blueprints/${id}?dry_run=true`, document("dry", { distribution: "none" }))).status).toBe(400)
    expect((await send("POST", "/blueprints?dry_run=true", document("never made"))).status).toBe(200)
    expect((await send("POST", "/blueprints?dry_run=true", document("dry"))).status).toBe(409)
    expect((await json(send("GET", "/blueprints?name=never%20made"))).items).toEqual([])
  })

  it("given one that is deleted, then it is gone with its versions, its composes stay, and its name is free", async () => {
    const { id } = await create("leaving")
    const compose = await json(send("POST", `/blueprints/${id}/composes`, {}))
    expect((await send("DELETE", `/blueprints/${id}`)).status).toBe(204)
    for (const path of [`/blueprints/${id}`, `/blueprints/${id}/versions`, `/blueprints/${id}/differences`]) expect((await send("GET", path)).status).toBe(404)
    expect((await send("DELETE", `/blueprints/${id}`)).status).toBe(404)
    expect((await send("PUT", `/blueprints/${id}`, document("leaving"))).status).toBe(404)
    expect((await send("POST", `/blueprints/${id}/composes`, {})).status).toBe(404)
    expect(await json(send("GET", `/composes/${compose.id}`))).toMatchObject({ blueprint: { id, version: 1 } })
    expect((await json(send("GET", `/composes?blueprint=${id}`))).items).toMatchObject([{ id: compose.id }])
    expect((await send("POST", "/blueprints", document("leaving"))).status).toBe(201)
  })

  it("given another tenant's, then it is as if it were not there", async () => {
    const { id } = await create("private")
    const other = await gateway.token({ tenant: "birch" })
    for (const [method, path, body] of [
      ["GET", `/blueprints/${id}`], ["PUT", `/blueprints/${id}`, document("private")], ["DELETE", `/blueprints/${id}`], ["GET", `/blueprints/${id}/versions`], ["POST", `/blueprints/${id}/composes`, {}]
    ] as const) expect([method, path, (await send(method, path, body, {}, other)).status]).toEqual([method, path, 404])
    expect((await json(send("GET", "/blueprints", undefined, {}, other))).items).toEqual([])
    expect((await send("POST", "/blueprints", document("private"), {}, other)).status).toBe(201)
  })
})

describe("names", () => {
  const acme = TenantId.make("acme")
  const stored: SealedComposeRequest = { distribution: "debian-13", images: [{ architecture: "x86_64", type: "guest-image" }] }
  const intent = (at = Date.now()): Intent => ({ tenantId: acme, messageId: v7(), at: Millis.make(at), actor: { kind: "requester", id: "anna" } })
  const newId = () => BlueprintId.make(v7())
  const made = (name: string, at?: number) => gateway.run(Effect.result(createBlueprint(intent(at), CreateBlueprint.make({ blueprintId: newId(), name, request: stored }))))
  const changed = (blueprintId: BlueprintId, name: string) => gateway.run(Effect.result(changeBlueprint(intent(), ChangeBlueprint.make({ blueprintId, name, request: stored }))))
  const holder = (name: string) => gateway.run(blueprintNamed(acme, name))

  it("given many who come with one name at the same time, then one of them gets it, and the others hear who", async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => send("POST", "/blueprints", document("wanted"))))
    const [won, ...more] = answers.filter(({ status }) => status === 201)
    expect(more).toEqual([])
    const { id } = await json(won!)
    for (const lost of answers.filter((each) => each !== won)) expect([lost.status, await json(lost)]).toMatchObject([409, { type: "urn:kiln:problem:blueprint-name-taken", blueprint: id }])
  })

  it("given one that is renamed, then its new name is taken and its old one is free", async () => {
    const { id } = await create("first name")
    expect((await send("PUT", `/blueprints/${id}`, document("second name"))).status).toBe(200)
    expect((await json(send("GET", "/blueprints?name=second%20name"))).items).toMatchObject([{ id, version: 1 }])
    expect((await send("POST", "/blueprints", document("second name"))).status).toBe(409)
    const other = await create("first name")
    expect((await send("PUT", `/blueprints/${other.id}`, document("second name"))).status).toBe(409)
    expect((await json(send("GET", `/blueprints/${other.id}`))).name).toBe("first name")
  })

  it("given a claim that a crash left behind, then the name is free after a minute, and not before", async () => {
    const gone = newId()
    // As a gateway leaves it that dies between claim and blueprint.
    await gateway.run(Effect.exit(createBlueprint(intent(), CreateBlueprint.make({ blueprintId: gone, name: "claimed", request: stored })).pipe(
      Effect.provideServiceEffect(EventLog, Effect.map(EventLog, (log) => EventLog.of({
        ...log, append: (ref, after, decision) => ref.aggregate === "blueprint" ? Effect.die("killed") : log.append(ref, after, decision)
      }))))))
    expect(await holder("claimed")).toBeUndefined()
    expect(Result.isFailure(await made("claimed"))).toBe(true)
    expect(Result.isSuccess(await made("claimed", Date.now() + 61_000))).toBe(true)
  })

  it("given a deletion or a new name whose end a crash has cut off, then the old name is free all the same", async () => {
    const cut = newId()
    await gateway.run(createBlueprint(intent(), CreateBlueprint.make({ blueprintId: cut, name: "cut off", request: stored })))
    await gateway.run(executeOn(BlueprintDecider, blueprintRef(acme, cut), intent(), DeleteBlueprint.make({ blueprintId: cut })))
    expect(Result.isSuccess(await made("cut off"))).toBe(true)
    const kept = newId()
    await gateway.run(createBlueprint(intent(Date.now() - 70_000), CreateBlueprint.make({ blueprintId: kept, name: "before", request: stored })))
    await gateway.run(executeOn(BlueprintDecider, blueprintRef(acme, kept), intent(), ChangeBlueprint.make({ blueprintId: kept, name: "after", request: stored })))
    expect(Result.isSuccess(await made("before"))).toBe(true)
  })

  it("given one that changes its name and back, then it has it again", async () => {
    const id = newId()
    await gateway.run(createBlueprint(intent(), CreateBlueprint.make({ blueprintId: id, name: "here", request: stored })))
    expect(Result.isSuccess(await changed(id, "there"))).toBe(true)
    expect(Result.isSuccess(await changed(id, "here"))).toBe(true)
    expect([await holder("here"), await holder("there")]).toEqual([id, undefined])
    await gateway.run(deleteBlueprint(intent(), id))
    expect(await holder("here")).toBeUndefined()
  })
})

describe("lists", () => {
  it("given many, then those changed last come first, page by page, and are found by word, name and distribution", async () => {
    const token = await gateway.token({ tenant: "lists" })
    const ids: Array<string> = []
    for (const n of [1, 2, 3]) ids.push((await json(send("POST", "/blueprints", { ...document(`Server ${n}`), description: n === 2 ? "The mail one" : "Another" }, {}, token))).id)
    await send("PUT", `/blueprints/${ids[0]}`, { ...document("Server 1", { customizations: { hostname: "new" } }), description: "Another" }, {}, token)
    const found = async (query: string) => (await json(send("GET", `/blueprints${query}`, undefined, {}, token))).items.map(({ name }: { name: string }) => name)
    expect(await found("")).toEqual(["Server 1", "Server 3", "Server 2"])
    expect(await found("?search=mai")).toEqual(["Server 2"])
    expect(await found("?search=server%20ano")).toEqual(["Server 1", "Server 3"])
    expect(await found("?distribution=debian-12")).toEqual([])
    expect(await found("?name=Server%203")).toEqual(["Server 3"])
    const first = await send("GET", "/blueprints?limit=2", undefined, {}, token)
    expect(first.headers.get("link")).toContain("rel=\"next\"")
    expect(await found(`?limit=2&cursor=${(await json(first)).next}`)).toEqual(["Server 2"])
    const versions = await json(send("GET", `/blueprints/${ids[0]}/versions?limit=1`, undefined, {}, token))
    expect(versions.items).toMatchObject([{ version: 2, by: "anna", distribution: "debian-13", images: 1 }])
    expect((await json(send("GET", `/blueprints/${ids[0]}/versions?cursor=${versions.next}`, undefined, {}, token))).items).toMatchObject([{ version: 1 }])
    await send("DELETE", `/blueprints/${ids[1]}`, undefined, {}, token)
    expect(await found("")).toEqual(["Server 1", "Server 3"])
  })
})

describe("composes of a blueprint", () => {
  const both = { images: [aRequest.images[0], { ...aRequest.images[0], options: { size_bytes: 2 ** 30 } }] }

  it("given a version, when it is built, then the compose is made from that, remembers it, and is found by it", async () => {
    const { id } = await create("built")
    await send("PUT", `/blueprints/${id}`, document("built", { customizations: { hostname: "second", users: [{ name: "ann", password: "***" }] } }))
    const accepted = await send("POST", `/blueprints/${id}/composes`, {})
    expect(accepted.status).toBe(202)
    const latest = await json(accepted)
    const first = await json(send("POST", `/blueprints/${id}/composes`, { version: 1 }))
    const shown = await json(send("GET", `/composes/${latest.id}`))
    expect(shown).toMatchObject({ name: "built", blueprint: { id, version: 2 }, request: { customizations: { hostname: "second", users: [{ name: "ann", password: "***" }] } } })
    const [requested] = await eventsOf(latest.id)
    expect(requested).toMatchObject({ _tag: "ComposeRequested", blueprint: { id, version: 2 }, resolves: true, request: { customizations: { users: [{ password: { fingerprint: expect.any(String) } }] } } })
    const found = async (query: string) => (await json(send("GET", `/composes?${query}`))).items.map((item: { id: string }) => item.id)
    expect(await found(`blueprint=${id}`)).toEqual([first.id, latest.id])
    expect(await found(`blueprint=${id}&blueprint_version=1`)).toEqual([first.id])
    expect(await found(`blueprint=${id}&blueprint_version=3`)).toEqual([])
    expect((await send("POST", `/blueprints/${id}/composes`, { version: 9 })).status).toBe(404)
  })

  it("given image types or a key, then only those are built, and only once", async () => {
    const { id } = await create("narrow", both)
    expect(await json(send("POST", `/blueprints/${id}/composes`, { image_types: ["ami"] }))).toMatchObject({ status: 400, errors: [{ path: "image_types" }] })
    const twice = await Promise.all([1, 2].map(() => json(send("POST", `/blueprints/${id}/composes`, { image_types: ["guest-image"] }, { "idempotency-key": "one" }))))
    expect(twice[0].id).toBe(twice[1].id)
    expect((await send("POST", `/blueprints/${id}/composes`, { version: 1, surprise: 1 }, {})).status).toBe(400)
  })

  it("given a version that cannot be built any more, then the answer says what is wrong with it", async () => {
    const id = BlueprintId.make(v7())
    const stale: SealedComposeRequest = { distribution: "debian-11", images: [{ architecture: "x86_64", type: "guest-image" }] }
    await gateway.run(createBlueprint({ tenantId: TenantId.make("acme"), messageId: v7(), at: Millis.make(Date.now()), actor: { kind: "requester", id: "anna" } },
      CreateBlueprint.make({ blueprintId: id, name: "stale", request: stale })))
    const refused = await json(send("POST", `/blueprints/${id}/composes`, {}))
    expect(refused).toMatchObject({ status: 400, errors: [{ in: "path", path: "id", message: expect.stringMatching(/^version 1 cannot be built now: distribution: no such distribution/) }] })
  })
})

describe("the command", () => {
  const run = async (...args: ReadonlyArray<string>) => kiln(["blueprints", ...args, "--url", gateway.url, "--token", await gateway.token({ tenant: "cli" })], { columns: 200 })
  const file = (name: string, content: object) => {
    const path = join(folder, name)
    writeFileSync(path, JSON.stringify(content))
    return path
  }

  it("applies a file after showing what it would change, and only with a yes", async () => {
    const path = file("web.json", { ...document("web"), description: "Front" })
    expect((await run("apply", path, "--dry-run")).out).toMatch(/^web: to be created, with version 1\n {2}\+ name: "web"$/m)
    expect(await run("apply", path)).toMatchObject({ code: 2, err: "This creates the blueprint web: say --yes if that is meant\n" })
    expect((await run("list")).out).toBe("There are none\n")
    expect((await run("apply", path, "--yes")).out).toMatch(/web has version 1 now\n$/)
    expect(await run("apply", path, "--yes")).toMatchObject({ code: 0, out: "web: no difference to version 1\n" })
    const { out } = await run("show", "web", "--utc")
    expect(out).toMatch(/^# version 1 of 1, changed .+ Z by anna; [0-9a-f-]{36}\nname: web\ndescription: Front\nrequest:\n/)
    const shown = parse(out) as { request: { customizations: { hostname: string } } }
    shown.request.customizations.hostname = "other"
    const changed = await run("apply", file("shown.json", shown), "--yes")
    expect(changed.out).toBe("web: to be changed, with version 2\n  ~ request.customizations.hostname: \"web\" → \"other\"\nweb has version 2 now\n")
    expect(JSON.parse((await run("apply", path, "--yes", "--json")).out)).toMatchObject({ result: "changed", dry_run: false, version: 3 })
    expect((await run("apply", file("bad.json", { name: "web", request: { ...request, distribution: "none" } }), "--yes")).err).toMatch(/^ {2}request\.distribution: no such distribution/m)
    expect((await run("apply", file("nameless.json", request), "--yes")).code).toBe(2)
  })

  it("lists, shows versions and how they differ", async () => {
    expect((await run("list", "--utc")).out).toMatch(/^web +3 +debian-13 +1 +\S+ \S+ Z +anna +Front$/m)
    expect((await run("versions", "web")).out.split("\n").map((line) => line.trim().split(/ +/)[0])).toEqual(["VERSION", "3", "2", "1", ""])
    expect((await run("diff", "web", "--from", "1", "--to", "2")).out).toBe("From version 1 to 2:\n  ~ customizations.hostname: \"web\" → \"other\"\n")
    expect((await run("diff", "web", "--from", "1", "--to", "3")).out).toBe("Versions 1 and 3 are the same\n")
    expect((await run("show", "nothing")).code).toBe(4)
  })

  it("builds a version, lists what was built from it, and deletes it only with a yes", async () => {
    const { out } = await run("build", "web", "--version", "2", "--detach")
    const token = await gateway.token({ tenant: "cli" })
    const listed = await kiln(["list", "--blueprint", "web", "--json", "--url", gateway.url, "--token", token])
    expect(JSON.parse(listed.out)).toMatchObject({ items: [{ id: out.trim(), blueprint: { version: 2 } }] })
    expect((await run("delete", "web")).code).toBe(2)
    expect(await run("delete", "web", "--yes")).toMatchObject({ code: 0, out: "web is deleted; what was built from it stays\n" })
    expect((await run("delete", "web", "--yes")).code).toBe(4)
  })
})
