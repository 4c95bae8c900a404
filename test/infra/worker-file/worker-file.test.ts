import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readWorkerFile } from "../../../infra/worker-file/worker-file.ts"

const folder = mkdtempSync(join(tmpdir(), "kiln-test-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const file = (text: string) => {
  const path = join(folder, "worker.yaml")
  writeFileSync(path, text)
  return path
}
const refused = (text: string) => Effect.map(Effect.flip(readWorkerFile(file(text))), ({ message }) => message)

describe("a worker's file", () => {
  it.effect("given the example, then all of it counts", () =>
    Effect.gen(function*() {
      const example = join(import.meta.dirname, "../../../docs/examples/worker.yaml")
      assert.deepStrictEqual(JSON.parse(JSON.stringify(yield* readWorkerFile(example))), {
        pools: ["default", "acme"], architectures: ["x86_64"], slots: { build: 2, upload: 4 }, distributions: ["debian-12", "debian-13"],
        image_types: ["guest-image"], labels: { rack: "b-7", disk: "nvme" }
      })
    }))

  it.effect("given nothing but comments, or JSON, then it is read as well", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* readWorkerFile(file("# all as usual\n")), {})
      assert.deepStrictEqual(yield* readWorkerFile(file("{\"slots\": {\"build\": 1}}")), { slots: { build: 1 } })
    }))

  it.effect("given keys that are not known, then it is refused with each of them and its place", () =>
    Effect.gen(function*() {
      const message = yield* refused("colour: red\nslots: { bulid: 1 }\n")
      assert.match(message, /^KILN_WORKER_FILE names .*worker\.yaml: /)
      assert.include(message, `["colour"]`)
      assert.include(message, `["slots"]["bulid"]`)
    }))

  it.effect("given wrong values, then it is refused with the place of each", () =>
    Effect.gen(function*() {
      const message = yield* refused([
        "pools: [default, Not A Pool]", "architectures: [vax]", "slots: { build: many, upload: -1 }", "distributions: []", "labels: { rack: 7 }"
      ].join("\n"))
      for (const place of [`["pools"][1]`, `["architectures"][0]`, `["slots"]["build"]`, `["slots"]["upload"]`, `["distributions"]`, `["labels"]["rack"]`]) {
        assert.include(message, place)
      }
    }))

  it.effect("given nine pools, then it is refused: a worker serves eight at most", () =>
    Effect.gen(function*() {
      assert.include(yield* refused(`pools: [${Array.from({ length: 9 }, (_, at) => `p${at}`).join(", ")}]`), `["pools"]`)
      assert.lengthOf((yield* readWorkerFile(file(`pools: [${Array.from({ length: 8 }, (_, at) => `p${at}`).join(", ")}]`))).pools!, 8)
    }))

  it.effect("given no file, or one that is no YAML, then it is refused with its name", () =>
    Effect.gen(function*() {
      assert.match((yield* Effect.flip(readWorkerFile(join(folder, "none.yaml")))).message, /^KILN_WORKER_FILE names .*none\.yaml: .*no such file/)
      assert.match(yield* refused("slots: {build: 1"), /^KILN_WORKER_FILE names .*worker\.yaml: /)
      assert.match(yield* refused("- a\n- b\n"), /^KILN_WORKER_FILE names .*worker\.yaml: /)
    }))
})
