import { Context, type Effect } from "effect"

export interface Letter {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** What came of it: a status if there was an answer, else why there was none. */
export interface Answer {
  readonly status: number | undefined
  readonly error: string | undefined
  /** The beginning of the answer's body, as text. */
  readonly excerpt: string | undefined
  /** For how long the endpoint has asked to be left alone. */
  readonly retryAfterMs: number | undefined
}

/** Speaks to endpoints that tenants have named: bounded in time and size, to nobody whom they may not reach. */
export class WebhookSender extends Context.Service<WebhookSender, {
  send(letter: Letter): Effect.Effect<Answer>
}>()("domain/ports/WebhookSender") {}
