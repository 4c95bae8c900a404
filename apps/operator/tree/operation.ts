/** For who runs Kiln. */
import { Command, Flag } from "effect/cli"
import { alone, talking } from "../root.ts"
import { described, off, optional, yes } from "./flags.ts"
import { load } from "./load.ts"

export const reaper = Command.make("reaper", {
  dryRun: Flag.Boolean("dry-run").pipe(described("Only list what would be noted and what would go"), off),
  tenant: optional("tenant", "Only where this tenant delivers to"),
  yes
}, (input) => talking(load(() => import("../commands/reaper.ts"), ({ reaper }) => reaper(input)))).pipe(
  Command.withDescription("Look for what crashes left behind in clouds, and remove what was found before too, for operators")
)

export const token = Command.make("token", {
  tenant: Flag.String("tenant").pipe(described("For whom"), Flag.withDefault("default")),
  role: Flag.Literals("role", ["requester", "operator", "worker"]).pipe(described("As what (requester)"), Flag.withDefault("requester" as const)),
  ttl: Flag.String("ttl").pipe(Flag.withMetavar("span"), described("How long it counts: 90s, 15m, 1h, 30d (1h)"), Flag.withDefault("1h")),
  pool: optional("pool", "The pool a worker may serve, or several joined by _"),
  worker: optional("worker", "The one name a worker may have; without it, any in its pool")
}, (input) => alone(load(() => import("../commands/token.ts"), ({ token }) => token(input)))).pipe(
  Command.withDescription("Print a token of this machine's own issuer")
)
