/** Every command's words; what it does is loaded when it is asked for, so that a short one starts fast. */
import { Effect } from "effect"
import { Argument, Command, Completions, Flag } from "effect/cli"
import { print } from "./output.ts"
import { alone, root, talking } from "./root.ts"

const load = <Module, A, E, R>(module: () => Promise<Module>, run: (module: Module) => Effect.Effect<A, E, R>) =>
  Effect.flatMap(Effect.promise(module), run)

const described = (words: string) => <A>(flag: Flag.Flag<A>) => Flag.withDescription(flag, words)
const off = <A>(flag: Flag.Flag<A>) => Flag.withoutNegation(Flag.withDefault(flag as Flag.Flag<boolean>, false))
const optional = (name: string, words: string) => Flag.String(name).pipe(described(words), Flag.optional)
/** As in projections/all.ts, which takes longer to load than a short command runs; a test holds them together. */
export const projectionNames = ["composes", "jobs", "images", "accounts", "audit"] as const
const id = Argument.String("id").pipe(
  Argument.withDescription("The compose, as kiln list shows it"),
  Argument.filter((text) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text), () => "a compose's id, as kiln list shows it")
)

const build = Command.make("build", {
  file: Argument.String("file").pipe(Argument.withDescription("The request as JSON or YAML; - reads standard input")),
  detach: Flag.Boolean("detach").pipe(described("Print the id and leave, instead of watching"), off),
  download: Flag.String("download").pipe(
    Flag.withOptionalValue("."), Flag.withMetavar("dir"), described("Fetch the files when done, here or to --download=dir"), Flag.optional
  ),
  target: Flag.String("target").pipe(Flag.withMetavar("json"), described("Where the images go, in place of what the file says; any number of times"), Flag.atLeast(0)),
  idempotencyKey: optional("idempotency-key", "The same key makes the same compose, however often it is sent")
}, (input) => talking(load(() => import("./commands/build.ts"), ({ build }) => build(input)))).pipe(
  Command.withDescription("Ask for images and watch them being built"),
  Command.withExamples([
    { command: "kiln build web.yaml --download=images", description: "Build, watch, fetch the files" },
    { command: "kiln build web.yaml --detach --json", description: "Only ask; print the answer as JSON" }
  ])
)

const watch = Command.make("watch", { id }, (input) =>
  talking(load(() => import("./commands/watch.ts"), ({ watch }) => watch(input)))).pipe(
  Command.withDescription("Watch a compose until it ends; --json prints its events, one a line")
)

const logs = Command.make("logs", {
  id,
  job: optional("job", "Only this job, such as 0-build"),
  follow: Flag.Boolean("follow").pipe(Flag.withAlias("f"), described("Go on until the compose ends"), off)
}, (input) => talking(load(() => import("./commands/logs.ts"), ({ logs }) => logs(input)))).pipe(
  Command.withDescription("Print what the jobs of a compose printed")
)

const limit = Flag.Int("limit").pipe(Flag.withMetavar("n"), described("At most so many (20)"), Flag.filter((n) => n > 0, () => "1 or more"), Flag.optional)
const all = Flag.Boolean("all").pipe(described("All pages"), off)
const within = (what: string) => ({
  since: optional("since", `${what} at or after: 2026-01-31, 2026-01-31T12:00:00Z, or 2h for two hours ago`),
  until: optional("until", `${what} before`)
})
const architecture = Flag.Literals("architecture", ["x86_64", "aarch64"]).pipe(described("Only with an image for this architecture"), Flag.optional)
const target = Flag.Literals("target", ["file", "s3", "aws", "gcp", "azure", "oci"]).pipe(described("Only with an image that goes there"), Flag.optional)

const list = Command.make("list", {
  status: Flag.Literals("status", ["pending", "running", "succeeded", "failed", "canceled"]).pipe(described("Only in this state"), Flag.optional),
  distribution: optional("distribution", "Only of this distribution"),
  type: optional("type", "Only with an image of this type"),
  architecture,
  target,
  requester: optional("requester", "Only what this one asked for: the subject of a token"),
  label: Flag.String("label").pipe(Flag.withMetavar("name[=value]"), described("Only with this label, any number of times"), Flag.atLeast(0)),
  ...within("Requested"),
  search: optional("search", "Every word begins a word of id, name, labels, distribution or failure"),
  limit,
  all
}, (input) => talking(load(() => import("./commands/list.ts"), ({ list }) => list(input)))).pipe(
  Command.withDescription("List composes, newest first")
)

const ofTenant = optional("tenant", "Of this tenant, for operators")

const history = Command.make("history", {
  compose: optional("compose", "Only of this compose"),
  kind: Flag.Literals("kind", ["resolve", "build", "test", "upload", "delete"]).pipe(described("Only jobs of this kind"), Flag.optional),
  status: Flag.Literals("status", ["queued", "running", "succeeded", "failed", "lost", "canceled"]).pipe(described("Only in this state"), Flag.optional),
  worker: optional("worker", "Only by this worker"),
  ...within("Queued"), limit, all
}, (input) => talking(load(() => import("./commands/history.ts"), ({ history }) => history(input)))).pipe(
  Command.withDescription("List what jobs have run, newest first: every attempt, where, how long, and what came of it")
)

const images = Command.make("images", {
  compose: optional("compose", "Only of this compose"),
  distribution: optional("distribution", "Only of this distribution"),
  type: optional("type", "Only of this image type"),
  architecture,
  target,
  digest: optional("digest", "Only with these bytes"),
  ...within("Built"), limit, all
}, (input) => talking(load(() => import("./commands/history.ts"), ({ listImages }) => listImages(input)))).pipe(
  Command.withDescription("List images that were built and where their copies are, newest first")
)

const usage = Command.make("usage", {
  by: Flag.Literals("by", ["total", "day", "compose"]).pipe(described("Summed up in all, by day (UTC) or by compose (total)"), Flag.withDefault("total" as const)),
  tenant: ofTenant,
  ...within("Of attempts that ended"), limit, all
}, (input) => talking(load(() => import("./commands/history.ts"), ({ usage }) => usage(input)))).pipe(
  Command.withDescription("Show build minutes, bytes and what they cost")
)

const audit = Command.make("audit", {
  actor: optional("actor", "Only by this one: the subject of a token"),
  action: optional("action", "Only this, such as ComposeCanceled"),
  id: optional("id", "Only to this compose, or whatever has that id"),
  tenant: ofTenant,
  ...within("Done"), limit, all
}, (input) => talking(load(() => import("./commands/history.ts"), ({ audit }) => audit(input)))).pipe(
  Command.withDescription("List who did what, newest first, for operators of the tenant or of the installation")
)

const asOf = optional("as-of", "As it was at this time: 2026-01-31T12:00:00Z, or 2h for two hours ago")

const show = Command.make("show", { id, asOf }, (input) =>
  talking(load(() => import("./commands/show.ts"), ({ show }) => show(input)))).pipe(
  Command.withDescription("Show a compose with its images, jobs and attempts")
)

const cancel = Command.make("cancel", { id }, (input) =>
  talking(load(() => import("./commands/cancel.ts"), ({ cancel }) => cancel(input)))).pipe(
  Command.withDescription("Cancel a compose")
)

const retry = Command.make("retry", {
  id,
  job: optional("job", "Only this job, such as 0-build"),
  detach: Flag.Boolean("detach").pipe(described("Do not watch what comes of it"), off)
}, (input) => talking(load(() => import("./commands/retry.ts"), ({ retry }) => retry(input)))).pipe(
  Command.withDescription("Try a failed compose again, its failed jobs only")
)

const download = Command.make("download", {
  id,
  output: Flag.String("output").pipe(Flag.withAlias("o"), Flag.withMetavar("dir"), described("Where to put the files (here)"), Flag.withDefault(".")),
  image: Flag.Int("image").pipe(Flag.withMetavar("n"), described("Only image n, counted from 0"), Flag.optional),
  evidence: Flag.Boolean("evidence").pipe(described("Their bills of materials too, beside the provenance"), off)
}, (input) => talking(load(() => import("./commands/download.ts"), ({ download }) => download(input)))).pipe(
  Command.withDescription("Fetch the files of a compose and check them; a broken download goes on where it stopped")
)

const files = Command.make("files").pipe(
  Command.withDescription("Files that requests name by their digests"),
  Command.withSubcommands([
    Command.make("add", {
      files: Argument.String("file").pipe(Argument.withDescription("What to store"), Argument.atLeast(1))
    }, (input) => talking(load(() => import("./commands/files.ts"), ({ addFiles }) => addFiles(input)))).pipe(
      Command.withDescription("Store files and print their digests")
    ),
    Command.make("list", {}, () => talking(load(() => import("./commands/files.ts"), ({ listFiles }) => listFiles()))).pipe(
      Command.withDescription("List stored files, newest first")
    ),
    Command.make("remove", {
      digest: Argument.String("digest").pipe(
        Argument.withDescription("The file, as kiln files list shows it"),
        Argument.filter((text) => /^sha256:[0-9a-f]{64}$/.test(text), () => "a digest, sha256: and 64 hex digits")
      )
    }, (input) => talking(load(() => import("./commands/files.ts"), ({ removeFile }) => removeFile(input)))).pipe(
      Command.withDescription("Remove a stored file; builds that name it fail from then on")
    )
  ])
)

const evidence = Command.make("evidence", {
  id,
  output: Flag.String("output").pipe(Flag.withAlias("o"), Flag.withMetavar("dir"), described("Where to put the documents (here)"), Flag.withDefault(".")),
  image: Flag.Int("image").pipe(Flag.withMetavar("n"), described("Only image n, counted from 0"), Flag.optional)
}, (input) => talking(load(() => import("./commands/evidence.ts"), ({ evidence }) => evidence(input)))).pipe(
  Command.withDescription("Fetch what is said of a compose's images: provenance, bills of materials, locks, checksums")
)

const verifyImage = Command.make("verify-image", {
  file: Argument.String("file").pipe(Argument.withDescription("The image, as it was downloaded")),
  provenance: optional("provenance", "Its provenance (else <file>.provenance.json)"),
  key: optional("key", "Public key that it must be signed by, as PEM (else KILN_PROVENANCE_KEY, else that of the Kiln of KILN_HOME)"),
  sbom: optional("sbom", "A bill of materials that must be the image's (else <file>.spdx.json and <file>.cdx.json, where they are)")
}, (input) => alone(load(() => import("./commands/verify-image.ts"), ({ verifyImage }) => verifyImage(input)))).pipe(
  Command.withDescription("Check a downloaded image against its signed provenance, without asking anybody")
)

const verifyBuild = Command.make("verify-build", {
  id,
  image: Flag.Int("image").pipe(Flag.withMetavar("n"), described("Image n, counted from 0 (0)"), Flag.withDefault(0)),
  detach: Flag.Boolean("detach").pipe(described("Print the id of the compose that verifies and leave, instead of watching"), off)
}, (input) => talking(load(() => import("./commands/verify-build.ts"), ({ verifyBuild }) => verifyBuild(input)))).pipe(
  Command.withDescription("Have an image built again, by another worker if there is one, and say how the two differ")
)

const compare = Command.make("compare", {
  first: Argument.String("first").pipe(Argument.withDescription("A disk of any usual format, a squashfs or a tar, also compressed")),
  second: Argument.String("second").pipe(Argument.withDescription("Another"))
}, (input) => alone(load(() => import("./commands/compare.ts"), ({ compare }) => compare(input)))).pipe(
  Command.withDescription("Say how two images differ, by file; needs the tools of a worker")
)

const vulnerabilities = Command.make("vulnerabilities", {
  id,
  image: Flag.Int("image").pipe(Flag.withMetavar("n"), described("Of image n, counted from 0 (0)"), Flag.withDefault(0))
}, (input) => talking(load(() => import("./commands/vulnerabilities.ts"), ({ vulnerabilities }) => vulnerabilities(input)))).pipe(
  Command.withDescription("List known flaws of an image's packages, the gravest first")
)

const distributions = Command.make("distributions", {}, () =>
  talking(load(() => import("./commands/distributions.ts"), ({ distributions }) => distributions()))).pipe(
  Command.withDescription("List what can be built")
)

const packages = Command.make("packages", {
  search: Argument.String("search").pipe(Argument.withDescription("The beginning of a package's name")),
  distribution: Flag.String("distribution").pipe(Flag.withAlias("d"), described("In which distribution")),
  architecture: Flag.Literals("architecture", ["x86_64", "aarch64"]).pipe(described("For which architecture (x86_64)"), Flag.withDefault("x86_64" as const)),
  limit: Flag.Int("limit").pipe(Flag.withMetavar("n"), described("At most so many, 1 to 100"), Flag.optional)
}, (input) => talking(load(() => import("./commands/packages.ts"), ({ packages }) => packages(input)))).pipe(
  Command.withDescription("Search the packages of a distribution")
)

const depsolve = Command.make("depsolve", {
  file: Argument.String("file").pipe(Argument.withDescription("A request as for kiln build, of whose images the packages are listed; - reads standard input"), Argument.optional),
  distribution: optional("distribution", "Without a file: of which distribution").pipe(Flag.withAlias("d")),
  architecture: Flag.Literals("architecture", ["x86_64", "aarch64"]).pipe(described("Without a file: for which architecture (x86_64)"), Flag.withDefault("x86_64" as const)),
  type: optional("type", "Without a file: for which image type (the first that is offered)"),
  package: Flag.String("package").pipe(Flag.withAlias("p"), Flag.withMetavar("name[=version]"), described("Without a file: a package, any number of times"), Flag.atLeast(0))
}, (input) => talking(load(() => import("./commands/depsolve.ts"), ({ depsolve }) => depsolve(input)))).pipe(
  Command.withDescription("List the exact packages of an image, and how much there is to download"),
  Command.withExamples([
    { command: "kiln depsolve web.yaml", description: "Of a request that is not made yet" },
    { command: "kiln depsolve --distribution debian-13 --package nginx-light", description: "Of what is said here" }
  ])
)

const token = Command.make("token", {
  tenant: Flag.String("tenant").pipe(described("For whom"), Flag.withDefault("default")),
  role: Flag.Literals("role", ["requester", "operator", "worker"]).pipe(described("As what (requester)"), Flag.withDefault("requester" as const)),
  ttl: Flag.String("ttl").pipe(Flag.withMetavar("span"), described("How long it counts: 90s, 15m, 1h, 30d (1h)"), Flag.withDefault("1h")),
  pool: optional("pool", "The pool a worker may serve, or several joined by _"),
  worker: optional("worker", "The one name a worker may have; without it, any in its pool")
}, (input) => alone(load(() => import("./commands/token.ts"), ({ token }) => token(input)))).pipe(
  Command.withDescription("Print a token of this machine's own issuer")
)

const replay = Command.make("replay", {
  projection: Flag.Literals("projection", projectionNames).pipe(described("Which read model")),
  tenant: optional("tenant", "Only the rows of this tenant"),
  from: Flag.Int("from").pipe(Flag.withMetavar("position"), described("Only what has an entry after this place in the log, each from its own beginning"), Flag.optional),
  until: optional("until", "As it was at this time, in a table beside the live one")
}, (input) => alone(load(() => import("./replay.ts"), ({ replay }) => replay(input)))).pipe(
  Command.withDescription("Rebuild a read model from the log, while it is being read; run it where npm start runs"),
  Command.withExamples([
    { command: "kiln replay --projection composes", description: "All of it; interrupted, it goes on where it stopped" },
    { command: "kiln replay --projection composes --tenant acme", description: "One tenant's rows" }
  ])
)

const verify = Command.make("verify", {
  projection: Flag.Literals("projection", projectionNames).pipe(described("Only this read model, and not the log itself"), Flag.optional)
}, (input) => alone(load(() => import("./commands/verify.ts"), ({ verify }) => verify(input)))).pipe(
  Command.withDescription("Check that read models are what the log says and that the log is whole; run it where npm start runs")
)

const quota = Command.make("quota", {
  asOf,
  tenant: optional("tenant", "Of this tenant, for operators")
}, (input) => talking(load(() => import("./commands/quota.ts"), ({ quota }) => quota(input)))).pipe(
  Command.withDescription("Show what is limited, how much of it is used, and when there is more")
)

const tenant = Argument.String("tenant").pipe(Argument.withDescription("The tenant's name"))

const policy = Command.make("policy").pipe(
  Command.withDescription("What a tenant may use"),
  Command.withSubcommands([
    Command.make("show", { tenant }, (input) =>
      talking(load(() => import("./commands/policy.ts"), ({ showPolicy }) => showPolicy(input)))).pipe(
      Command.withDescription("Show a tenant's policy, and where each field comes from")
    ),
    Command.make("set", {
      tenant,
      file: Argument.String("file").pipe(Argument.withDescription("The policy as JSON or YAML; - reads standard input"))
    }, (input) => talking(load(() => import("./commands/policy.ts"), ({ setPolicy }) => setPolicy(input)))).pipe(
      Command.withDescription("Set a tenant's policy; fields that it leaves out are the policy file's")
    ),
    Command.make("clear", { tenant }, (input) =>
      talking(load(() => import("./commands/policy.ts"), ({ clearPolicy }) => clearPolicy(input)))).pipe(
      Command.withDescription("Go back to the policy file's policy")
    )
  ])
)

const remove = Command.make("delete", {
  id,
  image: Flag.Int("image").pipe(Flag.withMetavar("n"), described("Only image n, counted from 0"), Flag.optional),
  target: Flag.Int("target").pipe(Flag.withMetavar("n"), described("Only target n of an image, counted from 0"), Flag.optional)
}, (input) => talking(load(() => import("./commands/copies.ts"), ({ deleteCopies }) => deleteCopies(input)))).pipe(
  Command.withDescription("Remove what a compose has delivered, from its clouds and from Kiln's own store")
)

const retention = Command.make("retention", {
  dryRun: Flag.Boolean("dry-run").pipe(described("Only list them"), off)
}, (input) => talking(load(() => import("./commands/copies.ts"), ({ retention }) => retention(input)))).pipe(
  Command.withDescription("Remove your copies whose time is over now, as happens by itself every few minutes")
)

const targets = Command.make("targets").pipe(
  Command.withDescription("Where images are delivered to"),
  Command.withSubcommands([
    Command.make("check", {
      file: Argument.String("file").pipe(Argument.withDescription("A request as for kiln build, whose targets are tried; - reads standard input"), Argument.optional),
      target: optional("target", "Without a file: one target as JSON, such as {\"type\":\"s3\",\"bucket\":\"images\",\"credentials\":\"prod\"}")
    }, (input) => talking(load(() => import("./commands/targets.ts"), ({ checkTargets }) => checkTargets(input)))).pipe(
      Command.withDescription("Try what deliveries would do, before a build is wasted; nothing is left behind")
    )
  ])
)

const setName = Argument.String("name").pipe(Argument.withDescription("The set's name"))

const credentials = Command.make("credentials").pipe(
  Command.withDescription("What opens clouds and registries for your targets"),
  Command.withSubcommands([
    Command.make("list", {}, () => talking(load(() => import("./commands/credentials.ts"), ({ listCredentials }) => listCredentials()))).pipe(
      Command.withDescription("List the sets, without their values")
    ),
    Command.make("set", {
      name: setName,
      fromFile: Flag.String("from-file").pipe(Flag.withMetavar("file"), described("The set as JSON or YAML; - reads standard input"))
    }, (input) => talking(load(() => import("./commands/credentials.ts"), ({ setCredentials }) => setCredentials(input)))).pipe(
      Command.withDescription("Store a set, in place of one of that name")
    ),
    Command.make("remove", { name: setName }, (input) =>
      talking(load(() => import("./commands/credentials.ts"), ({ removeCredentials }) => removeCredentials(input)))).pipe(
      Command.withDescription("Remove a set")
    )
  ])
)

const tenants = Command.make("tenants").pipe(
  Command.withDescription("Tenants and their policies, for operators"),
  Command.withSubcommands([
    Command.make("list", { limit, all }, (input) => talking(load(() => import("./commands/history.ts"), ({ listTenants }) => listTenants(input)))).pipe(
      Command.withDescription("List tenants and what they have used of their quotas")
    ),
    policy
  ])
)

const workers = Command.make("workers", {
  name: Argument.String("name").pipe(Argument.withDescription("Only workers of this name, with the images they hold in --json"), Argument.optional),
  pool: optional("pool", "Only of this pool")
}, (input) => talking(load(() => import("./commands/workers.ts"), ({ workers }) => workers(input)))).pipe(
  Command.withDescription("List workers and what they do, for operators")
)

const cacheFolder = optional("cache", "Folder of the cache (else KILN_CACHE, else that of KILN_HOME)")

const worker = Command.make("worker").pipe(
  Command.withDescription("The workers of this machine, for who runs them"),
  Command.withSubcommands([
    Command.make("cache", { cache: cacheFolder }, (input) =>
      alone(load(() => import("./commands/worker-cache.ts"), ({ showCache }) => showCache(input)))).pipe(
      Command.withDescription("Show what is in the cache of this machine's workers"),
      Command.withSubcommands([
        Command.make("prune", {
          cache: cacheFolder,
          keep: Flag.String("keep").pipe(Flag.withMetavar("size"), described("How much may stay, such as 2 GiB (0)"), Flag.withDefault("0")),
          kind: optional("kind", "Only of this kind"),
          yes: Flag.Boolean("yes").pipe(described("Remove it; otherwise it is only said what would go"), off)
        }, (input) => alone(load(() => import("./commands/worker-cache.ts"), ({ pruneCache }) => pruneCache(input)))).pipe(
          Command.withDescription("Remove what was used longest ago; what running builds use stays")
        )
      ])
    )
  ])
)

const discard = Command.make("discard", {
  worker: Argument.String("worker").pipe(Argument.withDescription("The name of the worker that holds it")),
  digest: Argument.String("digest").pipe(
    Argument.withDescription("The image, as kiln workers <name> --json shows it"),
    Argument.filter((text) => /^sha256:[0-9a-f]{64}$/.test(text), () => "a digest, sha256: and 64 hex digits")
  )
}, (input) => talking(load(() => import("./commands/workers.ts"), ({ discard }) => discard(input)))).pipe(
  Command.withDescription("Have a worker remove an image that it holds, for operators")
)

const pools = Command.make("pools", {}, () =>
  talking(load(() => import("./commands/pools.ts"), ({ pools }) => pools()))).pipe(
  Command.withDescription("List pools and how full they are, for operators")
)

const reaper = Command.make("reaper", {
  dryRun: Flag.Boolean("dry-run").pipe(described("Only list what would be noted and what would go"), off),
  tenant: optional("tenant", "Only where this tenant delivers to")
}, (input) => talking(load(() => import("./commands/reaper.ts"), ({ reaper }) => reaper(input)))).pipe(
  Command.withDescription("Look for what crashes left behind in clouds, and remove what was found before too, for operators")
)

const parked = Command.make("parked").pipe(
  Command.withDescription("What was put aside since it could not be taken in, for operators"),
  Command.withSubcommands([
    Command.make("list", {}, () =>
      talking(load(() => import("./commands/parked.ts"), ({ listParked }) => listParked()))).pipe(
      Command.withDescription("List what is parked, newest first; --json has the beginning of its text")
    ),
    Command.make("retry", {
      projection: Flag.Literals("projection", projectionNames).pipe(described("Only of this read model"), Flag.optional)
    }, (input) => alone(load(() => import("./commands/parked.ts"), ({ retryParked }) => retryParked(input)))).pipe(
      Command.withDescription("Take in anew what read models have put aside; run it where npm start runs")
    ),
    Command.make("drop", {
      id: Argument.String("id").pipe(
        Argument.withDescription("As kiln parked list shows it"),
        Argument.filter((text) => /^[0-9a-f]{1,1000}$/.test(text), () => "an id as kiln parked list shows it")
      )
    }, (input) => talking(load(() => import("./commands/parked.ts"), ({ dropParked }) => dropParked(input)))).pipe(
      Command.withDescription("Forget it")
    )
  ])
)

const completions = Command.make("completions", {
  shell: Argument.Literals("shell", ["bash", "zsh", "fish"])
}, ({ shell }): Effect.Effect<void, never, Command.CommandContext<"kiln">> =>
  alone(Effect.suspend(() => print(Completions.generate("kiln", shell, Completions.fromCommand(kiln)))))).pipe(
  Command.withDescription("Print a completion script for a shell where `kiln` stands for npm run -s kiln --")
)

export const kiln = root.pipe(Command.withSubcommands([
  { group: "Composes", commands: [build, watch, logs, list, history, images, show, cancel, retry, download, files, remove, retention] },
  { group: "Trust", commands: [evidence, verifyImage, verifyBuild, compare, vulnerabilities] },
  { group: "Catalog", commands: [distributions, packages, depsolve] },
  { group: "Tenants", commands: [quota, usage, audit, credentials, targets, tenants] },
  { group: "Operation", commands: [workers, worker, discard, pools, reaper, parked, token, replay, verify, completions] }
]))
