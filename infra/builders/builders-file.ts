/** The distributions that an operator adds, and what makes them: JSON or YAML, read once at start. */
import { readFile } from "node:fs/promises"
import { Effect, Schema, SchemaIssue } from "effect"
import { parse } from "yaml"
import { CommandDistribution } from "../command-builder/settings.ts"
import { DibDistribution } from "../diskimage-builder/settings.ts"
import { MkosiDistribution } from "../mkosi/settings.ts"
import { OsbuildDistribution } from "../osbuild/settings.ts"

export const AddedDistribution = Schema.Union([CommandDistribution, DibDistribution, OsbuildDistribution, MkosiDistribution])
export type AddedDistribution = typeof AddedDistribution.Type

export const BuildersFile = Schema.Struct({
  distributions: Schema.Array(AddedDistribution).check(Schema.makeFilter((all: ReadonlyArray<AddedDistribution>) => {
    const ids = all.map(({ distribution }) => distribution)
    const twice = ids.findIndex((id, at) => ids.indexOf(id) < at)
    return twice < 0 || { path: [twice, "distribution"], issue: `${ids[twice]} is there twice` }
  }))
})
export type BuildersFile = typeof BuildersFile.Type

export class BuildersFileWrong extends Schema.TaggedError<BuildersFileWrong>()("BuildersFileWrong", { message: Schema.String }) {}

const decode = Schema.decodeUnknownEffect(BuildersFile, { onExcessProperty: "error", errors: "all" })
const format = SchemaIssue.makeFormatterStandardSchemaV1()

export const readBuildersFile = Effect.fn("readBuildersFile")(function*(path: string): Effect.fn.Return<BuildersFile, BuildersFileWrong> {
  const wrong = (message: string) => new BuildersFileWrong({ message: `KILN_BUILDERS_FILE=${path}: ${message}` })
  const text = yield* Effect.tryPromise({
    try: () => readFile(path, "utf8"),
    catch: (error) => wrong((error as NodeJS.ErrnoException).code === "ENOENT" ? "there is no such file" : (error as Error).message)
  })
  const document = yield* Effect.try({
    try: (): unknown => parse(text, { maxAliasCount: 100, merge: true }) ?? { distributions: [] },
    catch: (error) => wrong((error as Error).message.trim())
  })
  return yield* decode(document).pipe(Effect.mapError(({ issue }) => wrong(faultsOf(issue).join("; "))))
})

const faultsOf = (issue: SchemaIssue.Issue): ReadonlyArray<string> =>
  format(issue).issues.map(({ message, path = [] }) =>
    `${path.map((segment) => String(typeof segment === "object" ? segment.key : segment)).join(".") || "the file"}: ${message}`)
