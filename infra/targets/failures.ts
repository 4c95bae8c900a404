/** What went wrong at a provider, in Kiln's classes and the provider's words. */
import { BuildFailed } from "../../domain/ports/image-builder.ts"
import type { FailureClass } from "../../domain/failure-class.ts"
import { privateHost } from "./public-hosts.ts"

/** What an SDK's error says: an HTTP status, and the provider's own code and message. */
export interface Said {
  readonly status: number | undefined
  readonly code: string | undefined
  readonly message: string
  /** For how long it wants to be left alone. */
  readonly retryAfterMs?: number | undefined
}

interface LooseError {
  readonly name?: unknown
  readonly message?: unknown
  readonly code?: unknown
  readonly Code?: unknown
  readonly status?: unknown
  readonly statusCode?: unknown
  readonly syscall?: unknown
  readonly cause?: unknown
  readonly $metadata?: { readonly httpStatusCode?: number }
  readonly $response?: { readonly statusCode?: number; readonly headers?: LooseHeaders }
  readonly response?: { readonly headers?: LooseHeaders }
  readonly retryAfterMs?: unknown
}

type LooseHeaders = { readonly get?: unknown } | Readonly<Record<string, unknown>>

/** Of the errors of AWS, of Google's storage, of Azure and of `fetch`. */
export const saidBy = (error: unknown): Said => {
  const loose = (typeof error === "object" && error !== null ? error : { message: String(error) }) as LooseError
  const { cause, code, message, name } = loose
  // `fetch failed` says nothing; what it was caused by does.
  if (message === "fetch failed" && cause !== undefined) return saidBy(cause)
  const status = [loose.$metadata?.httpStatusCode, loose.$response?.statusCode, loose.statusCode, loose.status, code].find((each) => isStatus(each))
  const word = [loose.Code, code, name].find((each): each is string => typeof each === "string" && !noWord.test(each))
  const retryAfterMs = typeof loose.retryAfterMs === "number" ? loose.retryAfterMs : pauseIn(loose.$response?.headers ?? loose.response?.headers)
  return {
    status, code: word, message: typeof message === "string" && !noWord.test(message) ? message : noMessage(status, word),
    ...(retryAfterMs !== undefined && { retryAfterMs })
  }
}

/** An SDK's own, where a provider has none: an answer to HEAD has no body. */
const noWord = /^(Error|Unknown(Error)?|\d*)$/u

const noMessage = (status: number | undefined, word: string | undefined): string =>
  status === undefined ? word ?? "no word of why" : `the answer was ${status}, and no word of why`

const pauses = [["retry-after-ms", 1], ["x-ms-retry-after-ms", 1], ["x-amz-retry-after", 1], ["retry-after", 1000]] as const

const pauseIn = (headers: LooseHeaders | undefined): number | undefined => {
  for (const [name, unit] of pauses) {
    const value = typeof headers?.get === "function" ? headers.get(name) as unknown : (headers as Record<string, unknown> | undefined)?.[name]
    if (typeof value !== "string" || value.trim() === "") continue
    const pause = /^\s*[0-9]{1,9}\s*$/u.test(value) ? Number(value) * unit : Date.parse(value) - Date.now()
    if (Number.isFinite(pause)) return Math.max(0, pause)
  }
  return undefined
}

const isStatus = (value: unknown): value is number => typeof value === "number" && value >= 400 && value < 600

const tooMuch = /Throttl|SlowDown|LimitExceeded|QuotaExceeded|TooManyRequests|quotaExceeded|rateLimitExceeded|RESOURCE_EXHAUSTED|BandwidthLimit|ServerBusy/u
const network = /^(E(CONN|HOST|NET|PIPE|ADDR|AI_|PROTO|TIMEDOUT)|ENOTFOUND|UND_ERR|ERR_(SSL|TLS|STREAM_PREMATURE)|TimeoutError|AbortError|NetworkingError|RequestTimeout|RequestTimeTooSkewed|InternalError|RequestAborted|REQUEST_SEND_ERROR)/u
/** It will not be any other the next time. */
const notImplemented = 501
/** Of this machine's own files. */
const local = /^(ENOENT|EIO|EMFILE|ENFILE|EACCES|EISDIR|ENOSPC|EBADF|EINVAL)$/u

export const classOf = ({ code = "", message, status }: Said): FailureClass => {
  if (code === privateHost) return "user"
  if (status === 429 || tooMuch.test(code)) return "target-quota"
  if (network.test(code) || status === 408 || (status !== undefined && status >= 500 && status !== notImplemented)) return "target-fault"
  if (status !== undefined) return "user"
  if (local.test(code)) return "platform"
  return /socket hang up|timed? ?out|terminated|connection/iu.test(message) ? "target-fault" : "user"
}

/** `what` was tried, such as `s3:UploadPart`; codes of `user` among those that the class is usually known by can be said otherwise with `as`. */
export const targetFailed = (what: string, error: unknown, as?: FailureClass): BuildFailed => {
  if (error instanceof BuildFailed) return error
  const said = saidBy(error)
  const { code, message, retryAfterMs } = said
  const words = code === undefined || message.includes(code) ? message : `${code}: ${message}`
  return new BuildFailed({ class: as ?? classOf(said), message: redacted(`${what}: ${words}`).slice(0, 2000), ...(retryAfterMs !== undefined && { retryAfterMs }) })
}

const secretQuery = /\b(X-Amz-(?:Signature|Credential|Security-Token)|sig|upload_id|access_token|client_secret|assertion)=[^&\s"'<>]+/giu
const secretHeader = /\b(authorization|x-amz-security-token|x-ms-copy-source)\b(["']?\s*[:=]\s*["']?)[^\r\n"']+/giu
const token = /\b(Bearer|Basic) [A-Za-z0-9._~+/=-]{8,}/gu

/** Providers repeat in their messages what they were asked, and that may open something. */
export const redacted = (text: string): string =>
  text.replace(secretQuery, "$1=***").replace(secretHeader, "$1$2***").replace(token, "$1 ***")
