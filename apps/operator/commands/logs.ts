import { Effect, Option, Stream } from "effect"
import { Kiln } from "../client.ts"
import { commandFailed } from "../command-failed.ts"
import { composeEvents } from "../event-stream.ts"
import { harmless, Output, print } from "../output.ts"

export interface LogsInput {
  readonly id: string
  readonly job: Option.Option<string>
  readonly follow: boolean
}

/** Following ends with the compose. It reads events rather than the log's text, so that a dropped connection loses no line. */
export const logs = Effect.fn("logs")(function*({ follow, id, job }: LogsInput) {
  const { json } = yield* Output
  const kiln = yield* Kiln
  const only = Option.getOrUndefined(job)
  if (!follow) {
    const text = yield* kiln.open(`/composes/${id}/logs`, { query: { job: only } }).pipe(
      Effect.flatMap((response) => Effect.tryPromise({
        try: () => response.text(),
        catch: (error) => commandFailed("unreachable", `The log broke off: ${(error as Error).message}`)
      })),
      Effect.scoped
    )
    const lines = text === "" ? [] : text.replace(/\n$/, "").split("\n")
    return yield* print(...json ? [JSON.stringify({ id, lines }, undefined, 2)] : lines.map(harmless))
  }
  yield* kiln.json(`/composes/${id}`)
  yield* Stream.runForEach(composeEvents(id), (event) =>
    event.event !== "line" || (only !== undefined && event.data.job !== only)
      ? Effect.void
      : print(json ? JSON.stringify(event.data) : harmless(event.data.text)))
})
