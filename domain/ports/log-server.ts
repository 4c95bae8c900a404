import { Context, type Effect, Schema } from "effect"
import { Millis } from "../ids.ts"

export class LogServerUnavailable extends Schema.TaggedError<LogServerUnavailable>()("LogServerUnavailable", { message: Schema.String }) {}

/** A stream as the server that keeps it has it; times are of its first and last message. */
export interface StreamState {
  readonly name: string
  readonly messages: number
  readonly bytes: number
  /** Each costs the server memory. */
  readonly subjects: number
  readonly firstSequence: number
  readonly lastSequence: number
  readonly firstAt?: Millis
  readonly lastAt?: Millis
  readonly consumers: number
  readonly replicas: number
  /** Of several servers: which one leads, and which are not up to date. */
  readonly leader?: string
  readonly behind?: ReadonlyArray<string>
}

/** Somebody who reads a stream. */
export interface ConsumerState {
  readonly stream: string
  readonly name: string
  readonly deliveredUpTo: number
  /** Messages that it has not been given yet, and those that it has not acknowledged. */
  readonly pending: number
  readonly unacknowledged: number
  readonly filters: ReadonlyArray<string>
}

/** What an operator wants to know of where log and blobs lie. */
export class LogServer extends Context.Service<LogServer, {
  /** By name: the log's own, then what lies beside it. */
  readonly streams: Effect.Effect<ReadonlyArray<StreamState>, LogServerUnavailable>
  /** Nothing where there is no such stream. */
  consumers(stream: string): Effect.Effect<ReadonlyArray<ConsumerState> | undefined, LogServerUnavailable>
}>()("domain/ports/LogServer") {}
