/** Every command's words, put together from the topics in `tree/`. */
import { Effect } from "effect"
import { Argument, Command, Completions } from "effect/cli"
import { print } from "./output.ts"
import { alone, root } from "./root.ts"
import { blueprints } from "./tree/blueprints.ts"
import { depsolve, distributions, packages } from "./tree/catalog.ts"
import { build, cancel, download, files, history, images, list, logs, remove, retention, retry, show, watch } from "./tree/composes.ts"
import { archive, events, parked, projections, replay, streams, verify } from "./tree/log.ts"
import { pipelines } from "./tree/pipelines.ts"
import { reaper, token } from "./tree/operation.ts"
import { audit, credentials, quota, targets, tenants, usage } from "./tree/tenants.ts"
import { compare, evidence, verifyBuild, verifyImage, vulnerabilities } from "./tree/trust.ts"
import { webhooks } from "./tree/webhooks.ts"
import { discard, pools, worker, workers } from "./tree/workers.ts"

const completions = Command.make("completions", {
  shell: Argument.Literals("shell", ["bash", "zsh", "fish"])
}, ({ shell }): Effect.Effect<void, never, Command.CommandContext<"kiln">> =>
  alone(Effect.suspend(() => print(Completions.generate("kiln", shell, Completions.fromCommand(kiln)))))).pipe(
  Command.withDescription("Print a completion script for a shell where `kiln` stands for npm run -s kiln --")
)

export const kiln = root.pipe(Command.withSubcommands([
  { group: "Composes", commands: [build, watch, logs, list, history, images, show, cancel, retry, download, files, remove, retention] },
  { group: "Blueprints and pipelines", commands: [blueprints, pipelines] },
  { group: "Trust", commands: [evidence, verifyImage, verifyBuild, compare, vulnerabilities] },
  { group: "Catalog", commands: [distributions, packages, depsolve] },
  { group: "Tenants", commands: [quota, usage, audit, credentials, targets, webhooks, tenants] },
  { group: "Operation", commands: [workers, worker, discard, pools, reaper, token, completions] },
  { group: "Log", commands: [events, streams, archive, projections, parked, replay, verify] }
]))
