/** What osbuild's result says of a build that went wrong. Pure. */
import { BuildFailed } from "../../domain/ports/image-builder.ts"
import { failureOf } from "../debian/failures.ts"

interface Result {
  readonly success?: unknown
  readonly type?: unknown
  readonly errors?: ReadonlyArray<{ readonly message?: unknown; readonly path?: ReadonlyArray<unknown> }>
  readonly error?: {
    readonly type?: unknown
    readonly details?: {
      readonly stage?: { readonly type?: unknown; readonly output?: unknown; readonly error?: unknown }
      readonly source?: { readonly type?: unknown; readonly output?: unknown }
    }
  }
}

const linesKept = 40
const endOf = (text: unknown) => String(text ?? "").trimEnd().split("\n").slice(-linesKept).join("\n")

/** `undefined` where it went well. */
export const whyOsbuild = (code: number, stdout: string, tail: ReadonlyArray<string>): BuildFailed | undefined => {
  const { error, errors = [], success } = resultOf(stdout)
  if (code === 0 && success === true) return undefined
  const { source, stage } = error?.details ?? {}
  if (source !== undefined || error?.type === "org.osbuild.error.source") {
    return new BuildFailed({ class: "repository", message: `osbuild could not fetch from the source ${source?.type ?? "of the manifest"}`, excerpt: endOf(source?.output) })
  }
  if (stage !== undefined) {
    const excerpt = endOf(stage.output ?? stage.error)
    return new BuildFailed({ class: "platform", message: failureOf(`the stage ${stage.type}`, code, excerpt.split("\n")).message, excerpt })
  }
  const [first] = errors
  if (first !== undefined) {
    return new BuildFailed({
      class: "platform", message: `osbuild refuses the manifest: ${(first.path ?? []).join(".")}: ${first.message}`,
      excerpt: errors.map(({ message, path = [] }) => `${path.join(".")}: ${message}`).slice(0, linesKept).join("\n")
    })
  }
  return failureOf("osbuild", code, tail.length > 0 ? tail : endOf(stdout).split("\n"))
}

const resultOf = (stdout: string): Result => {
  try {
    const value: unknown = JSON.parse(stdout)
    return typeof value === "object" && value !== null ? value : {}
  } catch {
    return {}
  }
}
