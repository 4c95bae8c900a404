/** One at a time over all processes of a machine that share a cache. */
import { Effect, type Scope } from "effect"
import { mkdir } from "node:fs/promises"
import { dirname } from "node:path"
import { spawn } from "node:child_process"

/**
 * Held until the scope ends, or this process does. Node has no locks of its own, so that a program holds it: it says when
 * it has it, and goes when its input ends.
 */
export const locked = (path: string): Effect.Effect<void, Error, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<() => void, Error>((resume) => {
      const child = { kill: () => {} }
      void mkdir(dirname(path), { recursive: true }).then(() => {
        const holder = spawn("setpriv", ["--pdeathsig", "KILL", "--", "flock", path, "sh", "-c", "echo; read -r end"], {
          stdio: ["pipe", "pipe", "ignore"]
        })
        child.kill = () => void holder.kill("SIGKILL")
        holder.once("error", (error) => resume(Effect.fail(error)))
        holder.once("exit", (code) => resume(Effect.fail(new Error(`flock ended with ${code}`))))
        holder.stdin.on("error", () => {})
        holder.stdout.once("data", () => resume(Effect.succeed(() => void holder.stdin.end())))
      }, (error: Error) => resume(Effect.fail(error)))
      return Effect.sync(() => child.kill())
    }),
    (release) => Effect.sync(release),
    { interruptible: true }
  )
