/** Images by any program that reads a job on its standard input and says how it fares, a JSON line at a time. */
import { mkdir } from "node:fs/promises"
import { join } from "node:path"
import { Effect } from "effect"
import { BuildFailed, type ImageBuilder } from "../../domain/ports/image-builder.ts"
import { artifactIn } from "../builders/artifact-in.ts"
import { askedOf, offerOf } from "../builders/entry.ts"
import { missingProgram } from "../builders/has-program.ts"
import { obstaclesOf } from "../builders/obstacles.ts"
import { steady } from "../builders/steady.ts"
import { diskFailure, failureOf } from "../debian/failures.ts"
import { hiding } from "../process/hiding.ts"
import { type Command, run } from "../process/run.ts"
import { limited } from "../sandbox/limited.ts"
import { type Limits, limitsOf } from "../sandbox/limits.ts"
import { confined } from "../sandbox/sandbox.ts"
import { jobOf } from "./job.ts"
import { saidInventory } from "./inventory.ts"
import { classOfExit, type ProgramFailure, progressOf, type SaidArtifact, saidOf } from "./said.ts"
import type { CommandDistribution } from "./settings.ts"

const name = "command"
const usualGraceSeconds = 0.7
const wordsKept = 40
const takes = ({ customizations = [] }: CommandDistribution): ReadonlyArray<string> => customizations

export const commandBuilder = (entries: ReadonlyArray<CommandDistribution>, limits: Limits = limitsOf({})): ImageBuilder => ({
  name,
  // Nobody knows whether the program would make the same once more.
  alwaysBuilds: true,
  offers: entries.map((entry) => offerOf(entry, takes(entry))),
  obstacles: obstaclesOf(entries, obstacleOf),
  resolve: () => Effect.fail(new BuildFailed({ class: "platform", message: "images of a command need no lock" })),
  build: Effect.fn("command.build")(function*(manifest, secrets, workspace, report) {
    const { entry, parameters } = yield* askedOf(entries, manifest, takes)
    const output = join(workspace, "output")
    yield* Effect.tryPromise({ try: () => mkdir(output), catch: diskFailure("making a folder for the artifact") })
    const heard = steady(report, secrets)
    const words: Array<string> = []
    const word = (text: string) => {
      words.push(text)
      if (words.length > wordsKept) words.shift()
      heard.line(text)
    }
    let made: SaidArtifact | undefined
    let failure: ProgramFailure | undefined
    const command: Command = {
      argv: entry.program,
      cwd: workspace,
      env: { HOME: workspace, TMPDIR: workspace, ...entry.env },
      stdin: jobOf(manifest, parameters, secrets, workspace, output),
      graceMs: (entry.grace_seconds ?? usualGraceSeconds) * 1000,
      onLine: word,
      onStdout: (text) => {
        const said = saidOf(text)
        if ("line" in said) word(said.line)
        else if ("artifact" in said) made = said.artifact
        else if ("failure" in said) failure ??= said.failure
        else heard.progress(progressOf(said))
      }
    }
    const { code } = yield* (entry.sandbox === undefined
      ? limited(command, workspace, limits)
      : confined(command, { network: false, read: [], ...entry.sandbox, write: [workspace, output] }, workspace, limits))
    const hide = hiding(secrets.values())
    if (failure === undefined && code === 0 && made !== undefined) {
      const file = yield* artifactIn(workspace, made)
      return { ...file, ...yield* saidInventory(workspace, made.inventory, hide, heard) }
    }
    const { class: kind, message } = failure ?? endOf(code, words)
    return yield* new BuildFailed({ class: kind, message: hide(message), excerpt: hide(words.join("\n")) })
  })
})

/** A program that says nothing of its end. */
const endOf = (code: number, words: ReadonlyArray<string>): ProgramFailure =>
  code === 0
    ? { class: "platform", message: "the program ended without naming an artifact" }
    : { class: classOfExit(code), message: failureOf("the program", code, words).message }

const obstacleOf = Effect.fnUntraced(function*({ check, program }: CommandDistribution) {
  const missing = missingProgram(program[0])
  if (missing !== undefined || check === undefined) return missing
  const checked = yield* Effect.result(run({ argv: check, cwd: "/" }))
  if (checked._tag === "Failure") return checked.failure.message
  const { code, tail } = checked.success
  return code === 0 ? undefined : `${check.join(" ")} exits with ${code}${tail.length === 0 ? "" : `: ${tail.at(-1)}`}`
})
