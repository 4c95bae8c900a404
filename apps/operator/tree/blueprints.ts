/** Requests that are kept under names, in versions. */
import { Argument, Command, Flag } from "effect/cli"
import { talking } from "../root.ts"
import { all, described, limit, off, optional, watching, within, yes } from "./flags.ts"
import { load } from "./load.ts"

const name = Argument.String("name").pipe(Argument.withDescription("The blueprint's name, or its id"))
const numbered = (flag: string, words: string) =>
  Flag.Int(flag).pipe(Flag.withMetavar("n"), described(words), Flag.filter((n) => n > 0, () => "1 or more"), Flag.optional)
const module = () => import("../commands/blueprints.ts")

export const blueprints = Command.make("blueprints").pipe(
  Command.withDescription("Requests that are kept under names, in versions, and built when asked for"),
  Command.withSubcommands([
    Command.make("list", {
      distribution: optional("distribution", "Only of this distribution"),
      search: optional("search", "Every word begins a word of name, description or distribution"),
      ...within("Changed"), limit, all
    }, (input) => talking(load(module, ({ listBlueprints }) => listBlueprints(input)))).pipe(
      Command.withDescription("List blueprints, those changed last first")
    ),
    Command.make("show", { name, version: numbered("version", "This version (the latest)") }, (input) =>
      talking(load(module, ({ showBlueprint }) => showBlueprint(input)))).pipe(
      Command.withDescription("Show one as the file that it could be applied from; secrets are masked, and kept when it is applied so")
    ),
    Command.make("apply", {
      file: Argument.String("file").pipe(Argument.withDescription("Name, description and request as JSON or YAML; - reads standard input")),
      dryRun: Flag.Boolean("dry-run").pipe(described("Only judge it, and show what would change"), off),
      yes
    }, (input) => talking(load(module, ({ applyBlueprint }) => applyBlueprint(input)))).pipe(
      Command.withDescription("Create the blueprint of a file, or change it to what the file says, after showing how they differ"),
      Command.withExamples([{ command: "kiln blueprints apply web.yaml --dry-run", description: "What would change" }])
    ),
    Command.make("versions", { name, limit, all }, (input) => talking(load(module, ({ blueprintVersions }) => blueprintVersions(input)))).pipe(
      Command.withDescription("List its versions, newest first")
    ),
    Command.make("diff", {
      name, from: numbered("from", "From this version (the one before)"), to: numbered("to", "To this version (the latest)")
    }, (input) => talking(load(module, ({ diffBlueprint }) => diffBlueprint(input)))).pipe(
      Command.withDescription("Show how two of its versions differ")
    ),
    Command.make("build", {
      name,
      version: numbered("version", "This version (the latest)"),
      type: Flag.String("type").pipe(described("Only images of this type, any number of times"), Flag.atLeast(0)),
      ...watching
    }, (input) => talking(load(module, ({ buildBlueprint }) => buildBlueprint(input)))).pipe(
      Command.withDescription("Ask for its images and watch them being built")
    ),
    Command.make("delete", { name, yes }, (input) => talking(load(module, ({ deleteBlueprint }) => deleteBlueprint(input)))).pipe(
      Command.withDescription("Delete it with its versions; what was built from it stays")
    )
  ])
)
