import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect } from "effect"
import { buildersFromEnvironment, offersOf } from "../../../infra/builders/builders.ts"
import { readBuildersFile } from "../../../infra/builders/builders-file.ts"

const folder = mkdtempSync(join(tmpdir(), "kiln-test-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const example = join(import.meta.dirname, "../../../docs/examples/builders.yaml")

const file = (text: string) => {
  const path = join(folder, "builders.yaml")
  writeFileSync(path, text)
  return path
}
const refused = (text: string) => Effect.map(Effect.flip(readBuildersFile(file(text))), ({ message }) => message)
const built = (path: string) =>
  buildersFromEnvironment.pipe(Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env: { KILN_CACHE: folder, KILN_BUILDERS_FILE: path } })))
const command = (more: string) => `distributions: [{ distribution: a-1, builder: command, program: [make], ${more} }]`

describe("the builders file", () => {
  it.effect("given the example, then gateway and worker know its distributions beside Kiln's own", () =>
    Effect.gen(function*() {
      const builders = yield* built(example)
      assert.deepStrictEqual(builders.map(({ name }) => name), ["debian", "command", "diskimage-builder", "osbuild", "mkosi"])
      const offers = offersOf(builders)
      assert.includeMembers(offers.map(({ id }) => id), ["debian-13", "appliance-1", "debian-12-dib", "edge-9", "centos-9", "debian-13-mkosi"])
      assert.deepStrictEqual(offers.find(({ id }) => id === "appliance-1"), {
        id: "appliance-1", name: "Appliance 1", builder: "command", resolves: false, customizations: ["hostname", "users"],
        architectures: [{
          architecture: "x86_64",
          imageTypes: [{
            type: "disk", description: "The appliance as a disk", bootable: true, options: ["parameters"],
            parameters: {
              edition: { one_of: ["small", "large"], default: "small" }, data_gib: { description: "Size of the data partition", minimum: 1, maximum: 512 }
            }
          }]
        }]
      })
    }))

  it.effect("given no file, then there are Kiln's own", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual((yield* built("")).map(({ name }) => name), ["debian"])
      assert.deepStrictEqual((yield* readBuildersFile(file("# nothing yet\n"))).distributions, [])
    }))

  it.effect("given faults, then it is refused with the place of each", () =>
    Effect.gen(function*() {
      const message = yield* refused(command("architectures: { vax: {}, x86_64: { disk: { size: 3, parameters: { Big: { minimum: 1, maximum: 2 } } } } }, env: { \"A B\": x }"))
      assert.match(message, /^KILN_BUILDERS_FILE=.*builders\.yaml: /)
      for (const place of ["architectures.vax", "architectures.x86_64.disk.size", "architectures.x86_64.disk.parameters", "env.A B"]) {
        assert.include(message, `distributions.0.${place}`)
      }
    }))

  it.effect("given a parameter with no rule or two, or with a default that breaks its own, then it is refused", () =>
    Effect.gen(function*() {
      for (const rule of ["{}", "{ minimum: 1 }", "{ one_of: [a], pattern: b }", "{ pattern: \"(\" }", "{ one_of: [a], default: b }", "{ minimum: 1, maximum: 2, default: 3 }"]) {
        assert.include(yield* refused(command(`architectures: { x86_64: { disk: { parameters: { big: ${rule} } } } }`)), "disk.parameters.big", rule)
      }
    }))

  it.effect("given a distribution twice, or one of Kiln's own, then it is refused", () =>
    Effect.gen(function*() {
      const of = (...ids: ReadonlyArray<string>) => `distributions: [${ids.map((id) => `{ distribution: ${id}, builder: command, program: [make], architectures: {} }`).join(", ")}]`
      assert.match(yield* refused(of("a-1", "a-1")), /: distributions\.1\.distribution: a-1 is there twice$/)
      const failure = yield* Effect.flip(built(file(of("a-1", "debian-13"))))
      assert.match(failure.message, /: distributions\.1\.distribution: debian-13 is Kiln's own$/)
    }))

  it.effect("given no such file, a builder that nobody knows, or no YAML, then it is refused with its name", () =>
    Effect.gen(function*() {
      assert.match((yield* Effect.flip(readBuildersFile(join(folder, "none.yaml")))).message, /^KILN_BUILDERS_FILE=.*none\.yaml: there is no such file$/)
      assert.match(yield* refused("distributions: [{ distribution: a-1, builder: packer, architectures: {} }]"), /distributions\.0/)
      assert.match(yield* refused("distributions: ["), /^KILN_BUILDERS_FILE=.*builders\.yaml: /)
    }))
})
