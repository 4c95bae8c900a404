/** What tenants may use, have used and keep. */
import { Argument, Command, Flag } from "effect/cli"
import { talking } from "../root.ts"
import { all, asOf, described, limit, ofTenant, optional, within, yes } from "./flags.ts"
import { load } from "./load.ts"

export const quota = Command.make("quota", {
  asOf,
  tenant: optional("tenant", "Of this tenant, for operators")
}, (input) => talking(load(() => import("../commands/quota.ts"), ({ quota }) => quota(input)))).pipe(
  Command.withDescription("Show what is limited, how much of it is used, and when there is more")
)

export const usage = Command.make("usage", {
  by: Flag.Literals("by", ["total", "day", "compose", "tenant"]).pipe(described("Summed up in all, by day (UTC), by compose or, for operators of the installation, by tenant (total)"), Flag.withDefault("total" as const)),
  tenant: ofTenant,
  ...within("Of attempts that ended"), limit, all
}, (input) => talking(load(() => import("../commands/history.ts"), ({ usage }) => usage(input)))).pipe(
  Command.withDescription("Show build minutes, bytes and what they cost, of the last 31 days unless --since or --until say when")
)

export const audit = Command.make("audit", {
  actor: optional("actor", "Only by this one: the subject of a token"),
  action: optional("action", "Only this, such as ComposeCanceled"),
  id: optional("id", "Only to this compose, or whatever has that id"),
  tenant: ofTenant,
  ...within("Done"), limit, all
}, (input) => talking(load(() => import("../commands/history.ts"), ({ audit }) => audit(input)))).pipe(
  Command.withDescription("List who did what, newest first, for operators of the tenant or of the installation")
)

export const targets = Command.make("targets").pipe(
  Command.withDescription("Where images are delivered to"),
  Command.withSubcommands([
    Command.make("check", {
      file: Argument.String("file").pipe(Argument.withDescription("A request as for kiln build, whose targets are tried; - reads standard input"), Argument.optional),
      target: optional("target", "Without a file: one target as JSON, such as {\"type\":\"s3\",\"bucket\":\"images\",\"credentials\":\"prod\"}")
    }, (input) => talking(load(() => import("../commands/targets.ts"), ({ checkTargets }) => checkTargets(input)))).pipe(
      Command.withDescription("Try what deliveries would do, before a build is wasted; nothing is left behind")
    )
  ])
)

const setName = Argument.String("name").pipe(Argument.withDescription("The set's name"))

export const credentials = Command.make("credentials").pipe(
  Command.withDescription("What opens clouds and registries for your targets"),
  Command.withSubcommands([
    Command.make("list", {}, () => talking(load(() => import("../commands/credentials.ts"), ({ listCredentials }) => listCredentials()))).pipe(
      Command.withDescription("List the sets, without their values")
    ),
    Command.make("set", {
      name: setName,
      fromFile: Flag.String("from-file").pipe(Flag.withMetavar("file"), described("The set as JSON or YAML; - reads standard input"))
    }, (input) => talking(load(() => import("../commands/credentials.ts"), ({ setCredentials }) => setCredentials(input)))).pipe(
      Command.withDescription("Store a set, in place of one of that name")
    ),
    Command.make("remove", { name: setName, yes }, (input) =>
      talking(load(() => import("../commands/credentials.ts"), ({ removeCredentials }) => removeCredentials(input)))).pipe(
      Command.withDescription("Remove a set")
    )
  ])
)

const tenant = Argument.String("tenant").pipe(Argument.withDescription("The tenant's name"))

const policy = Command.make("policy").pipe(
  Command.withDescription("What a tenant may use"),
  Command.withSubcommands([
    Command.make("show", { tenant }, (input) =>
      talking(load(() => import("../commands/policy.ts"), ({ showPolicy }) => showPolicy(input)))).pipe(
      Command.withDescription("Show a tenant's policy, and where each field comes from")
    ),
    Command.make("set", {
      tenant,
      file: Argument.String("file").pipe(Argument.withDescription("The policy as JSON or YAML; - reads standard input"))
    }, (input) => talking(load(() => import("../commands/policy.ts"), ({ setPolicy }) => setPolicy(input)))).pipe(
      Command.withDescription("Set a tenant's policy; fields that it leaves out are the policy file's")
    ),
    Command.make("clear", { tenant, yes }, (input) =>
      talking(load(() => import("../commands/policy.ts"), ({ clearPolicy }) => clearPolicy(input)))).pipe(
      Command.withDescription("Go back to the policy file's policy")
    )
  ])
)

export const tenants = Command.make("tenants").pipe(
  Command.withDescription("Tenants and their policies, for operators"),
  Command.withSubcommands([
    Command.make("list", { limit, all }, (input) => talking(load(() => import("../commands/history.ts"), ({ listTenants }) => listTenants(input)))).pipe(
      Command.withDescription("List tenants and what they have used of their quotas")
    ),
    policy
  ])
)
