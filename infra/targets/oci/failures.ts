/** What a registry's answers mean: who has to do something about it. */
import type { BuildFailed } from "../../../domain/ports/image-builder.ts"
import { targetFailed } from "../failures.ts"
import type { Answer } from "./request.ts"

const words = (text: unknown) => typeof text === "string" ? text.replace(/[\p{Cc}\p{Cf}\s]+/gu, " ").trim().slice(0, 300) : ""

export const unreachable = (url: URL, error: Error): BuildFailed => targetFailed(`${url.host} cannot be reached`, error)

interface Said {
  readonly errors?: ReadonlyArray<{ readonly code?: unknown; readonly message?: unknown }>
  /** Of services that hand tokens out. */
  readonly error?: unknown
  readonly error_description?: unknown
  readonly details?: unknown
}

/** The registry's own code and message. */
export const refused = (doing: string, host: string, { body, headers, status }: Answer): BuildFailed => {
  const said = saidIn(body)
  const [first] = said.errors ?? [{ code: said.error, message: said.error_description ?? said.details }]
  const code = words(first?.code)
  return targetFailed(`${doing} was refused by ${host}`, {
    // What is no error and still not what was asked for may be a registry that is being mended.
    status: status < 400 ? 502 : status, message: `${status} ${words(first?.message)}`.trim(), response: { headers }, ...(code !== "" && { code })
  })
}

const saidIn = (body: Buffer): Said => {
  try {
    return JSON.parse(body.toString()) as Said
  } catch {
    return {}
  }
}
