/** One at a time over all processes of a machine that share a cache. */
import { type ChildProcess, spawn } from "node:child_process"
import { mkdir } from "node:fs/promises"
import { dirname } from "node:path"
import { Effect, type Scope } from "effect"

/**
 * Held until the scope ends, or this process does, however that ends. Node has no locks of its own, so that a program holds it:
 * it says when it has it, and goes when its input ends. `onWait` is told when somebody else has it.
 */
export const locked = (path: string, onWait: () => void = () => {}): Effect.Effect<void, Error, Scope.Scope> =>
  Effect.gen(function*() {
    const holders = new Holders(path)
    // Before there is anything to give back: whoever is interrupted at the moment he gets it gives it back too.
    yield* Effect.addFinalizer(() => Effect.sync(() => holders.close()))
    yield* Effect.tryPromise({ try: () => mkdir(dirname(path), { recursive: true }), catch: (error) => error as Error })
    if (yield* holders.try("--nonblock", "--conflict-exit-code", String(taken))) return
    onWait()
    yield* holders.try()
  })

/** No exit code of flock's own. */
const taken = 75

class Holders {
  readonly #path: string
  readonly #started: Array<ChildProcess> = []
  #isHeld = false

  constructor(path: string) {
    this.#path = path
  }

  /** Whether it is held now; `false` only where it was not to be waited for. */
  try(...options: ReadonlyArray<string>): Effect.Effect<boolean, Error> {
    return Effect.callback((resume) => {
      // What flock starts has the lock too, and goes with its input, which ends when this process does.
      const holder = spawn("setpriv", ["--pdeathsig", "KILL", "--", "flock", ...options, this.#path, "sh", "-c", "echo; read -r end"], {
        stdio: ["pipe", "pipe", "ignore"]
      })
      this.#started.push(holder)
      holder.once("error", (error) => resume(Effect.fail(error)))
      holder.once("exit", (code) => resume(code === taken ? Effect.succeed(false) : Effect.fail(new Error(`flock ended with ${code}`))))
      holder.stdin.on("error", () => {})
      holder.stdout.once("data", () => {
        this.#isHeld = true
        resume(Effect.succeed(true))
      })
    })
  }

  close(): void {
    for (const holder of this.#started) {
      holder.stdin?.end()
      if (!this.#isHeld) holder.kill("SIGKILL")
    }
  }
}
