/** What every `ImageBuilder` does. Run by each builder's own test, with its real tools or with strict stand-ins for them. */
import { execFileSync } from "node:child_process"
import { lstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, realpathSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { type ImageSpec, type Manifest, manifestOf } from "../../domain/manifest.ts"
import type { BuildFailed, BuiltFile, ImageBuilder, Progress, Report, Secrets } from "../../domain/ports/image-builder.ts"

export interface Subject {
  readonly builder: ImageBuilder
  /** Two that differ in what they make; each says something while it is made. */
  readonly sound: readonly [ImageSpec, ImageSpec]
  /** Goes on until it is canceled, and has begun processes that do not listen when it says the line; any line, if none is named. */
  readonly endless?: ImageSpec & { readonly begun?: RegExp }
  readonly failing: { readonly spec: ImageSpec; readonly class: BuildFailed["class"]; readonly message: RegExp; readonly excerpt?: RegExp }
  /** Each names an artifact that is none of the workspace's own files. */
  readonly hostile?: ReadonlyArray<ImageSpec>
  /** For `sound[0]` and `endless`, if the builder takes any. */
  readonly secrets?: Secrets
  /** What the tool itself would want of this machine, where a stand-in does without. */
  readonly lacks?: RegExp
  /** What is in the artifact, for two builds to be told apart. */
  readonly contentOf: (file: BuiltFile) => string
}

interface Heard extends Report {
  readonly lines: Array<string>
  readonly progresses: Array<Progress>
  readonly said: Deferred.Deferred<void>
}

const hearing = (begun = /(?:)/): Heard => {
  const [lines, progresses, said]: [Array<string>, Array<Progress>, Deferred.Deferred<void>] = [[], [], Deferred.makeUnsafe()]
  return {
    lines, progresses, said,
    line: (text) => {
      lines.push(text)
      if (begun.test(text)) Deferred.doneUnsafe(said, Effect.void)
    },
    progress: (progress) => void progresses.push(progress)
  }
}

/** Workspaces of the way that real ones have names, and nothing that another run could have left. */
const folder = mkdtempSync(join(tmpdir(), "kiln-contract-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const workspace = () => realpathSync(mkdtempSync(join(folder, "job-")))

/** With a lock, where the builder wants one: a job of its own, whose progress is its own. */
const build = ({ builder, secrets = new Map() }: Subject, spec: ImageSpec, place: string, report: Report) =>
  Effect.flatMap(
    builder.offers.find(({ id }) => id === spec.distribution)?.resolves === true ? builder.resolve(spec, place, hearing()) : Effect.succeed(undefined),
    (lock) => builder.build(manifestOf(builder.name, spec, lock) satisfies Manifest, secrets, place, report)
  )

const read = <A>(look: () => A, otherwise: A): A => {
  try {
    return look()
  } catch {
    return otherwise
  }
}
const processes = () => readdirSync("/proc").filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
const wordsOf = (pid: string) => ["cmdline", "environ"].map((name) => read(() => readFileSync(`/proc/${pid}/${name}`, "latin1"), "")).join("\0")

/** Processes, mounts and loop devices that have to do with a folder. */
const tracesOf = (place: string): ReadonlyArray<string> => [
  ...processes().filter((pid) => wordsOf(pid).includes(place) || read(() => readlinkSync(`/proc/${pid}/cwd`), "").startsWith(place))
    .map((pid) => `process ${pid}: ${wordsOf(pid).replaceAll("\0", " ").slice(0, 200)}`),
  ...readFileSync("/proc/mounts", "utf8").split("\n").filter((line) => line.includes(place)),
  ...read(() => execFileSync("/sbin/losetup", ["--list", "--noheadings", "--output", "NAME,BACK-FILE"], { encoding: "utf8" }), "").split("\n")
    .filter((line) => line.includes(place))
]

/** What has been killed may take a moment to be gone. */
const goneFrom = Effect.fnUntraced(function*(place: string) {
  for (let tries = 0; tries < 1000 && tracesOf(place).length > 0; tries++) yield* Effect.sleep(50)
  assert.deepStrictEqual(tracesOf(place), [])
})

export const imageBuilderContract = (subject: Subject, timeout = 60_000) => {
  const { builder, contentOf, endless, failing, hostile = [], secrets, sound } = subject

  it.live("says what it makes, in names that can be asked for", () =>
    Effect.gen(function*() {
      for (const spec of sound) {
        const offer = builder.offers.find(({ id }) => id === spec.distribution)
        assert.strictEqual(offer?.builder, builder.name)
        const types = offer?.architectures.find(({ architecture }) => architecture === spec.image.architecture)?.imageTypes ?? []
        assert.include(types.map(({ type }) => type), spec.image.type)
      }
      assert.match((yield* builder.obstacles).get(sound[0].distribution) ?? "", subject.lacks ?? /^$/)
    }), timeout)

  it.live("builds into an empty workspace, with lines and with progress that never goes back and comes to its end", () =>
    Effect.gen(function*() {
      const [place, heard] = [workspace(), hearing()]
      const file = yield* build(subject, sound[0], place, heard)
      assert.isTrue(realpathSync(file.path).startsWith(`${place}/`), file.path)
      assert.isTrue(lstatSync(file.path).isFile() && statSync(file.path).size > 0)
      assert.match(file.filename, /^[A-Za-z0-9][A-Za-z0-9._+-]*$/)
      assert.match(file.mediaType, /^[a-z]+\/[a-z0-9.+-]+$/)
      assert.notStrictEqual(contentOf(file), "")
      const percents = heard.progresses.map(({ percent }) => percent)
      assert.deepStrictEqual(percents, [...percents].sort((a, b) => a - b))
      assert.isTrue(percents.length > 0 && percents.every((percent) => percent >= 0 && percent <= 100))
      assert.isAbove(percents.at(-1)!, 90)
      assert.isTrue(heard.progresses.every(({ stage }) => stage !== ""))
      yield* goneFrom(place)
    }), timeout)

  it.live("builds two at once that do not disturb each other", () =>
    Effect.gen(function*() {
      const builds = sound.map((spec) => ({ spec, place: workspace(), heard: hearing() }))
      const files = yield* Effect.all(builds.map(({ heard, place, spec }) => build(subject, spec, place, heard)), { concurrency: 2 })
      files.forEach((file, at) => assert.isTrue(realpathSync(file.path).startsWith(`${builds[at]!.place}/`)))
      assert.notStrictEqual(contentOf(files[0]!), contentOf(files[1]!))
      const alone = yield* build(subject, sound[1], workspace(), hearing())
      assert.strictEqual(contentOf(files[1]!), contentOf(alone))
    }), 2 * timeout)

  it.live("fails with a class, a sentence, and what the tool said", () =>
    Effect.gen(function*() {
      const place = workspace()
      const failure = yield* Effect.flip(build(subject, failing.spec, place, hearing()))
      assert.strictEqual(failure.class, failing.class, failure.message)
      assert.match(failure.message, failing.message)
      assert.match(failure.excerpt ?? "", failing.excerpt ?? /(?:)/)
      yield* goneFrom(place)
    }), timeout)

  if (endless !== undefined) {
    it.live("ends with all that it began when it is canceled", () =>
      Effect.gen(function*() {
        const [place, heard] = [workspace(), hearing(endless.begun)]
        const building = yield* Effect.forkChild(build(subject, endless, place, heard))
        yield* Effect.raceFirst(Deferred.await(heard.said), Effect.flip(Fiber.join(building)))
        assert.isNotEmpty(tracesOf(place))
        // Whoever may look at the list of processes learns nothing.
        const seen = processes().map(wordsOf).join("\n")
        for (const secret of secrets?.values() ?? []) assert.isFalse(seen.includes(secret))
        yield* Fiber.interrupt(building)
        yield* goneFrom(place)
      }), timeout)
  }

  if (secrets !== undefined) {
    it.live("lets no secret into its lines", () =>
      Effect.gen(function*() {
        const heard = hearing()
        yield* build(subject, sound[0], workspace(), heard)
        const said = JSON.stringify([heard.lines, heard.progresses])
        for (const secret of secrets.values()) assert.isFalse(said.includes(secret) || said.includes(JSON.stringify(secret).slice(1, -1)))
      }), timeout)
  }

  for (const spec of hostile) {
    it.live(`takes no file that is not its workspace's own: ${spec.distribution}`, () =>
      Effect.gen(function*() {
        const failure = yield* Effect.flip(build(subject, spec, workspace(), hearing()))
        assert.strictEqual(failure.class, "platform")
        assert.match(failure.message, /^the artifact /)
      }), timeout)
  }
}
