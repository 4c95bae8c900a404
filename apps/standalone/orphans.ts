/** Processes of a Kiln that was killed. */
import { readFileSync } from "node:fs"
import { Effect } from "effect"
import { poll } from "../../infra/process/poll.ts"

const textOf = (path: string) => {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return ""
  }
}

/** Process ids come again, so a process is its id and the time it was started; nothing for one that is gone. */
export const startOf = (pid: number) => {
  const fields = textOf(`/proc/${pid}/stat`).split(") ").at(-1)?.split(" ") ?? []
  return fields[0] === "Z" ? "" : fields[19] ?? ""
}

/** Ends the process that this file names, if it is still that one: it would hold on to our port, or to our work. */
export const endOrphan = Effect.fnUntraced(function*(pidFile: string) {
  const [pid, start] = textOf(pidFile).trim().split(" ")
  const alive = () => start !== undefined && start !== "" && startOf(Number(pid)) === start
  if (!alive()) return
  const gone = poll(10, () => (alive() ? undefined : true))
  const send = (signal: NodeJS.Signals) => Effect.ignore(Effect.try(() => process.kill(-Number(pid), signal)))
  yield* send("SIGTERM")
  yield* Effect.timeoutOption(gone, "5 seconds")
  yield* send("SIGKILL")
  yield* gone
})
