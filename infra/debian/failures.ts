/** What a tool's last words mean: who has to do something about it. */
import { Effect } from "effect"
import { BuildFailed, type Report } from "../../domain/ports/image-builder.ts"
import { noSpace } from "../process/no-space.ts"

const userError = /^kiln-user-error ([^:]+): (.*)$/

export const excerptOf = (tail: ReadonlyArray<string>) => tail.filter((line) => !userError.test(line)).join("\n")

/** `doing` completes "… failed". */
export const failureOf = (doing: string, code: number, tail: ReadonlyArray<string>): BuildFailed => {
  const excerpt = excerptOf(tail)
  const wrong = tail.map((line) => userError.exec(line)).find((match) => match !== null)
  if (wrong) return new BuildFailed({ class: "user", message: `${wrong[1]}: ${wrong[2]}`, excerpt })
  if (/No space left on device|ENOSPC|Disk quota exceeded/i.test(excerpt)) {
    return new BuildFailed({ class: "platform", message: `${doing} failed: ${noSpace}`, excerpt })
  }
  return new BuildFailed({ class: "platform", message: `${doing} failed (exit ${code})`, excerpt })
}

/** Work in memory may need more than was thought: then once more on the disk, before giving up. */
export const onDiskAfterMemory = <A, R>(
  memory: string,
  report: Report,
  attempt: (memory: string) => Effect.Effect<A, BuildFailed, R>
): Effect.Effect<A, BuildFailed, R> =>
  attempt(memory).pipe(
    Effect.catch((failure) => {
      if (memory === "" || !failure.message.endsWith(noSpace)) return Effect.fail(failure)
      report.line("the memory set aside for this job is full; once more on the disk")
      return attempt("")
    })
  )

/** An error of the file system, as a builder's failure. */
export const diskFailure =
  (doing: string) =>
  (error: unknown): BuildFailed => {
    const { code, message } = error as NodeJS.ErrnoException
    return new BuildFailed({
      class: "platform",
      message: code === "ENOSPC" || code === "EDQUOT" ? `${doing} failed: ${noSpace}` : `${doing} failed: ${message}`
    })
  }
