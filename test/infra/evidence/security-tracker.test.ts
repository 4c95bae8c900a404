import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import { afterEach, assert, beforeEach, describe, it } from "vitest"
import { compareVersions } from "../../../domain/evidence/debian-version.ts"
import { Advisories } from "../../../domain/ports/advisories.ts"
import { AdvisoriesDebian, AdvisoriesNone } from "../../../infra/evidence/security-tracker.ts"
import { membersOf } from "../../../infra/evidence/tracker-members.ts"
import { needs } from "../../support/needs.ts"

const data = {
  openssl: {
    "CVE-2023-0001": {
      description: "a \"quoted\" brace } and \\ backslash", scope: "remote",
      releases: { bookworm: { status: "resolved", fixed_version: "3.0.12-1", urgency: "high**" }, trixie: { status: "resolved", fixed_version: "0", urgency: "high" } }
    },
    "CVE-2023-0002": { releases: { bookworm: { status: "open", urgency: "not yet assigned" }, trixie: { status: "undetermined" } } }
  },
  "odd:{}\"name": { "CVE-1": { releases: { bookworm: { status: "open", urgency: "low" } } } },
  empty: {}
}

async function* inChunksOf(size: number, bytes: Buffer) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

const members = async (chunks: AsyncIterable<Buffer>) => {
  const found: Array<[string, unknown]> = []
  for await (const [name, value] of membersOf(chunks)) found.push([name, JSON.parse(value)])
  return found
}

describe("the members of a large object", () => {
  it("are the same however it is cut, and however it is written", async () => {
    for (const text of [JSON.stringify(data), JSON.stringify({ ...data, ä: ["ö", { n: 1 }] }, undefined, 2)]) {
      for (const size of [1, 2, 3, 7, 64, 10_000]) assert.deepStrictEqual(await members(inChunksOf(size, Buffer.from(text))), Object.entries(JSON.parse(text)))
    }
    assert.deepStrictEqual(await members(inChunksOf(1, Buffer.from(" { } "))), [])
  })

  it("are refused when the end is missing", async () => {
    for (const text of ["", "{\"a\": {", "[1", "12"]) {
      assert.isDefined(await members(inChunksOf(4, Buffer.from(text))).then(() => undefined, (error: unknown) => error), text)
    }
  })
})

describe("a copy of the Debian security tracker's data", () => {
  let folder = ""
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "kiln-tracker-"))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  const file = () => join(folder, "data.json")
  const using = <A, E>(use: (advisories: Advisories["Service"]) => Effect.Effect<A, E>) =>
    Effect.runPromise(Effect.scoped(Effect.provide(Effect.flatMap(Advisories, use), AdvisoriesDebian(file()))))

  it("tells what is known of sources in the release of a distribution", async () => {
    writeFileSync(file(), JSON.stringify(data))
    utimesSync(file(), 1_763_000_000, 1_763_000_000)
    const { asOf, bySource } = await using((advisories) => advisories.about("debian-12", ["openssl", "less", "openssl"]))
    assert.strictEqual(asOf, 1_763_000_000_000)
    assert.deepStrictEqual([...bySource], [["openssl", [
      { id: "CVE-2023-0001", status: "resolved", fixedVersion: "3.0.12-1", urgency: "high", description: "a \"quoted\" brace } and \\ backslash" },
      { id: "CVE-2023-0002", status: "open", urgency: "not yet assigned" }
    ]], ["less", []]])
    const trixie = await using((advisories) => advisories.about("debian-13-dib", ["openssl"]))
    assert.deepStrictEqual(trixie.bySource.get("openssl"), [{ id: "CVE-2023-0002", status: "undetermined", urgency: "not yet assigned" }])
  })

  it("is read again when it has changed, also after it could not be read", async () => {
    writeFileSync(file(), JSON.stringify(data))
    await using(Effect.fnUntraced(function*(advisories) {
      const known = Effect.map(advisories.about("debian-12", ["less", "openssl"]), ({ bySource }) => [...bySource].flatMap(([source, { length }]) => (length > 0 ? [source] : [])))
      assert.deepStrictEqual(yield* known, ["openssl"])
      writeFileSync(file(), JSON.stringify({ ...data, less: data.openssl }))
      assert.deepStrictEqual(yield* known, ["less", "openssl"])
      writeFileSync(file(), "{\"less\": {")
      assert.strictEqual((yield* Effect.flip(known)).reason, "Unreadable")
      writeFileSync(file(), JSON.stringify({ less: data.openssl }))
      assert.deepStrictEqual(yield* known, ["less"])
      rmSync(file())
      assert.match((yield* Effect.flip(known)).message, /cannot be read/)
    }))
  })

  it("says nothing of other distributions, and how to give it where it is not given", async () => {
    writeFileSync(file(), JSON.stringify(data))
    for (const other of ["ubuntu-24.04", "debian-11"]) {
      assert.strictEqual((await using((advisories) => Effect.flip(advisories.about(other, [])))).reason, "NotCovered")
    }
    const none = Effect.provide(Effect.flatMap(Advisories, (advisories) => Effect.flip(advisories.about("debian-13", []))), AdvisoriesNone)
    assert.match((await Effect.runPromise(none)).message, /KILN_SECURITY_TRACKER/)
  })
})

describe("versions", () => {
  needs("dpkg")

  it("are ordered as dpkg orders them", () => {
    const parts = ["0", "1", "10", "09", "1.0", "a", "1a", "1~", "1~rc1", "1+b1", "1.2~3", "2024", "1.0+dfsg"]
    const versions = parts.flatMap((upstream, at) => [upstream, `${upstream}-${parts[(at * 5 + 3) % parts.length]}`, `1:${upstream}`])
      .filter((version) => /^(?:\d+:)?\d[^:]*$/.test(version))
    let state = 7
    const next = () => versions[(state = (state * 1_103_515_245 + 12_345) % 2_147_483_648) % versions.length]!
    const pairs = Array.from({ length: 150 }, () => [next(), next()] as const)
    const script = pairs.map(([a, b]) => `dpkg --compare-versions '${a}' lt '${b}' && echo -1 || { dpkg --compare-versions '${a}' eq '${b}' && echo 0 || echo 1; }`).join("\n")
    const said = execFileSync("sh", [], { input: script, encoding: "utf8" }).trim().split("\n").map(Number)
    assert.deepStrictEqual(pairs.map(([a, b]) => [a, b, Math.sign(compareVersions(a, b))]), pairs.map(([a, b], at) => [a, b, said[at]]))
  })
})
