import { Context, type Effect } from "effect"
import type { Period } from "../periods.ts"
import type { LogUnavailable } from "./event-log.ts"

/**
 * `open`: it grows. `sealed`: nothing can be added. `archived`: it lies in the archive, which was read back. `dropped`: it lies
 * there alone.
 */
export type StreamState = "open" | "sealed" | "archived" | "dropped"

/** A stream of the log as operators see it. */
export interface LogStream {
  readonly stream: string
  /** None: it never ends. */
  readonly period?: Period
  readonly state: StreamState
  readonly entries: number
  /** On the server; 0 once it is dropped. */
  readonly bytes: number
  readonly consumers: number
  readonly firstAt?: number
  readonly lastAt?: number
  readonly archivedBytes?: number
  readonly archivedAt?: number
}

/** The streams of the log and their lives. Each step may be taken again, by whoever comes after one that was interrupted. */
export class Periods extends Context.Service<Periods, {
  /** The oldest period first; what never ends comes last. */
  readonly list: Effect.Effect<ReadonlyArray<LogStream>, LogUnavailable>
  /** Whether it is known where the archive lies. */
  readonly canArchive: boolean
  /** Makes the streams of now and of the period that comes next. */
  readonly prepare: Effect.Effect<void, LogUnavailable>
  /** From `open`: by the server's own rule nothing is added any more. */
  seal(stream: string): Effect.Effect<void, LogUnavailable>
  /** From `sealed`: puts it into the archive, and reads that back. */
  archive(stream: string): Effect.Effect<void, LogUnavailable>
  /** From `archived`: takes it off the server, if the archive has all of it. */
  drop(stream: string): Effect.Effect<void, LogUnavailable>
}>()("domain/ports/Periods") {}
