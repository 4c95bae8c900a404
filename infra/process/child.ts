/** A long-lived program run as a child: its own process group, its output kept, gone when the scope closes. */
import { Duration, Effect, Schema, type Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { closeSync, existsSync, openSync } from "node:fs"
import { createInterface } from "node:readline"
import { pause } from "./poll.ts"

export class ChildNotStarted extends Schema.TaggedError<ChildNotStarted>()("ChildNotStarted", {
  program: Schema.String,
  message: Schema.String
}) {}

export interface ChildOptions {
  readonly argv: readonly [program: string, ...args: ReadonlyArray<string>]
  readonly env?: NodeJS.ProcessEnv
  readonly cwd?: string
  /** Where stdout and stderr go: the end of a file, or a function that takes each line. */
  readonly output: string | ((line: string) => void)
  /** How the program is asked to end. */
  readonly stopSignal?: NodeJS.Signals
  /** How long it may take over that before it is killed. */
  readonly grace?: Duration.Input
}

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface Child {
  readonly pid: number
  readonly exited: Effect.Effect<Ended>
  /** Sends a signal to the whole group; nothing happens once the child has ended. */
  readonly signal: (signal: NodeJS.Signals) => Effect.Effect<void>
  /** Asks, waits for the grace time, then kills; answers when the child is gone. */
  readonly stop: Effect.Effect<void>
}

const setpriv = ["/usr/bin/setpriv", "/bin/setpriv"].find((path) => existsSync(path))

/**
 * Has the kernel send the signal when the thread that starts the program dies, even by kill -9.
 * The kernel forgets this where credentials change, so it goes after `unshare` and the like.
 */
export const dieWithParent = (signal: NodeJS.Signals, argv: ChildOptions["argv"]): ChildOptions["argv"] =>
  setpriv === undefined ? argv : [setpriv, "--pdeathsig", signal.slice(3), "--", ...argv]

export const spawnChild = Effect.fn("spawnChild")(
  (options: ChildOptions): Effect.Effect<Child, ChildNotStarted, Scope.Scope> =>
    Effect.acquireRelease(Effect.map(spawned(options), (process) => supervise(process, options)), (child) => child.stop)
)

const spawned = ({ argv: [program, ...args], cwd, env, output }: ChildOptions) =>
  Effect.callback<ChildProcess, ChildNotStarted>((resume) => {
    const failed = (error: Error) => resume(new ChildNotStarted({ program, message: error.message }))
    try {
      const file = typeof output === "string" ? openSync(output, "a", 0o600) : undefined
      const sink = file ?? "pipe"
      const child = spawn(program, args, { cwd, env, detached: true, stdio: ["ignore", sink, sink] })
      if (file !== undefined) closeSync(file)
      if (typeof output === "function") {
        for (const input of [child.stdout, child.stderr]) createInterface({ input: input! }).on("line", output)
      }
      child.once("spawn", () => resume(Effect.succeed(child)))
      child.once("error", failed)
    } catch (error) {
      failed(error as Error)
    }
  })

const supervise = (process_: ChildProcess, { grace = "10 seconds", stopSignal = "SIGTERM" }: ChildOptions): Child => {
  const pid = process_.pid!
  const ended = () => process_.exitCode !== null || process_.signalCode !== null
  const result = (): Ended => ({ code: process_.exitCode, signal: process_.signalCode })
  const exited = Effect.callback<Ended>((resume) => {
    if (ended()) return resume(Effect.succeed(result()))
    const listener = () => resume(Effect.succeed(result()))
    process_.once("exit", listener)
    return Effect.sync(() => process_.off("exit", listener))
  })
  const signal = (name: NodeJS.Signals) => Effect.sync(() => ended() || killGroup(pid, name))
  const stop = signal(stopSignal).pipe(
    Effect.andThen(Effect.raceFirst(exited, pause(Duration.toMillis(grace)))),
    Effect.andThen(signal("SIGKILL")),
    Effect.andThen(exited),
    Effect.asVoid
  )
  return { pid, exited, signal, stop }
}

const killGroup = (pid: number, signal: NodeJS.Signals) => {
  try {
    return process.kill(-pid, signal)
  } catch {
    return false
  }
}
