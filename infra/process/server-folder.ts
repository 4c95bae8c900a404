/**
 * The folder of a server that Kiln runs: who holds it is on record there, so that a later start can tell
 * a server that is in use from one whose Kiln was killed, and end the latter.
 */
import { Effect } from "effect"
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { pause, poll } from "./poll.ts"
import { ServerFailed } from "./server-failed.ts"

export interface ServerFolder {
  readonly server: ServerFailed["server"]
  readonly dir: string
  /** Written by the server itself; its first line is the process id. */
  readonly pidFile: string
}

/** Claims the folder for the scope: makes it, refuses it while another live process holds it, ends an orphan. */
export const claimFolder = Effect.fn("claimFolder")(function*(folder: ServerFolder) {
  const { dir, server } = folder
  yield* Effect.try({
    try: () => {
      mkdirSync(dir, { recursive: true, mode: 0o700 })
      const probe = join(dir, `.writable-${process.pid}`)
      writeFileSync(probe, "")
      rmSync(probe)
    },
    catch: (error) => new ServerFailed({ server, message: `${server} cannot write to ${dir}: ${why(error)}` })
  })
  const holder = holderOf(folder)
  const orphan = serverOf(folder)
  if (holder !== undefined && (orphan !== undefined || holder !== process.pid)) {
    return yield* new ServerFailed({ server, message: `${dir} is in use by another Kiln, process ${holder}` })
  }
  if (orphan === undefined) rmStalePid(folder)
  else yield* end(orphan)
  yield* Effect.acquireRelease(
    Effect.sync(() => writePrivate(holderFile(folder), `${process.pid} ${startOf(process.pid)}\n`)),
    () => Effect.sync(() => rmSync(holderFile(folder), { force: true }))
  )
})

/** Whole or not at all, and readable to nobody else. */
export const writePrivate = (path: string, text: string) => {
  writeFileSync(`${path}.new`, text, { mode: 0o600 })
  renameSync(`${path}.new`, path)
}

export const readOr = <A>(path: string, otherwise: A): string | A => {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return otherwise
  }
}

/** An empty log at this path; the one of the start before is kept beside it. */
export const freshLog = (path: string) => {
  if (existsSync(path)) renameSync(path, `${path}.1`)
  return path
}

const why = (error: unknown) => ((error as NodeJS.ErrnoException).code === "EACCES" ? "permission denied" : String(error))

const holderFile = ({ dir }: ServerFolder) => join(dir, "held-by")

/** Process ids come again, so a process is its id and the time it was started; "" once it has ended. */
const startOf = (pid: number) => {
  const [state, ...fields] = readOr(`/proc/${pid}/stat`, "").split(") ").at(-1)!.split(" ")
  return state === "Z" || state === "X" ? "" : fields[18] ?? ""
}

const holderOf = (folder: ServerFolder) => {
  const [pid, start] = readOr(holderFile(folder), "").trim().split(" ")
  return start !== undefined && start !== "" && start === startOf(Number(pid)) ? Number(pid) : undefined
}

/** The server running on this folder: named by its pid file, and its command line names the folder. */
const serverOf = ({ dir, pidFile }: ServerFolder) => {
  const pid = Number.parseInt(readOr(pidFile, ""), 10)
  const argv = pid > 1 ? readOr(`/proc/${pid}/cmdline`, "").split("\0") : []
  return argv.some((word) => word === dir || word.startsWith(`${dir}/`)) ? pid : undefined
}

/** The process id in a left-over file may belong to somebody else by now, and the server would believe it. */
const rmStalePid = ({ pidFile }: ServerFolder) => {
  const pid = Number.parseInt(readOr(pidFile, ""), 10)
  if (pid > 1 && startOf(pid) !== "") rmSync(pidFile, { force: true })
}

const end = Effect.fnUntraced(function*(pid: number) {
  const started = startOf(pid)
  const gone = poll(10, () => (startOf(pid) === started ? undefined : true))
  const send = (signal: NodeJS.Signals) => Effect.ignore(Effect.try(() => process.kill(pid, signal)))
  yield* send("SIGINT")
  yield* Effect.raceFirst(gone, pause(10_000))
  yield* send("SIGKILL")
  yield* gone
})
