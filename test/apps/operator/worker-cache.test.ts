import { linkSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { kilnProcess } from "./kiln-command.ts"

let cache = ""
/** Two packages and a base tree that a build has in its hands. */
beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), "kiln-worker-cache-"))
  for (const [name, size, hour] of [["packages/aa", 1000, 1], ["packages/bb", 500, 2], ["base/cc.tar.zst", 4000, 3]] as const) {
    mkdirSync(join(cache, name, ".."), { recursive: true })
    writeFileSync(join(cache, name), "x".repeat(size))
    const at = new Date(`2026-01-01T0${hour}:00:00Z`)
    utimesSync(join(cache, name), at, at)
  }
  linkSync(join(cache, "base/cc.tar.zst"), join(cache, "held-by-a-build"))
  writeFileSync(join(cache, "base/cc.lock"), "")
})
afterEach(() => rmSync(cache, { recursive: true }))

const kiln = (...args: ReadonlyArray<string>) => kilnProcess(["worker", "cache", ...args], { KILN_CACHE: cache })

describe("kiln worker cache", () => {
  it("shows what is there by kind, and when it was used", async () => {
    const { code, out } = await kiln("--json")
    expect([code, JSON.parse(out)]).toEqual([0, { cache, kinds: [
      { kind: "packages", entries: 2, bytes: 1500, in_use_bytes: 0, oldest_use: "2026-01-01T01:00:00.000Z", last_use: "2026-01-01T02:00:00.000Z" },
      { kind: "base", entries: 1, bytes: 4000, in_use_bytes: 4000, oldest_use: "2026-01-01T03:00:00.000Z", last_use: "2026-01-01T03:00:00.000Z" }
    ] }])
    expect((await kiln("--utc")).out).toMatch(/^KIND +ENTRIES +SIZE +IN USE +OLDEST USE +LAST USE\npackages +2 +1\.5 KiB +0 B +/)
  })

  it("removes nothing until it is told to, then the oldest first and nothing in use", async () => {
    expect(await kiln("prune", "--keep", "4500")).toMatchObject({ code: 2, out: "", err: `This removes 1000 B (packages: 1) from ${cache}: say --yes if that is meant\n` })
    expect(readdirSync(join(cache, "packages"))).toEqual(["aa", "bb"])
    expect((await kiln("prune", "--keep", "4500", "--yes")).out).toMatch(/1000 B removed\n$/)
    expect(readdirSync(join(cache, "packages"))).toEqual(["bb"])
    expect(JSON.parse((await kiln("prune", "--yes", "--json")).out)).toMatchObject({ pruned: true, bytes: 500 })
    expect(readdirSync(join(cache, "base")).toSorted()).toEqual(["cc.lock", "cc.tar.zst"])
    expect((await kiln("prune", "--kind", "packages", "--yes")).out).toBe("There is nothing to remove\n")
    expect(await kiln("prune", "--kind", "packages")).toMatchObject({ code: 0, out: "There is nothing to remove\n" })
  })

  it("says what is wrong with what it was told", async () => {
    expect(await kiln("prune", "--keep", "much")).toMatchObject({ code: 2, err: expect.stringContaining("--keep much is no size") })
    expect(await kiln("prune", "--kind", "cakes")).toMatchObject({ code: 2, err: expect.stringContaining("none of packages, repositories, base") })
    expect(await kiln("--cache", join(cache, "none"))).toMatchObject({ code: 4, err: expect.stringContaining("there is no such folder") })
  })
})
