import { type ConsumerInfo, JetStreamApiError, type StreamInfo } from "@nats-io/jetstream"
import { Effect, Layer } from "effect"
import { Millis } from "../../domain/ids.ts"
import { type ConsumerState, LogServer, LogServerUnavailable, type StreamState } from "../../domain/ports/log-server.ts"
import { CoreNats } from "./nats.ts"

const unavailable = (error: unknown) => new LogServerUnavailable({ message: `NATS does not answer: ${(error as Error).message}` })
const attempt = <A>(run: () => Promise<A>) => Effect.tryPromise({ try: run, catch: unavailable })
const noSuchStream = 10059

export const LogServerJetStream = Layer.effect(LogServer, Effect.gen(function*() {
  const { jsm } = yield* CoreNats
  return LogServer.of({
    streams: attempt(async () => {
      const found: Array<StreamState> = []
      for await (const info of jsm.streams.list()) found.push(stateOf(info))
      return found.toSorted((one, other) => order(one.name) - order(other.name) || (one.name < other.name ? -1 : 1))
    }),
    consumers: (stream) =>
      attempt(async () => {
        try {
          const found: Array<ConsumerState> = []
          for await (const info of jsm.consumers.list(stream)) found.push(consumerOf(info))
          return found
        } catch (error) {
          if (error instanceof JetStreamApiError && error.code === noSuchStream) return undefined
          throw error
        }
      })
  })
}))

const order = (name: string): number => name.startsWith("EVENTS") ? 0 : 1

const stateOf = ({ cluster, config, state }: StreamInfo): StreamState => ({
  name: config.name,
  messages: state.messages,
  bytes: state.bytes,
  subjects: state.num_subjects ?? 0,
  firstSequence: state.first_seq,
  lastSequence: state.last_seq,
  // An empty stream says the year 1.
  ...(state.messages > 0 && { firstAt: Millis.make(Date.parse(state.first_ts)), lastAt: Millis.make(Date.parse(state.last_ts)) }),
  consumers: state.consumer_count,
  replicas: config.num_replicas,
  ...(cluster?.leader !== undefined && { leader: cluster.leader }),
  ...(cluster?.replicas !== undefined && { behind: cluster.replicas.filter(({ current }) => !current).map(({ name }) => name) })
})

const consumerOf = ({ config, delivered, name, num_ack_pending, num_pending, stream_name }: ConsumerInfo): ConsumerState => ({
  stream: stream_name, name,
  deliveredUpTo: delivered.stream_seq,
  pending: num_pending,
  unacknowledged: num_ack_pending,
  filters: config.filter_subjects ?? (config.filter_subject === undefined || config.filter_subject === "" ? [] : [config.filter_subject])
})
