import { Context, type Effect, Schema } from "effect"
import type { Instance } from "../scaling/instance.ts"

/** The provider's no, in its own words. Nothing is lost by it: the next look decides anew. */
export class ScaleFailed extends Schema.TaggedError<ScaleFailed>()("ScaleFailed", {
  driver: Schema.String,
  operation: Schema.Literals(["list", "grow", "remove", "protect"]),
  /** The provider's own code, where it has one. */
  code: Schema.optionalKey(Schema.String),
  message: Schema.String
}) {}

/** What makes and ends the machines, or processes, of one pool. Every call may be repeated: what holds already is no error. */
export class ScaleDriver extends Context.Service<ScaleDriver, {
  readonly list: Effect.Effect<ReadonlyArray<Instance>, ScaleFailed>
  /** Asks for so many in all, those that stop not counted. Never fewer than there are. */
  grow(to: number): Effect.Effect<void, ScaleFailed>
  /** Ends these and no others; a worker among them is told first and hands back what it has. Does not wait for their end. */
  remove(ids: ReadonlyArray<string>): Effect.Effect<void, ScaleFailed>
  /** Keeps the provider from ending these by itself, or lets it again. Only asked for instances that know of protection. */
  protect(ids: ReadonlyArray<string>, on: boolean): Effect.Effect<void, ScaleFailed>
}>()("domain/ports/ScaleDriver") {}
