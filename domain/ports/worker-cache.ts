import { Context, type Effect, Schema } from "effect"
import type { Millis } from "../ids.ts"

export class WorkerCacheUnavailable extends Schema.TaggedError<WorkerCacheUnavailable>()("WorkerCacheUnavailable", { message: Schema.String }) {}

/** Entries of one kind; sizes in bytes. */
export interface CacheUse {
  readonly kind: string
  readonly entries: number
  readonly bytes: number
  /** Of them, those that cannot be removed now, or would free nothing: somebody has them under another name. */
  readonly inUse: number
  /** When what was used longest ago, and what was used last, was used. */
  readonly oldestUse?: Millis
  readonly lastUse?: Millis
}

/** The cache of this machine's workers, which may be at work meanwhile. */
export class WorkerCache extends Context.Service<WorkerCache, {
  readonly kinds: ReadonlyArray<string>
  readonly use: Effect.Effect<ReadonlyArray<CacheUse>, WorkerCacheUnavailable>
  /** What would go, or goes, so that no more than `keep` bytes of these kinds are left: what was used longest ago first. */
  prune(keep: number, kinds: ReadonlyArray<string>, really: boolean): Effect.Effect<ReadonlyArray<CacheUse>, WorkerCacheUnavailable>
}>()("domain/ports/WorkerCache") {}
