import { Effect } from "effect"
import { isRoot } from "../sandbox/ids.ts"
import { run } from "./run.ts"

type Argv = readonly [string, ...ReadonlyArray<string>]

const apart: ReadonlyArray<string> = ["unshare", "--mount", "--pid", "--ipc", "--fork", "--kill-child", "--mount-proc", "--"]

let found: Promise<ReadonlyArray<string>> | undefined

/** What this machine allows: root may still be refused in a container. */
const prefix = () =>
  found ??= isRoot()
    ? Effect.runPromise(run({ argv: [...apart, "true"] as unknown as Argv }).pipe(
      Effect.map(({ code }) => code === 0 ? apart : []),
      Effect.orElseSucceed(() => [])
    ))
    : Promise.resolve([])

/**
 * As root, a program gets process and mount namespaces of its own: when its first process ends, by whatever, all that it
 * began ends too and no mount stays, and it sees neither the worker nor other builds. An ordinary user's programs have
 * their process group alone. The network stays: these programs fetch while they build.
 */
export const contained = (argv: Argv): Effect.Effect<Argv> =>
  Effect.map(Effect.promise(prefix), (found) => [...found, ...argv] as unknown as Argv)
