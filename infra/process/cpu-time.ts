/** How long processors have worked for a program. */
import { readdirSync, readFileSync } from "node:fs"

/** File descriptor on which a program that was begun as `timed` has its times told when it has ended. */
export const timesDescriptor = 4

/**
 * Only a parent is told of its children's times, and Node passes nothing on: so a shell becomes the parent, which goes on
 * where the program is asked to end, exits with its code or 128 and its signal, and leaves neither words nor variables of its own behind.
 */
const script = (keep: string) =>
  `trap : TERM INT HUP; exec 9>&2 2>/dev/null; (exec 2>&9 ${keep}4>&- 9>&-; exec "$@"); code=$?; times >&4; exit $code`

/** `hasChannel`: descriptor 3 is the program's. */
export const timed = (argv: ReadonlyArray<string>, hasChannel: boolean): ReadonlyArray<string> =>
  ["sh", "-c", script(hasChannel ? "" : "3>&- "), "sh", "env", "-u", "PWD", "-u", "OLDPWD", "-u", "SHLVL", "-u", "_", "setpriv", "--pdeathsig", "KILL", "--", ...argv]

/** Of a shell's `times`: user and system, of itself and of all that it has waited for, in milliseconds. */
export const cpuMsIn = (times: string): number =>
  [...times.matchAll(/(\d+)m([\d.]+)s/g)].reduce((sum, [, minutes, seconds]) => sum + Number(minutes) * 60_000 + Number(seconds) * 1000, 0)

const tickMs = 10

/** Of one that still runs, all its threads and the children that it has waited for; nothing of one that is gone. */
export const cpuMsOf = (pid: number): number | undefined => {
  try {
    // What is before may have blanks: it is the program's name.
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)!.split(" ")
    return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) * tickMs
  } catch {
    return undefined
  }
}

const childrenOf = (pid: number): ReadonlyArray<number> => {
  try {
    const threads = readdirSync(`/proc/${pid}/task`)
    return threads.flatMap((thread) => readFileSync(`/proc/${pid}/task/${thread}/children`, "utf8").split(" ")).filter((text) => text !== "").map(Number)
  } catch {
    return []
  }
}

/** Of one that still runs and of all below it: who is killed together with his parent is waited for by nobody who tells. */
export const cpuMsBelow = (pid: number): number => childrenOf(pid).reduce((sum, child) => sum + cpuMsBelow(child), cpuMsOf(pid) ?? 0)
