/** The events of a compose as they happen, over as many connections as it takes. */
import { Data, Duration, Effect, Schedule, Stream } from "effect"
import { makeParser } from "effect/encoding/Sse"
import type { Ended, Printed, Progressed, StatusChanged } from "../gateway/api/compose-stream.ts"
import { Kiln } from "./client.ts"
import { commandFailed, CommandFailed, exitCodes } from "./command-failed.ts"

export type ComposeEvent =
  | { readonly event: "status"; readonly id?: string; readonly data: StatusChanged }
  | { readonly event: "progress"; readonly id?: string; readonly data: Progressed }
  | { readonly event: "line"; readonly id?: string; readonly data: Printed }
  | { readonly event: "end"; readonly id?: string; readonly data: Ended }

class Dropped extends Data.TaggedError("Dropped")<{ readonly why: string }> {}

export interface Patience {
  readonly firstDelay: Duration.Input
  /** Tries in a row that may fail before it gives up. */
  readonly tries: number
  /** A connection that says nothing for so long is taken for dead. */
  readonly silence: Duration.Input
}

const patience: Patience = { firstDelay: "250 millis", tries: 12, silence: "90 seconds" }

/** Ends after the `end` event; a dropped connection goes on where it stopped. The first one has to succeed at once. */
export const composeEvents = (id: string, { firstDelay, silence, tries }: Patience = patience) =>
  Stream.unwrap(Effect.map(Kiln, (kiln) => {
    let last: string | undefined
    let connected = false
    // Lines come in batches of which only the last has an id, so a batch that was cut comes again from its beginning.
    let place = 0
    let shown = 0
    const connect = () =>
      kiln.open(`/composes/${id}/events`, {
        headers: { accept: "text/event-stream", ...(last === undefined ? {} : { "last-event-id": last }) }
      }).pipe(
        Effect.mapError((error) => connected && passing(error) ? new Dropped({ why: error.message }) : error),
        Effect.map((response) => {
          connected = true
          place = 0
          return eventsOf(response.body!, silence)
        })
      )
    return Stream.suspend(() => Stream.unwrap(connect())).pipe(
      Stream.filter((event) => {
        if (event.event === "line") place += 1
        const isNew = event.event !== "line" || place > shown
        shown = Math.max(place, shown)
        // An event without an id of its own carries that of the one before.
        if (event.id === undefined || event.id === last) return isNew
        last = event.id
        place = shown = 0
        return isNew
      }),
      Stream.concat(Stream.fail(new Dropped({ why: "the connection ended" }))),
      Stream.retry(($) => Schedule.while($(backoff(firstDelay, tries)), ({ input }) => input._tag === "Dropped")),
      Stream.takeUntil(({ event }) => event === "end"),
      Stream.catchTag("Dropped", ({ why }) => Stream.fail(commandFailed("unreachable", `The events of ${id} have stopped: ${why}`)))
    )
  }))

const passing = ({ code }: CommandFailed) => code === exitCodes.unreachable

const longest = Duration.seconds(8)

const backoff = (first: Duration.Input, tries: number) =>
  Schedule.exponential(first).pipe(
    Schedule.modifyDelay(({ duration }) => Effect.succeed(Duration.min(duration, longest))),
    Schedule.jittered,
    Schedule.upTo({ times: tries })
  )

/** Others may be added; `reconnect` says why the stream ends, which is seen soon enough. */
const known: ReadonlySet<string> = new Set<ComposeEvent["event"]>(["status", "progress", "line", "end"])

/** `retry:` lines are passed over: the delays are our own. */
const eventsOf = (body: ReadableStream<Uint8Array>, silence: Duration.Input) => {
  const arrived: Array<ComposeEvent> = []
  const parser = makeParser((event) => {
    if (event._tag === "Event" && known.has(event.event)) arrived.push({ event: event.event, id: event.id, data: JSON.parse(event.data) } as ComposeEvent)
  })
  return Stream.fromReadableStream({
    evaluate: () => body,
    onError: (error) => new Dropped({ why: (error as Error).message })
  }).pipe(
    Stream.timeoutOrElse({ duration: silence, orElse: () => Stream.fail(new Dropped({ why: "nothing came any more" })) }),
    Stream.decodeText(),
    Stream.mapEffect((text) => {
      const error = parser.feed(text)
      return error === undefined ? Effect.succeed(arrived.splice(0)) : Effect.fail(new Dropped({ why: error.message }))
    }),
    Stream.flattenIterable
  )
}
