import { assert, describe, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"
import { dirname, join, normalize, relative } from "node:path"

const root = join(import.meta.dirname, "..")
const rooms = ["domain", "projections", "infra", "apps", "test"]

/** Which rooms, `effect` and other packages the files of a room may import. */
const table: Record<string, (target: string, file: string) => boolean> = {
  domain: (target) => ["domain", "effect"].includes(target),
  projections: (target) => ["projections", "domain", "effect"].includes(target),
  infra: (target) => target !== "apps" && target !== "test",
  // A technology is named where a process is wired together, nowhere else; running the technologies themselves is
  // what standalone is for.
  apps: (target, file) => target !== "test" && (target !== "infra" || /\/main\.ts$|^apps\/standalone\//.test(file))
}

const imports = (file: string) =>
  [...readFileSync(join(root, file), "utf8").matchAll(/^(?:import|export)[^"]*? from "([^"]+)"|^import "([^"]+)"|\bimport\("([^"]+)"\)/gm)]
    .map(([, from, bare, lazy]) => (from ?? bare ?? lazy)!)

const roomOf = (file: string, specifier: string) => {
  if (!specifier.startsWith(".")) return specifier.split("/")[0]!
  return relative(".", normalize(join(dirname(file), specifier))).split("/")[0]!
}

/**
 * What a process's folder may import of another's: the contract of the API, and what the operator's commands do in a
 * process's stead. Whatever else two processes share lies beside their folders.
 */
const ofOthers: Record<string, RegExp> = {
  operator: /^apps\/(gateway\/api|projector)\/|^apps\/scheduler\/keep-periods\.ts$/,
  standalone: /^apps\/(gateway\/api|operator)\//
}
const processOf = (file: string) => /^apps\/([^/]+)\//.exec(file)?.[1]

describe("imports point one way", () => {
  for (const [room, allows] of Object.entries(table)) {
    it(`in ${room}`, () => {
      const files = globSync(`${room}/**/*.ts`, { cwd: root })
      const wrong = files.flatMap((file) =>
        imports(file).filter((specifier) => !allows(roomOf(file, specifier), file)).map((specifier) => `${file}: ${specifier}`))
      assert.deepStrictEqual(wrong, [])
    })
  }

  it("no process imports another's", () => {
    const files = globSync("apps/*/**/*.ts", { cwd: root })
    const wrong = files.flatMap((file) => imports(file).filter((specifier) => {
      const imported = specifier.startsWith(".") ? normalize(join(dirname(file), specifier)) : undefined
      if (imported === undefined || [undefined, processOf(file)].includes(processOf(imported))) return false
      return ofOthers[processOf(file)!]?.test(imported) !== true
    }).map((specifier) => `${file}: ${specifier}`))
    assert.deepStrictEqual(wrong, [])
  })

  it("and every file lives in a room", () => {
    const all = globSync("*/**/*.ts", { cwd: root, exclude: (path) => ["node_modules", ".tools", ".kiln"].includes(path) })
    assert.deepStrictEqual(all.filter((file) => !rooms.includes(file.split("/")[0]!)), [])
  })
})
