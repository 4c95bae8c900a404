/** Runs a program: in its own process group, line by line, and never longer than the fiber that asked for it. */
import { spawn, type ChildProcess } from "node:child_process"
import { Effect } from "effect"
import { BuildFailed } from "../../domain/ports/image-builder.ts"

export interface Command {
  readonly argv: readonly [string, ...ReadonlyArray<string>]
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  readonly stdin?: string
  readonly onLine?: (line: string) => void
  /** Collect stdout in `stdout`, instead of reporting its lines. */
  readonly collect?: boolean
}

export interface Ran {
  readonly code: number
  readonly stdout: string
  /** The last lines of what it said. */
  readonly tail: ReadonlyArray<string>
}

const tailLength = 40
const graceMs = 3000

const signalGroup = (child: ChildProcess, signal: NodeJS.Signals) => {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, signal)
  } catch {
    // Gone already.
  }
}

/** The whole group is asked to end, and made to after three seconds; done when its output is closed. */
const stop = (child: ChildProcess, closed: Promise<void>): Effect.Effect<void> =>
  Effect.promise(async () => {
    signalGroup(child, "SIGTERM")
    const timer = setTimeout(() => signalGroup(child, "SIGKILL"), graceMs)
    await closed
    clearTimeout(timer)
  })

/** Lines end with LF, or CR where a tool redraws its progress; a line without end is cut at 16 kB. */
const splitter = (emit: (line: string) => void) => {
  let rest = ""
  return {
    write: (chunk: string) => {
      const lines = (rest + chunk).split(/\r?\n|\r/)
      rest = lines.pop() ?? ""
      if (rest.length > 16_384) {
        lines.push(rest)
        rest = ""
      }
      for (const line of lines) emit(line)
    },
    end: () => rest !== "" && emit(rest)
  }
}

export const run = (command: Command): Effect.Effect<Ran, BuildFailed> =>
  Effect.callback<Ran, BuildFailed>((resume) => {
    const tail: Array<string> = []
    const stdout: Array<string> = []
    const emit = (line: string) => {
      if (line === "") return
      tail.push(line)
      if (tail.length > tailLength) tail.shift()
      command.onLine?.(line)
    }
    // Should this process be killed outright, the program goes too: nobody would end it later.
    const child = spawn("setpriv", ["--pdeathsig", "KILL", "--", ...command.argv], {
      cwd: command.cwd ?? "/",
      env: { PATH: path, HOME: "/root", LC_ALL: "C.UTF-8", TZ: "UTC", ...command.env },
      stdio: [command.stdin === undefined ? "ignore" : "pipe", "pipe", "pipe"],
      detached: true
    })
    const said = splitter(emit)
    const out = command.collect ? { write: (chunk: string) => stdout.push(chunk), end: () => {} } : splitter(emit)
    child.stdout?.setEncoding("utf8").on("data", out.write)
    child.stderr?.setEncoding("utf8").on("data", said.write)
    child.stdin?.on("error", () => {}).end(command.stdin)
    const closed = new Promise<void>((resolve) => {
      child.on("error", (error) => {
        resolve()
        resume(
          Effect.fail(
            new BuildFailed({ class: "platform", message: `cannot start ${command.argv[0]}: ${error.message}` })
          )
        )
      })
      child.on("close", (code) => {
        resolve()
        out.end()
        said.end()
        resume(missing(code, tail) ?? Effect.succeed({ code: code ?? 137, stdout: stdout.join(""), tail }))
      })
    })
    return stop(child, closed)
  })

const missing = (code: number | null, tail: ReadonlyArray<string>) => {
  const name = code === 127 ? /setpriv: failed to execute (.+): No such file/.exec(tail.join("\n"))?.[1] : undefined
  return name === undefined
    ? undefined
    : Effect.fail(
        new BuildFailed({
          class: "platform",
          message: `this machine has no program "${name}"; see the list of packages a worker needs`
        })
      )
}

/** Administration programs are not on every account's path. */
export const path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/** Fails with what `why` makes of a program that ended badly. */
export const runOrFail = (command: Command, why: (ran: Ran) => BuildFailed): Effect.Effect<Ran, BuildFailed> =>
  Effect.flatMap(run(command), (ran) => (ran.code === 0 ? Effect.succeed(ran) : Effect.fail(why(ran))))
