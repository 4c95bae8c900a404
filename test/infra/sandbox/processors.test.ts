import { mkdtempSync, rmSync } from "node:fs"
import { availableParallelism, tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import { afterAll, describe, expect, it } from "vitest"
import { limited } from "../../../infra/sandbox/limited.ts"
import { limitsOf } from "../../../infra/sandbox/limits.ts"
import { lent, processorsIn } from "../../../infra/sandbox/processors.ts"
import { skipWhere } from "../../support/needs.ts"

const work = mkdtempSync(join(tmpdir(), "kiln-processors-"))
afterAll(() => rmSync(work, { recursive: true, force: true }))

describe("the processors that are lent to a build", () => {
  it("are read from the kernel's own list", () => {
    expect(processorsIn("0-3,8\n")).toEqual([0, 1, 2, 3, 8])
    expect(processorsIn("5")).toEqual([5])
    expect(processorsIn("")).toEqual([])
  })

  it("are others for the next build, parts count as whole ones, and all are no limit", () => {
    expect([0, 1, 2].map((turn) => lent([0, 1, 2, 3], 2, turn))).toEqual([[0, 1], [2, 3], [0, 1]])
    expect(lent([0, 1, 2, 3], 1.5, 1)).toEqual([2, 3])
    expect(lent([0, 1], 2, 0)).toBe(undefined)
    expect(lent([], 1, 0)).toBe(undefined)
  })
})

skipWhere(availableParallelism() < 2, "this machine has one processor, so there is nothing to hold back")

describe("a program that may use one processor", () => {
  it("finds one, and all of them where nothing is said", async () => {
    const found = async (env: Readonly<Record<string, string>>) =>
      Number((await Effect.runPromise(limited({ argv: ["nproc"], collect: true }, work, limitsOf(env)))).stdout)
    expect(await found({ KILN_BUILD_CPUS: "1" })).toBe(1)
    expect(await found({})).toBe(availableParallelism())
  })
})
