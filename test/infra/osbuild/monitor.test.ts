import { readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "vitest"
import { osbuildMonitor, type Said } from "../../../infra/osbuild/monitor.ts"

/** What osbuild 191 said of a small manifest, shortened. */
const recorded = readFileSync(join(import.meta.dirname, "recorded-monitor.json-seq"), "utf8")
const heard = (chunks: ReadonlyArray<string>): ReadonlyArray<Said> => {
  const monitor = osbuildMonitor()
  return chunks.flatMap((chunk) => monitor(chunk))
}
const record = (value: object) => `\u001e${JSON.stringify(value)}\n`

describe("osbuild's monitor", () => {
  it("given a build that was recorded, then it tells stages in their order, and percents up to the end", () => {
    const said = heard([recorded])
    assert.deepStrictEqual([...new Set(said.flatMap(({ stage }) => stage === undefined ? [] : [stage]))], ["sources", "tree", "archive"])
    const percents = said.map(({ percent }) => percent!)
    assert.deepStrictEqual(percents, [...percents].sort((a, b) => a - b))
    assert.deepStrictEqual([percents[0], percents.at(-1)], [0, 100])
    const lines = said.flatMap((each) => each.lines)
    assert.includeMembers([...lines], ["Starting module org.osbuild.copy", "Finished pipeline archive"])
    assert.isTrue(lines.every((line) => line !== "" && !line.includes("\n")))
  })

  it("given the same in pieces of any size, then it says the same", () => {
    for (const size of [1, 7, 1000]) {
      const pieces = Array.from({ length: Math.ceil(recorded.length / size) }, (_, at) => recorded.slice(at * size, (at + 1) * size))
      assert.deepStrictEqual(heard(pieces), heard([recorded]))
    }
  })

  it("given a context that was told before, then its id is enough", () => {
    const full = { id: "c1", origin: "osbuild.monitor", pipeline: { name: "tree", stage: {} } }
    assert.deepStrictEqual(heard([record({ message: "a", context: full }), record({ message: "b", context: { id: "c1" } }), record({ message: "c", context: { id: "c2" } })]), [
      { stage: "tree", lines: ["a"] }, { stage: "tree", lines: ["b"] }, { lines: ["c"] }
    ])
  })

  it("given what is no record, or a record of other shapes, then the rest is heard all the same", () => {
    assert.deepStrictEqual(heard(["noise\n", "\u001e{\"message\": \n", "\u001e[1]\n", record({ message: 7, progress: { total: 0, done: "x" }, context: "c" }), record({ message: "here" })]), [
      { percent: 0, lines: [] }, { lines: ["here"] }
    ])
  })
})
