/** Runs a program: in its own process group, line by line, and never longer than the fiber that asked for it. */
import { spawn, type ChildProcess } from "node:child_process"
import type { Readable } from "node:stream"
import { Effect } from "effect"
import { BuildFailed } from "../../domain/ports/image-builder.ts"
import { AttemptMeter, type Meter } from "../../domain/ports/meter.ts"
import { cpuMsBelow, cpuMsIn, timed, timesDescriptor } from "./cpu-time.ts"

export interface Command {
  readonly argv: readonly [string, ...ReadonlyArray<string>]
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  readonly stdin?: string
  readonly onLine?: (line: string) => void
  /** Its process id, when it has one. */
  readonly onStart?: (pid: number) => void
  /** Takes the lines of stdout, which are then no part of the tail. */
  readonly onStdout?: (line: string) => void
  /** Collect stdout in `stdout`, instead of reporting its lines. */
  readonly collect?: boolean
  /** What the program writes to its file descriptor 3, as it comes. */
  readonly onChannel?: (text: string) => void
  /** How it is asked to end (SIGTERM), and how long it may take over that before it is killed (3 s). */
  readonly stopSignal?: NodeJS.Signals
  readonly graceMs?: number
}

export interface Ran {
  readonly code: number
  readonly stdout: string
  /** The last lines of what it said. */
  readonly tail: ReadonlyArray<string>
}

const tailLength = 40
const usualGraceMs = 3000

const signalGroup = (child: ChildProcess, signal: NodeJS.Signals) => {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, signal)
  } catch {
    // Gone already.
  }
}

/** Whoever has left the group may still hold its output open: nobody listens to it any more. */
const end = (child: ChildProcess) => {
  signalGroup(child, "SIGKILL")
  for (const stream of child.stdio) stream?.destroy()
}

/** The whole group is asked to end, and made to after the grace time; done when its output is closed. */
const stop = (child: ChildProcess, closed: Promise<void>, { graceMs = usualGraceMs, stopSignal = "SIGTERM" }: Command): Effect.Effect<void> =>
  Effect.promise(async () => {
    signalGroup(child, stopSignal)
    const timer = setTimeout(() => end(child), graceMs)
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

/** What is run for an attempt is counted as that attempt's. */
export const run = (command: Command): Effect.Effect<Ran, BuildFailed> => Effect.flatMap(AttemptMeter, (meter) => ran(command, meter))

const ran = (command: Command, meter: Meter | undefined): Effect.Effect<Ran, BuildFailed> =>
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
    const argv = meter === undefined ? command.argv : timed(command.argv, command.onChannel !== undefined)
    const channels: Array<"pipe" | "ignore"> = command.onChannel !== undefined ? ["pipe"] : meter !== undefined ? ["ignore"] : []
    const child = spawn("setpriv", ["--pdeathsig", "KILL", "--", ...argv], {
      cwd: command.cwd ?? "/",
      env: { PATH: path, HOME: "/root", LC_ALL: "C.UTF-8", TZ: "UTC", ...command.env },
      stdio: [command.stdin === undefined ? "ignore" : "pipe", "pipe", "pipe", ...channels, ...meter === undefined ? [] : ["pipe" as const]],
      detached: true
    })
    if (child.pid !== undefined) command.onStart?.(child.pid)
    const said = splitter(emit)
    const out = command.collect ? { write: (chunk: string) => stdout.push(chunk), end: () => {} } : splitter(command.onStdout ?? emit)
    child.stdout?.setEncoding("utf8").on("data", out.write)
    child.stderr?.setEncoding("utf8").on("data", said.write)
    const channel = child.stdio[3] as Readable | undefined
    channel?.setEncoding("utf8").on("data", command.onChannel!)
    let [times, atStop] = ["", 0]
    const told = child.stdio[timesDescriptor] as Readable | undefined
    told?.setEncoding("utf8").on("data", (text: string) => (times += text))
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
      // What it began and did not wait for ends with it.
      child.on("exit", () => {
        const timer = setTimeout(() => end(child), command.graceMs ?? usualGraceMs)
        child.on("close", () => clearTimeout(timer))
      })
      child.on("close", (code) => {
        resolve()
        out.end()
        said.end()
        meter?.cpu(Math.max(cpuMsIn(times), atStop))
        resume(missing(code, tail) ?? Effect.succeed({ code: code ?? 137, stdout: stdout.join(""), tail }))
      })
    })
    return Effect.suspend(() => {
      if (meter !== undefined && child.pid !== undefined) atStop = cpuMsBelow(child.pid)
      return stop(child, closed, command)
    })
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
