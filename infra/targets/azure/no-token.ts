/** Why there was no token. An authority's answer is not the service's: its 404 does not mean that an image is gone. */
import type { TokenCredential } from "@azure/identity"
import type { Said } from "../failures.ts"

export class NoToken extends Error {
  readonly said: Said
  constructor(said: Said) {
    super(said.message)
    this.said = said
  }
}

/** `passing`: statuses that another try may do away with. */
export const tellingWhy = (identity: TokenCredential, passing: ReadonlyArray<number> = []): TokenCredential => ({
  getToken: (scopes, options) => identity.getToken(scopes, options).catch((error: unknown) => {
    throw new NoToken(saidOf(error, passing))
  })
})

interface TokenError {
  readonly message?: string
  readonly statusCode?: number
  readonly errorResponse?: { readonly error?: string; readonly errorDescription?: string }
  readonly cause?: { readonly errorCode?: string; readonly status?: number | string }
}

const saidOf = (error: unknown, passing: ReadonlyArray<number>): Said => {
  const { cause, errorResponse, message = String(error), statusCode } = (error ?? {}) as TokenError
  if (cause?.errorCode === noAnswer || message.includes(`${noAnswer}:`)) return { status: undefined, code: "REQUEST_SEND_ERROR", message }
  const [, described] = /Description: (.*?) - Correlation ID:/su.exec(message) ?? []
  const status = statusCode ?? (typeof cause?.status === "number" ? cause.status : undefined)
  return {
    status: status === undefined ? undefined : passing.includes(status) ? 503 : status === 404 ? 401 : status,
    code: errorResponse?.error ?? cause?.errorCode,
    message: (errorResponse?.errorDescription ?? described ?? message).split("\n")[0]!
  }
}

/** How the library for tokens says that nobody answered. */
const noAnswer = "network_error"
