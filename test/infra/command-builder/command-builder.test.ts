import { execFileSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { type ImageSpec, manifestOf } from "../../../domain/manifest.ts"
import { commandBuilder } from "../../../infra/command-builder/builder.ts"
import { CommandDistribution } from "../../../infra/command-builder/settings.ts"
import { evidenceOf } from "../../support/evidence-of.ts"
import { imageBuilderContract } from "../image-builder.contract.ts"

const example = join(import.meta.dirname, "../../../infra/command-builder/example/make-tree.mjs")
const folder = mkdtempSync(join(tmpdir(), "kiln-test-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const outside = join(folder, "outside")
writeFileSync(outside, "nobody's")
const given = join(folder, "given")
writeFileSync(given, "what was given\n")

const entry = Schema.decodeUnknownSync(CommandDistribution)
const parameters = { greeting: { pattern: "[a-z \"\\\\]+", default: "hello" }, megabytes: { minimum: 0, maximum: 16 } }
const made = (name: string, program: ReadonlyArray<string>, more = {}) =>
  entry({ distribution: name, builder: "command", program, customizations: ["hostname", "users"], architectures: { x86_64: { tree: { parameters } } }, ...more })
/** A program of a few words of shell, which has the job on its standard input. */
const shell = (name: string, script: string, more = {}) => made(name, ["bash", "-c", script], more)
const artifact = (path: string, inventory?: string) => `echo '${JSON.stringify({ artifact: { path, format: "tar", filename: "a.tar", media_type: "application/x-tar", inventory } })}'`
const less = { name: "less", version: "668-1" }
/** A program that lists packages like this, and an image that is none the worse. */
const listing = (name: string, inventory: unknown, before = "true") =>
  shell(name, `cat >/dev/null; printf %s '${JSON.stringify(inventory)}' >inventory.json; ${before}; echo x > output/a.tar; ${artifact("output/a.tar", "inventory.json")}`)
const deb = { type: "deb", vendor: "debian", distribution: "debian-13" }
const faulty = [
  ["no-list", { ...deb, packages: [] }, /^the program's list of packages is not as agreed: packages/],
  ["no-type", { packages: [less] }, /not as agreed: type/],
  ["no-license", { ...deb, packages: [less, { ...less, license: "GPL 2 or so" }] }, /not as agreed: packages\.1\.license: must be an SPDX license expression/],
  ["no-text", { ...deb, packages: [{ ...less, license: "(MIT OR LicenseRef-x) AND GPL-2.0-or-later" }] }, /packages\.0\.license: names a LicenseRef- that is not among licenses/],
  ["misspelt", { ...deb, packages: [{ ...less, licence: "MIT" }] }, /packages\.0\.licence/],
  ["gone-list", {}, /^the inventory "inventory.json" is not there$/, "rm inventory.json"],
  ["linked-list", {}, /^the inventory "inventory.json" is reached through a symbolic link$/, `ln -sf ${outside} inventory.json`]
] as const

const hostile = [
  shell("hostile-parent", `cd ..; echo x > stray; ${artifact("../stray")}`),
  shell("hostile-absolute", artifact(outside)),
  shell("hostile-link", `ln -s ${outside} output/a.tar; ${artifact("output/a.tar")}`),
  shell("hostile-folder-link", `ln -s ${folder} output/there; ${artifact("output/there/outside")}`),
  shell("hostile-hard-link", `ln ${outside} output/a.tar; ${artifact("output/a.tar")}`),
  shell("hostile-folder", artifact("output")),
  shell("hostile-device", `mkfifo output/a.tar; ${artifact("output/a.tar")}`),
  shell("hostile-missing", artifact("output/none.tar"))
]
const builder = commandBuilder([
  made("example-1", [process.execPath, example]),
  shell("endless", "trap '' TERM; (trap '' TERM; setsid sleep 300 & sleep 300) & echo '{\"line\": \"begun\"}'; wait"),
  shell("failing", "echo 'what it said' >&2; echo '{\"failure\": {\"class\": \"user\", \"message\": \"the name is taken\"}}'; exit 1"),
  shell("silent", "echo words; exit 69"),
  shell("nothing", "exit 0"),
  shell("full", "echo 'tar: write error: No space left on device' >&2; exit 2"),
  shell("garbled", "echo '{\"artifact\": {\"path\": 7}}'"),
  shell("chatty", `cat >/dev/null; echo '{"line": 7}'; echo '[1]'; echo '{"stage": "b", "percent": 50}'; echo '{"stage": "a", "percent": 20}'; head -c 100000 /dev/zero | tr '\\0' x; echo; echo x > output/a.tar; ${artifact("output/a.tar")}`),
  shell("echoes", `cat >&2; env >&2; echo x > output/a.tar; ${artifact("output/a.tar")}`, { env: { GIVEN: "by the operator" } }),
  shell("boxed", `cat >/dev/null; cat ${outside} 2>&1; cat ${given}; ls -A ${folder} ..; grep -vc lo: /proc/net/dev; id -u; echo x >output/a.tar; ${artifact("output/a.tar")}`, { sandbox: { read: [given] } }),
  listing("listed", { ...deb, packages: [{ ...less, architecture: "amd64", source: less, maintainer: "Milan <milan@example.org>", license: "(MIT OR GPL-2.0+) AND GPL-3.0-or-later WITH Bison-exception-2.2" }, { ...less, name: "more" }] }),
  ...faulty.map(([name, inventory, , before]) => listing(name, inventory, before)),
  ...hostile
])

const password = "pass\"word \\ of ann"
const secrets = new Map([["users.ann.password", password]])
const sealed = { keyId: "k1", ciphertext: "AAAA", fingerprint: "f".repeat(64) } as never
const of = (distribution: string, customizations: ImageSpec["customizations"] = {}, given = {}): ImageSpec =>
  ({ distribution, image: { architecture: "x86_64", type: "tree", options: { parameters: given } }, customizations })

const run = (spec: ImageSpec, lines: Array<string> = [], percents: Array<number> = []) => {
  const place = mkdtempSync(join(folder, "job-"))
  const report = { line: (text: string) => void lines.push(text), progress: ({ percent }: { percent: number }) => void percents.push(percent) }
  return builder.build(manifestOf("command", spec, undefined), secrets, place, report)
}
const listed = (path: string, ...more: ReadonlyArray<string>) => execFileSync("tar", ["--list", "--file", path, ...more], { encoding: "utf8" })

describe("the command builder", () => {
  imageBuilderContract({
    builder, secrets, hostile: hostile.map(({ distribution }) => of(distribution)),
    sound: [of("example-1", { hostname: "one", users: [{ name: "ann", password: sealed }] }), of("example-1", { hostname: "two" }, { megabytes: 2 })],
    endless: { ...of("endless"), begun: /begun/ },
    failing: { spec: of("failing"), class: "user", message: /^the name is taken$/, excerpt: /what it said/ },
    contentOf: ({ path }) => listed(path, "--verbose", "--full-time")
  })

  it.live("given the example, then the image is what was asked for, and a secret got there", () =>
    Effect.gen(function*() {
      const file = yield* run(of("example-1", { hostname: "box", users: [{ name: "ann", password: sealed }] }, { greeting: "good day" }))
      assert.deepInclude(file, { format: "tar", filename: "box.tar", mediaType: "application/x-tar" })
      const text = (name: string) => execFileSync("tar", ["--extract", "--to-stdout", "--file", file.path, name], { encoding: "utf8" })
      assert.deepStrictEqual(["./etc/hostname", "./etc/motd", "./etc/secrets/ann"].map(text), ["box\n", "good day\n", password])
    }))

  it.live("given a program that lists packages, then they are the image's bills of materials, with their licenses", () =>
    Effect.gen(function*() {
      const of1 = of("example-1", { hostname: "box" })
      const example = yield* evidenceOf(manifestOf("command", of1, undefined), yield* run(of1))
      assert.deepStrictEqual([example.purls, example.licenses], [["pkg:generic/example.org/greeting@1.0?arch=all&upstream=example"], ["MIT OR LicenseRef-example"]])
      assert.strictEqual(example.documents?.spdx.creationInfo.comment, "Made right after the build from what the program that made the image has listed.")
      const listed = yield* evidenceOf(manifestOf("command", of("listed"), undefined), yield* run(of("listed")))
      assert.deepStrictEqual(listed.purls, ["pkg:deb/debian/less@668-1?arch=amd64&distro=debian-13", "pkg:deb/debian/more@668-1?distro=debian-13"])
      assert.deepStrictEqual(listed.licenses, ["(MIT OR GPL-2.0+) AND GPL-3.0-or-later WITH Bison-exception-2.2", "NOASSERTION"])
    }))

  it.live("given a program that lists none, or not as agreed, then the image is there, and its evidence says why it has no bill", () =>
    Effect.gen(function*() {
      const why = Effect.fnUntraced(function*(name: string) {
        return (yield* evidenceOf(manifestOf("command", of(name), undefined), yield* run(of(name)))).noBill
      })
      for (const [name, , expected] of faulty) assert.match((yield* why(name)) ?? "", expected)
      assert.strictEqual(yield* why("chatty"), "the program that made it has listed no packages")
    }))

  it.live("given a job, then the program gets it on its standard input alone, and nothing of the worker's environment", () =>
    Effect.gen(function*() {
      process.env["CREDENTIAL_OF_THE_WORKER"] = "of the worker"
      const lines: Array<string> = []
      yield* run(of("echoes", { users: [{ name: "ann", password: sealed }] }, { megabytes: 3 }), lines)
      const job = JSON.parse(lines.find((line) => line.startsWith("{"))!)
      const { distribution, architecture, type, parameters, customizations, version } = job
      assert.deepStrictEqual({ distribution, architecture, type, parameters, customizations, version }, {
        version: 1, distribution: "echoes", architecture: "x86_64", type: "tree", parameters: { greeting: "hello", megabytes: 3 },
        customizations: { users: [{ name: "ann", password: { secret: "users.ann.password" } }] }
      })
      assert.deepStrictEqual(job.secrets, { "users.ann.password": "***" })
      assert.include(lines, "GIVEN=by the operator")
      assert.notInclude(lines.join("\n"), "of the worker")
    }))

  it.live("given a program in the sandbox, then it finds its workspace and what it was given, no network, and nothing else", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const file = yield* run(of("boxed"), lines)
      assert.strictEqual(readFileSync(file.path, "utf8"), "x\n")
      assert.strictEqual(statSync(file.path).uid, process.getuid!())
      assert.include(lines, "what was given")
      assert.notInclude(lines.join("\n"), "nobody's")
      assert.deepStrictEqual(lines.slice(-2), ["2", "0"])
      assert.notInclude(lines, "outside")
    }))

  it.live("given lines that are no JSON of the contract, then they are text; progress never goes back, lines have an end", () =>
    Effect.gen(function*() {
      const [lines, percents]: [Array<string>, Array<number>] = [[], []]
      yield* run(of("chatty"), lines, percents)
      assert.includeMembers(lines, ["{\"line\": 7}", "[1]"])
      assert.deepStrictEqual(percents, [50, 50])
      assert.isTrue(lines.every((line) => line.length <= 100_000))
    }))

  it.each([
    ["silent", "repository", "the program failed (exit 69)"],
    ["nothing", "platform", "the program ended without naming an artifact"],
    ["full", "platform", "the program failed: no space left on this worker's disk"],
    ["garbled", "platform", "the program's last word is not as agreed: {\"artifact\": {\"path\": 7}}"]
  ])("given a program that ends as '%s', then the failure has a class and says so", (name, kind, message) =>
    Effect.runPromise(Effect.gen(function*() {
      const failure = yield* Effect.flip(run(of(name)))
      assert.deepStrictEqual([failure.class, failure.message], [kind, message])
    })))

  it.live("given what the worker's own file does not allow, then the program is not begun", () =>
    Effect.gen(function*() {
      const messages = yield* Effect.all([
        of("example-1", {}, { megabytes: 17 }), of("example-1", {}, { greeting: "HELLO" }), of("example-1", {}, { colour: "red" }),
        of("example-1", { timezone: "UTC" }), of("unknown"), { ...of("example-1"), image: { architecture: "aarch64", type: "tree" } } as ImageSpec
      ].map((spec) => Effect.map(Effect.flip(run(spec)), (failure) => [failure.class, failure.message.split(":")[0]])))
      assert.deepStrictEqual(messages, [
        ["user", "image.options.parameters.megabytes"], ["user", "image.options.parameters.greeting"], ["user", "image.options.parameters.colour"],
        ["user", "customizations.timezone"], ["platform", "the builders file of this worker has nothing for unknown, x86_64, tree"],
        ["platform", "the builders file of this worker has nothing for example-1, aarch64, tree"]
      ])
    }))

  it.live("given a program that is not there, or whose check fails, then its distribution is not offered here", () =>
    Effect.gen(function*() {
      const found = yield* commandBuilder([
        made("here", ["sh"]), made("gone", ["no-such-program"]), made("sick", ["sh"], { check: ["sh", "-c", "echo not today; exit 3"] })
      ]).obstacles
      assert.deepStrictEqual([...found], [["gone", "there is no program no-such-program"], ["sick", "sh -c echo not today; exit 3 exits with 3: not today"]])
    }))
})
