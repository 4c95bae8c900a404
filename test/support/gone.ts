/** A process is gone only a while after it was killed, and later still where nobody waits for it: whoever says that it is gone asks again. */
import { existsSync, readFileSync } from "node:fs"
import { poll } from "../../infra/process/poll.ts"

const hasEnded = (pid: number) => {
  try {
    return /^State:\t[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"))
  } catch {
    return !existsSync(`/proc/${pid}`)
  }
}

export const gone = (...pids: ReadonlyArray<number>) => poll(10, () => pids.every(hasEnded) || undefined)
