/** Workers, what they hold and what they serve. */
import { Argument, Command, Flag } from "effect/cli"
import { alone, talking } from "../root.ts"
import { described, optional, yes } from "./flags.ts"
import { load } from "./load.ts"

export const workers = Command.make("workers", {
  name: Argument.String("name").pipe(Argument.withDescription("Only workers of this name, with the images they hold in --json"), Argument.optional),
  pool: optional("pool", "Only of this pool")
}, (input) => talking(load(() => import("../commands/workers.ts"), ({ workers }) => workers(input)))).pipe(
  Command.withDescription("List workers and what they do, for operators")
)

const cacheFolder = optional("cache", "Folder of the cache (else KILN_CACHE, else that of KILN_HOME)")

export const worker = Command.make("worker").pipe(
  Command.withDescription("The workers of this machine, for who runs them"),
  Command.withSubcommands([
    Command.make("cache", { cache: cacheFolder }, (input) =>
      alone(load(() => import("../commands/worker-cache.ts"), ({ showCache }) => showCache(input)))).pipe(
      Command.withDescription("Show what is in the cache of this machine's workers"),
      Command.withSubcommands([
        Command.make("prune", {
          cache: cacheFolder,
          keep: Flag.String("keep").pipe(Flag.withMetavar("size"), described("How much may stay, such as 2 GiB (0)"), Flag.withDefault("0")),
          kind: optional("kind", "Only of this kind"),
          yes
        }, (input) => alone(load(() => import("../commands/worker-cache.ts"), ({ pruneCache }) => pruneCache(input)))).pipe(
          Command.withDescription("Remove what was used longest ago; what running builds use stays")
        )
      ])
    )
  ])
)

export const discard = Command.make("discard", {
  worker: Argument.String("worker").pipe(Argument.withDescription("The name of the worker that holds it")),
  digest: Argument.String("digest").pipe(
    Argument.withDescription("The image, as kiln workers <name> --json shows it"),
    Argument.filter((text) => /^sha256:[0-9a-f]{64}$/.test(text), () => "a digest, sha256: and 64 hex digits")
  ),
  yes
}, (input) => talking(load(() => import("../commands/workers.ts"), ({ discard }) => discard(input)))).pipe(
  Command.withDescription("Have a worker remove an image that it holds, for operators")
)

export const pools = Command.make("pools", {}, () =>
  talking(load(() => import("../commands/pools.ts"), ({ pools }) => pools()))).pipe(
  Command.withDescription("List pools and how full they are, for operators")
)
