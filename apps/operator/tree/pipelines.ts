/** Images that are declared once and built again by rule. */
import { Argument, Command, Flag } from "effect/cli"
import { talking } from "../root.ts"
import { all, described, limit, off, optional, yes } from "./flags.ts"
import { load } from "./load.ts"

const name = Argument.String("name").pipe(
  Argument.withDescription("The pipeline, as kiln pipelines list shows it"),
  Argument.filter((text) => /^[a-z0-9][a-z0-9-]{0,39}$/.test(text), () => "a pipeline's name: lower-case letters, digits and hyphens, at most 40")
)
const module = () => import("../commands/pipelines.ts")

export const pipelines = Command.make("pipelines").pipe(
  Command.withDescription("Images that are declared once and built again when they have to be"),
  Command.withSubcommands([
    Command.make("list", { distribution: optional("distribution", "Only of this distribution"), limit, all }, (input) =>
      talking(load(module, ({ listPipelines }) => listPipelines(input)))).pipe(
      Command.withDescription("List pipelines, what they do, and what they do next and when")
    ),
    Command.make("show", { name }, (input) => talking(load(module, ({ showPipeline }) => showPipeline(input)))).pipe(
      Command.withDescription("Show one with its builds")
    ),
    Command.make("apply", {
      file: Argument.String("file").pipe(Argument.withDescription("What is to be, as JSON or YAML; - reads standard input")),
      dryRun: Flag.Boolean("dry-run").pipe(described("Only show what would change"), off),
      yes
    }, (input) => talking(load(module, ({ applyPipelines }) => applyPipelines(input)))).pipe(
      Command.withDescription("Declare the pipelines of a file, or change them to what it says, after showing how they differ"),
      Command.withExamples([{ command: "kiln pipelines apply pipelines.yaml --dry-run", description: "What would change" }])
    ),
    Command.make("build", { name }, (input) => talking(load(module, ({ buildPipeline }) => buildPipeline(input)))).pipe(
      Command.withDescription("Ask for a build, whether or not anything has changed")
    ),
    Command.make("pause", { name }, (input) => talking(load(module, ({ pausePipeline }) => pausePipeline(input)))).pipe(
      Command.withDescription("Begin nothing new; what is under way goes on")
    ),
    Command.make("resume", { name }, (input) => talking(load(module, ({ resumePipeline }) => resumePipeline(input)))).pipe(
      Command.withDescription("Go on; what has failed is tried at once")
    ),
    Command.make("promote", {
      name,
      build: Flag.Int("build").pipe(Flag.withMetavar("n"), described("The number of a good build"), Flag.filter((n) => n > 0, () => "1 or more"))
    }, (input) => talking(load(module, ({ promoteBuild }) => promoteBuild(input)))).pipe(
      Command.withDescription("Have the pipeline's name stand for this build, be it an older one")
    ),
    Command.make("delete", { name, yes }, (input) => talking(load(module, ({ deletePipeline }) => deletePipeline(input)))).pipe(
      Command.withDescription("Delete a pipeline; what it has built stays as any other compose does")
    )
  ])
)
