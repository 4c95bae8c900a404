/** What would keep images from being delivered, before they are built. */
import { Effect, Option } from "effect"
import type { CheckedTargetView } from "../../gateway/api/targets-api.ts"
import { Kiln } from "../client.ts"
import { commandFailed } from "../command-failed.ts"
import { answer, harmless, painted } from "../output.ts"
import { readRequest } from "../request-file.ts"

interface CheckInput {
  readonly file: Option.Option<string>
  readonly target: Option.Option<string>
}

export const checkTargets = Effect.fn("checkTargets")(function*({ file, target }: CheckInput) {
  const targets = Option.isSome(target) ? [yield* parsed(target.value)] : Option.isSome(file) ? yield* targetsIn(file.value) : []
  if (targets.length === 0) return yield* commandFailed("invalid", "Name a request that has targets, or a target by --target")
  const checked = yield* (yield* Kiln).json<ReadonlyArray<CheckedTargetView>>("/targets/check", { method: "POST", body: JSON.stringify({ targets }) })
  yield* answer(checked, (output) => checked.flatMap(({ credentials, note, obstacles, status, type, worker }, at) => [
    `${at} ${type}${credentials === undefined ? "" : ` with ${credentials}`}: ${painted(output, colours[status], status)}`
      + (worker === undefined ? "" : `, as worker ${harmless(worker)} sees it`) + (note === undefined ? "" : `, ${harmless(note)}`),
    ...obstacles.map(({ problem, what }) => `  ${harmless(what)}: ${harmless(problem)}`)
  ]))
  if (checked.some(({ status }) => status === "obstructed")) return yield* commandFailed("failed", "")
})

const colours = { ready: "green", obstructed: "red", untried: "yellow" } as const

const parsed = (text: string) =>
  Effect.try({ try: () => JSON.parse(text) as unknown, catch: (error) => commandFailed("invalid", `--target is no JSON: ${(error as Error).message}`) })

/** Once each: a request often sends all of its images to one place. */
const targetsIn = Effect.fnUntraced(function*(file: string) {
  const request = JSON.parse(yield* readRequest(file)) as { readonly images?: ReadonlyArray<{ readonly targets?: ReadonlyArray<unknown> }> } | null
  const texts = (request?.images ?? []).flatMap(({ targets = [] }) => targets).map((target) => JSON.stringify(target))
  return [...new Set(texts)].map((text) => JSON.parse(text) as unknown)
})
