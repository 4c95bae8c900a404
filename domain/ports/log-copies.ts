import { Context, type Effect } from "effect"
import type { LogUnavailable } from "./event-log.ts"

export interface CopyProgress {
  readonly stream: string
  readonly position: number
  readonly head: number
}

export interface CopiedLog {
  readonly streams: number
  readonly entries: number
  /** Of the files. */
  readonly bytes: number
  /** How many there are, where they came along; and how many more the log names that were not there to come. */
  readonly blobs?: { readonly count: number; readonly missing: number }
  /** Stored files of tenants, of these the same. */
  readonly files?: { readonly count: number; readonly missing: number }
  /** After an import: entries that lie elsewhere than they did, as they do where there are other partitions or periods. */
  readonly moved?: number
}

/** Blobs that events name (locks, archived logs, bills of materials) come along unless it is said, and tenants' stored files. */
export interface CopyOptions {
  readonly withoutBlobs?: boolean
}

/** The whole log as files that vouch for themselves: see `placeAt` for what a location is. */
export class LogCopies extends Context.Service<LogCopies, {
  /** All that is in the log when it is asked for. */
  export(location: string, onProgress: (progress: CopyProgress) => void, options?: CopyOptions): Effect.Effect<CopiedLog, LogUnavailable>
  /** Reads all of an export, and stores nothing. */
  verify(location: string, onProgress: (progress: CopyProgress) => void, options?: CopyOptions): Effect.Effect<CopiedLog, LogUnavailable>
  /** Into a log in which nothing is, or that an earlier try has begun to fill from the same export; it goes on from there. */
  import(location: string, onProgress: (progress: CopyProgress) => void, options?: CopyOptions): Effect.Effect<CopiedLog, LogUnavailable>
}>()("domain/ports/LogCopies") {}
