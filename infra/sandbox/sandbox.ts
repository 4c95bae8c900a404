/**
 * Where programs of strangers run: as nobody of this machine, without a network, with what they are given and no more of
 * its files, within limits. Even a kill -9 of the worker leaves only files.
 */
import { lchownSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { Effect } from "effect"
import type { BuildFailed } from "../../domain/ports/image-builder.ts"
import type { Command, Ran } from "../process/run.ts"
import { firstId, isRoot, mappedPrefix, type Prefix } from "./ids.ts"
import type { Group } from "./cgroup.ts"
import type { Limits } from "./limits.ts"
import { watched } from "./watched.ts"

/** Absolute paths; they have the same names inside. What may be written belongs to whoever runs inside from then on. */
export interface View {
  readonly read: ReadonlyArray<string>
  readonly write: ReadonlyArray<string>
  /** This machine's, for programs whose work it is to fetch something. */
  readonly network?: boolean
}

/** `enter-tree.pl` is for programs in the sandbox. */
export const sandboxDir = import.meta.dirname

export const sandboxPrefix = ({ network, read, write }: View, limits?: Limits, group?: Group): Prefix => [
  ...mappedPrefix(),
  "perl",
  join(sandboxDir, "sandbox.pl"),
  ...(isRoot() ? ["--ids", String(firstId())] : []),
  ...[sandboxDir, ...read].flatMap((path) => ["--read", path]),
  ...write.flatMap((path) => ["--write", path]),
  ...(limits
    ? ["--processes", String(limits.processes), "--memory", String(limits.memory), "--file", String(limits.disk)]
    : []),
  ...(group ? ["--cgroup", group.dir] : []),
  ...(network ? ["--network", "yes"] : []),
  "--"
] as unknown as Prefix

/** Fails only where a limit is the reason, or the program is not there; `workspace` is the folder whose size is limited. */
export const confined = (command: Command, view: View, workspace: string, limits: Limits): Effect.Effect<Ran, BuildFailed> =>
  watched((group) => ({ ...command, argv: [...sandboxPrefix(view, limits, group), ...command.argv] as unknown as Prefix }), workspace, limits).pipe(
    Effect.tap(() => Effect.sync(() => takeBack(view.write)))
  )

/** What was made in there is the worker's from now on. Only names are followed, never links. */
const takeBack = (folders: ReadonlyArray<string>) => {
  if (!isRoot() || firstId() === 0) return
  for (const folder of folders)
    for (const entry of readdirSync(folder, { withFileTypes: true }))
      if (entry.isFile()) lchownSync(join(folder, entry.name), 0, 0)
}

export const confinedOrFail = (
  command: Command,
  view: View,
  workspace: string,
  limits: Limits,
  why: (ran: Ran) => BuildFailed
): Effect.Effect<Ran, BuildFailed> =>
  Effect.flatMap(confined(command, view, workspace, limits), (ran) => (ran.code === 0 ? Effect.succeed(ran) : Effect.fail(why(ran))))
