/** Where log and blobs lie, past the gateway: streams, and who reads one of them. */
import { Effect, Option } from "effect"
import { type ConsumerState, LogServer, type StreamState } from "../../../domain/ports/log-server.ts"
import { type LogStream, Periods } from "../../../domain/ports/periods.ts"
import { commandFailed } from "../command-failed.ts"
import { moment } from "../moments.ts"
import { answer } from "../output.ts"
import { logHere } from "../past-the-gateway.ts"
import { count } from "../progress.ts"
import { table } from "../table.ts"
import { bytes } from "../units.ts"

const iso = (at: number | undefined) => at === undefined ? undefined : new Date(at).toISOString()

const asked = <A>(run: (server: LogServer["Service"]) => Effect.Effect<A, { readonly message: string }, Periods>) =>
  Effect.flatMap(logHere("streams"), (reach) =>
    Effect.provide(Effect.flatMap(LogServer, run), reach).pipe(Effect.mapError(({ message }) => commandFailed("unreachable", message))))

export const streams = ({ name }: { readonly name: Option.Option<string> }) =>
  Option.isNone(name) ? allStreams : Effect.flatMap(asked((server) => server.consumers(name.value)), (found) =>
    found === undefined ? Effect.fail(commandFailed("notFound", `There is no stream ${name.value}`)) : readers(found))

const allStreams = Effect.gen(function*() {
  const found = yield* asked(Effect.fnUntraced(function*(server) {
    return withPeriods(yield* server.streams, yield* (yield* Periods).list)
  }))
  yield* answer(found.map(({ archivedBytes, consumers, firstAt, firstSequence, lastAt, lastSequence, ...state }) => ({
    ...state, ...(archivedBytes !== undefined && { archived_bytes: archivedBytes }), first_sequence: firstSequence, last_sequence: lastSequence,
    ...(firstAt !== undefined && { first_at: iso(firstAt) }), ...(lastAt !== undefined && { last_at: iso(lastAt) }), consumers
  })), (output) => table<Shown>(output, [
    { title: "STREAM", of: ({ name }) => name },
    { title: "MESSAGES", of: ({ messages }) => count(messages), right: true },
    { title: "SUBJECTS", of: ({ subjects }) => count(subjects), right: true },
    { title: "SIZE", of: (state) => bytes(state.bytes), right: true },
    { title: "ARCHIVED", of: ({ archivedBytes }) => archivedBytes === undefined ? "" : bytes(archivedBytes), right: true },
    { title: "LAST", of: ({ lastSequence }) => String(lastSequence), right: true },
    { title: "FROM", of: ({ firstAt }) => moment(iso(firstAt), output.utc) },
    { title: "TO", of: ({ lastAt }) => moment(iso(lastAt), output.utc) },
    { title: "READERS", of: ({ consumers }) => String(consumers), right: true },
    { title: "STATE", of: ({ state = "" }) => state },
    { title: "COPIES", of: ({ behind = [], replicas }) => behind.length === 0 ? String(replicas) : `${replicas}, behind: ${behind.join(" ")}`, shrinks: true }
  ], found))
})

/** `state`: of the log's own; one that is `dropped` lies in the archive alone. */
type Shown = StreamState & Partial<Pick<LogStream, "state" | "archivedBytes">>

const withPeriods = (onServer: ReadonlyArray<StreamState>, ofLog: ReadonlyArray<LogStream>): ReadonlyArray<Shown> => {
  const known = new Map(ofLog.map((each) => [each.stream, each]))
  const shown = ({ archivedBytes, state }: LogStream) => ({ state, ...(archivedBytes !== undefined && { archivedBytes }) })
  const away = ofLog.filter(({ state }) => state === "dropped").map((each) => ({
    name: each.stream, messages: 0, bytes: 0, subjects: 0, firstSequence: 1, lastSequence: each.entries, consumers: 0, replicas: 0, ...shown(each)
  }))
  return [...away, ...onServer.map((state) => ({ ...state, ...(known.has(state.name) && shown(known.get(state.name)!)) }))]
}

const readers = (found: ReadonlyArray<ConsumerState>) =>
  answer(found.map(({ deliveredUpTo, ...state }) => ({ ...state, delivered_up_to: deliveredUpTo })), (output) =>
    found.length === 0 ? ["Nobody reads it"] : table<ConsumerState>(output, [
      { title: "READER", of: ({ name }) => name },
      { title: "DELIVERED UP TO", of: ({ deliveredUpTo }) => String(deliveredUpTo), right: true },
      { title: "TO COME", of: ({ pending }) => count(pending), right: true },
      { title: "UNACKNOWLEDGED", of: ({ unacknowledged }) => count(unacknowledged), right: true },
      { title: "OF", of: ({ filters }) => filters.join(" "), shrinks: true }
    ], found))
