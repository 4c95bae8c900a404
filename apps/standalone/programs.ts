/** Kiln's own processes: which there are, what each may know, where its words go. */
import { existsSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Effect } from "effect"
import { dieWithParent, spawnChild } from "../../infra/process/child.ts"
import { workerEnvironment } from "../../infra/process/worker-environment.ts"
import { endOrphan, startOf } from "./orphans.ts"
import type { Run } from "./supervise.ts"

export const programs = ["gateway", "scheduler", "projector", "webhooks", "worker"] as const
/** A scaler only where there is a file for it. */
export type ProgramName = typeof programs[number] | "scaler"

/** MiB. Small young generations save tens of MiB in each of the processes; the busiest get more, for their speed. */
const youngGeneration: Record<ProgramName, number> = { gateway: 8, scheduler: 8, projector: 8, webhooks: 4, worker: 8, scaler: 2 }

/** What is left behind should go before as much again has come: by thousands of streams that are opened at once, by a package index that is read. */
const others: Partial<Record<ProgramName, string>> = { gateway: "--heap-growing-percent=20", worker: "--heap-growing-percent=50" }

/** What Node is started with. */
export const nodeFlags = (program: ProgramName): ReadonlyArray<string> =>
  (process.env["KILN_NODE_FLAGS"] ?? `--max-semi-space-size=${youngGeneration[program]} ${others[program] ?? ""}`).split(" ").filter((flag) => flag !== "")

const apps = join(import.meta.dirname, "..")
const largestLog = 10 * 1024 ** 2

export const environmentOf = (program: ProgramName, env: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  program === "worker" ? workerEnvironment(env) : env

export interface RunOptions {
  readonly home: string
  /** `worker-2` for a second worker. */
  readonly name: string
  readonly program: ProgramName
  readonly env: NodeJS.ProcessEnv
}

export const logFile = (home: string, name: string) => join(home, "logs", `${name}.log`)

/** One run of one of them. */
export const runProgram = Effect.fnUntraced(function*({ env, home, name, program }: RunOptions) {
  const log = logFile(home, name)
  const pidFile = join(home, "run", `${name}.pid`)
  yield* endOrphan(pidFile)
  const main = join(apps, program, "main.ts")
  const child = yield* spawnChild({
    argv: dieWithParent("SIGTERM", [process.execPath, ...nodeFlags(program), main]),
    env: environmentOf(program, env),
    output: log
  })
  writeFileSync(pidFile, `${child.pid} ${startOf(child.pid)}\n`)
  yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(pidFile, { force: true })))
  const run: Run = {
    pid: child.pid,
    ended: Effect.map(child.exited, ({ code, signal }) =>
      `${signal ?? `exit code ${code}`}${lastWords(log)}`),
    kill: child.signal,
    stop: child.stop
  }
  return run
})

/** Once a start: what is large goes aside. */
export const rotate = (log: string) => {
  if (existsSync(log) && statSync(log).size > largestLog) renameSync(log, `${log}.1`)
}

const fatal = /"level":"FATAL"|"logLevel":"FATAL"/

/** The message of the last fatal line, which is why a process could not go on. */
const lastWords = (log: string) => {
  try {
    const line = readFileSync(log, "utf8").trimEnd().split("\n").slice(-3).findLast((text) => fatal.test(text))
    const { cause, message } = JSON.parse(line ?? "{}") as { message?: unknown; cause?: unknown }
    const words = [cause, ...[message].flat()].filter((word): word is string => typeof word === "string")
    return words.length === 0 ? "" : `: ${words[0]!.split("\n")[0]}`
  } catch {
    return ""
  }
}
