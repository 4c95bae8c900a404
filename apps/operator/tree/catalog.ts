/** What can be built. */
import { Argument, Command, Flag } from "effect/cli"
import { talking } from "../root.ts"
import { described, optional } from "./flags.ts"
import { load } from "./load.ts"

export const distributions = Command.make("distributions", {}, () =>
  talking(load(() => import("../commands/distributions.ts"), ({ distributions }) => distributions()))).pipe(
  Command.withDescription("List what can be built")
)

export const packages = Command.make("packages", {
  search: Argument.String("search").pipe(Argument.withDescription("The beginning of a package's name")),
  distribution: Flag.String("distribution").pipe(Flag.withAlias("d"), described("In which distribution")),
  architecture: Flag.Literals("architecture", ["x86_64", "aarch64"]).pipe(described("For which architecture (x86_64)"), Flag.withDefault("x86_64" as const)),
  limit: Flag.Int("limit").pipe(Flag.withMetavar("n"), described("At most so many, 1 to 100"), Flag.optional)
}, (input) => talking(load(() => import("../commands/packages.ts"), ({ packages }) => packages(input)))).pipe(
  Command.withDescription("Search the packages of a distribution")
)

export const depsolve = Command.make("depsolve", {
  file: Argument.String("file").pipe(Argument.withDescription("A request as for kiln build, of whose images the packages are listed; - reads standard input"), Argument.optional),
  distribution: optional("distribution", "Without a file: of which distribution").pipe(Flag.withAlias("d")),
  architecture: Flag.Literals("architecture", ["x86_64", "aarch64"]).pipe(described("Without a file: for which architecture (x86_64)"), Flag.withDefault("x86_64" as const)),
  type: optional("type", "Without a file: for which image type (the first that is offered)"),
  package: Flag.String("package").pipe(Flag.withAlias("p"), Flag.withMetavar("name[=version]"), described("Without a file: a package, any number of times"), Flag.atLeast(0))
}, (input) => talking(load(() => import("../commands/depsolve.ts"), ({ depsolve }) => depsolve(input)))).pipe(
  Command.withDescription("List the exact packages of an image, and how much there is to download"),
  Command.withExamples([
    { command: "kiln depsolve web.yaml", description: "Of a request that is not made yet" },
    { command: "kiln depsolve --distribution debian-13 --package nginx-light", description: "Of what is said here" }
  ])
)
