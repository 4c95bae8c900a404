/** Ask for composes, follow them, have what they made. */
import { Argument, Command, Flag } from "effect/cli"
import { talking } from "../root.ts"
import { all, architecture, asOf, described, id, limit, off, optional, target, watching, within, yes } from "./flags.ts"
import { load } from "./load.ts"

export const build = Command.make("build", {
  file: Argument.String("file").pipe(Argument.withDescription("The request as JSON or YAML; - reads standard input")),
  target: Flag.String("target").pipe(Flag.withMetavar("json"), described("Where the images go, in place of what the file says; any number of times"), Flag.atLeast(0)),
  ...watching
}, (input) => talking(load(() => import("../commands/build.ts"), ({ build }) => build(input)))).pipe(
  Command.withDescription("Ask for images and watch them being built"),
  Command.withExamples([
    { command: "kiln build web.yaml --download=images", description: "Build, watch, fetch the files" },
    { command: "kiln build web.yaml --detach --json", description: "Only ask; print the answer as JSON" }
  ])
)

export const watch = Command.make("watch", { id }, (input) =>
  talking(load(() => import("../commands/watch.ts"), ({ watch }) => watch(input)))).pipe(
  Command.withDescription("Watch a compose until it ends; --json prints its events, one a line")
)

export const logs = Command.make("logs", {
  id,
  job: optional("job", "Only this job, such as 0-build"),
  follow: Flag.Boolean("follow").pipe(Flag.withAlias("f"), described("Go on until the compose ends"), off)
}, (input) => talking(load(() => import("../commands/logs.ts"), ({ logs }) => logs(input)))).pipe(
  Command.withDescription("Print what the jobs of a compose printed")
)

export const list = Command.make("list", {
  status: Flag.Literals("status", ["pending", "running", "succeeded", "failed", "canceled"]).pipe(described("Only in this state"), Flag.optional),
  distribution: optional("distribution", "Only of this distribution"),
  type: optional("type", "Only with an image of this type"),
  architecture,
  target,
  blueprint: optional("blueprint", "Only built from this blueprint: its name or id"),
  requester: optional("requester", "Only what this one asked for: the subject of a token"),
  label: Flag.String("label").pipe(Flag.withMetavar("name[=value]"), described("Only with this label, any number of times"), Flag.atLeast(0)),
  ...within("Requested"),
  search: optional("search", "Every word begins a word of id, name, labels, distribution or failure"),
  limit,
  all
}, (input) => talking(load(() => import("../commands/list.ts"), ({ list }) => list(input)))).pipe(
  Command.withDescription("List composes, newest first")
)

export const history = Command.make("history", {
  compose: optional("compose", "Only of this compose"),
  kind: Flag.Literals("kind", ["resolve", "build", "test", "upload", "delete"]).pipe(described("Only jobs of this kind"), Flag.optional),
  status: Flag.Literals("status", ["queued", "running", "succeeded", "failed", "lost", "canceled"]).pipe(described("Only in this state"), Flag.optional),
  worker: optional("worker", "Only by this worker"),
  ...within("Queued"), limit, all
}, (input) => talking(load(() => import("../commands/history.ts"), ({ history }) => history(input)))).pipe(
  Command.withDescription("List what jobs have run, newest first: every attempt, where, how long, and what came of it")
)

export const images = Command.make("images", {
  compose: optional("compose", "Only of this compose"),
  distribution: optional("distribution", "Only of this distribution"),
  type: optional("type", "Only of this image type"),
  architecture,
  target,
  digest: optional("digest", "Only with these bytes"),
  ...within("Built"), limit, all
}, (input) => talking(load(() => import("../commands/history.ts"), ({ listImages }) => listImages(input)))).pipe(
  Command.withDescription("List images that were built and where their copies are, newest first")
)

export const show = Command.make("show", { id, asOf }, (input) =>
  talking(load(() => import("../commands/show.ts"), ({ show }) => show(input)))).pipe(
  Command.withDescription("Show a compose with its images, jobs and attempts")
)

export const cancel = Command.make("cancel", { id }, (input) =>
  talking(load(() => import("../commands/cancel.ts"), ({ cancel }) => cancel(input)))).pipe(
  Command.withDescription("Cancel a compose")
)

export const retry = Command.make("retry", {
  id,
  job: optional("job", "Only this job, such as 0-build"),
  detach: Flag.Boolean("detach").pipe(described("Do not watch what comes of it"), off)
}, (input) => talking(load(() => import("../commands/retry.ts"), ({ retry }) => retry(input)))).pipe(
  Command.withDescription("Try a failed compose again, its failed jobs only")
)

export const download = Command.make("download", {
  id,
  output: Flag.String("output").pipe(Flag.withAlias("o"), Flag.withMetavar("dir"), described("Where to put the files (here)"), Flag.withDefault(".")),
  image: Flag.Int("image").pipe(Flag.withMetavar("n"), described("Only image n, counted from 0"), Flag.optional),
  evidence: Flag.Boolean("evidence").pipe(described("Their bills of materials too, beside the provenance"), off)
}, (input) => talking(load(() => import("../commands/download.ts"), ({ download }) => download(input)))).pipe(
  Command.withDescription("Fetch the files of a compose and check them; a broken download goes on where it stopped")
)

export const files = Command.make("files").pipe(
  Command.withDescription("Files that requests name by their digests"),
  Command.withSubcommands([
    Command.make("add", {
      files: Argument.String("file").pipe(Argument.withDescription("What to store"), Argument.atLeast(1))
    }, (input) => talking(load(() => import("../commands/files.ts"), ({ addFiles }) => addFiles(input)))).pipe(
      Command.withDescription("Store files and print their digests")
    ),
    Command.make("list", {}, () => talking(load(() => import("../commands/files.ts"), ({ listFiles }) => listFiles()))).pipe(
      Command.withDescription("List stored files, newest first")
    ),
    Command.make("remove", {
      digest: Argument.String("digest").pipe(
        Argument.withDescription("The file, as kiln files list shows it"),
        Argument.filter((text) => /^sha256:[0-9a-f]{64}$/.test(text), () => "a digest, sha256: and 64 hex digits")
      ),
      yes
    }, (input) => talking(load(() => import("../commands/files.ts"), ({ removeFile }) => removeFile(input)))).pipe(
      Command.withDescription("Remove a stored file; builds that name it fail from then on")
    )
  ])
)

export const remove = Command.make("delete", {
  id,
  image: Flag.Int("image").pipe(Flag.withMetavar("n"), described("Only image n, counted from 0"), Flag.optional),
  target: Flag.Int("target").pipe(Flag.withMetavar("n"), described("Only target n of an image, counted from 0"), Flag.optional),
  force: Flag.Boolean("force").pipe(described("Though a pipeline's name stands for it"), off),
  yes
}, (input) => talking(load(() => import("../commands/copies.ts"), ({ deleteCopies }) => deleteCopies(input)))).pipe(
  Command.withDescription("Remove what a compose has delivered, from its clouds and from Kiln's own store")
)

export const retention = Command.make("retention", {
  dryRun: Flag.Boolean("dry-run").pipe(described("Only list them"), off),
  yes
}, (input) => talking(load(() => import("../commands/copies.ts"), ({ retention }) => retention(input)))).pipe(
  Command.withDescription("Remove your copies whose time is over now, as happens by itself every few minutes")
)
