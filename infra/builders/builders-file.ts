/** The distributions that an operator adds, and what makes them: JSON or YAML, read once at start. */
import { Effect, Schema } from "effect"
import { CommandDistribution } from "../command-builder/settings.ts"
import { DibDistribution } from "../diskimage-builder/settings.ts"
import { readDocument } from "../files/read-document.ts"
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

export const readBuildersFile = Effect.fn("readBuildersFile")((path: string): Effect.Effect<BuildersFile, BuildersFileWrong> =>
  readDocument({
    path, decode, empty: { distributions: [] }, merge: true,
    wrong: (message) => new BuildersFileWrong({ message: `KILN_BUILDERS_FILE=${path}: ${message}` })
  }))
