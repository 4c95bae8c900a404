/** The scheduler's and the worker's ends of the work account. */
import { Context, type Effect, Schema, type Stream } from "effect"
import type { Errand, ErrandAnswer } from "../errand.ts"
import type { Digest } from "../ids.ts"
import type { Claim, Heartbeat, Lying, Speaker, WorkItem, WorkReport } from "../work.ts"
import type { Progress } from "./image-builder.ts"
import type { ImageDocument } from "./image-targets.ts"

export class WorkUnavailable extends Schema.TaggedError<WorkUnavailable>()("WorkUnavailable", { message: Schema.String }) {}

/** What one worker reports, in the order it was said, as it arrives; unless it is acknowledged it comes again. */
export interface ReportDelivery extends Speaker {
  readonly reports: ReadonlyArray<WorkReport>
  readonly acknowledge: Effect.Effect<void>
  readonly again: Effect.Effect<void>
}

/** What was delivered again and again and never acknowledged. It lies where it lay until it is dropped. */
export interface Undeliverable {
  readonly what: "job" | "report"
  /** The job that lies there, if it can be read. */
  readonly lying: Lying | undefined
  readonly subject: string
  readonly text: string
  readonly deliveries: number
  readonly drop: Effect.Effect<void, WorkUnavailable>
}

export class Dispatch extends Context.Service<Dispatch, {
  /** Lays a job on a worker's queue and answers with its sequence there; the same `messageId` again within minutes adds nothing. */
  put(speaker: Speaker, item: WorkItem, messageId: string): Effect.Effect<number, WorkUnavailable>
  /** What lies on workers' queues and was begun by nobody. */
  readonly lying: Effect.Effect<ReadonlyArray<Lying>, WorkUnavailable>
  /** Takes jobs off workers' queues. What a worker has in its hands already may still begin. */
  withdraw(sequences: ReadonlyArray<number>): Effect.Effect<void, WorkUnavailable>
  /** Its queue is no longer needed. */
  dismiss(speaker: Speaker): Effect.Effect<void, WorkUnavailable>
  readonly reports: Stream.Stream<ReportDelivery, WorkUnavailable>
  /** Reports that have not been acknowledged. */
  readonly backlog: Effect.Effect<number, WorkUnavailable>
  readonly undeliverable: Stream.Stream<Undeliverable, WorkUnavailable>
  readonly heartbeats: Stream.Stream<Speaker & { readonly heartbeat: Heartbeat }, WorkUnavailable>
  /** Asks every worker for a heartbeat now. */
  readonly rollCall: Effect.Effect<void>
  /** Tells a worker that an attempt is not its own any more. `canceled`: nor anybody else's. */
  stop(speaker: Speaker, claim: Claim, canceled?: boolean): Effect.Effect<void>
  /** Tells a worker to remove an image that it holds. Neither waits nor fails: an answer is what its heartbeat says next. */
  discard(speaker: Speaker, digest: Digest): void
  /** Has a worker do something small at a target, and answers with what it says; fails if it says nothing for so long. */
  errand(speaker: Speaker, errand: Errand, withinMs: number): Effect.Effect<ErrandAnswer, WorkUnavailable>
  /** Answers workers that ask for the secrets of a job they hold; `undefined` refuses. */
  serveSecrets(answer: (speaker: Speaker, claim: Claim) => Effect.Effect<ReadonlyMap<string, string> | undefined>):
    Effect.Effect<never, WorkUnavailable>
  /** Answers workers that ask for a part of a stored file which a job of theirs names; `undefined` refuses. */
  serveFiles(answer: (speaker: Speaker, claim: Claim, wanted: FilePart) => Effect.Effect<Uint8Array | "gone" | undefined>):
    Effect.Effect<never, WorkUnavailable>
  /** Answers workers that push an image with what is said of it, signed for its manifest in the registry; `undefined` refuses. */
  serveDocuments(answer: (speaker: Speaker, claim: Claim, manifest: Digest) => Effect.Effect<ReadonlyArray<ImageDocument> | undefined>):
    Effect.Effect<never, WorkUnavailable>
}>()("domain/ports/Dispatch") {}

/** Counted from 0. */
export interface FilePart {
  readonly digest: Digest
  readonly index: number
}

/** A job in a worker's hands. Until it is acknowledged it comes again after a while. */
export interface JobDelivery {
  readonly item: WorkItem
  readonly acknowledge: Effect.Effect<void>
}

export type Control =
  | { readonly _tag: "RollCall" }
  | { readonly _tag: "Stop"; readonly claim: Claim; readonly canceled: boolean }
  | { readonly _tag: "Discard"; readonly digest: Digest }
  | { readonly _tag: "Errand"; readonly id: string; readonly errand: Errand }

export class Workplace extends Context.Service<Workplace, {
  /** Jobs as they come. Whoever gives them out knows how many this worker can do at once. */
  readonly jobs: Stream.Stream<JobDelivery, WorkUnavailable>
  /** Answers when the reports are stored, in this order. What is reported while another is on its way goes together. */
  report(reports: ReadonlyArray<WorkReport>): Effect.Effect<void, WorkUnavailable>
  heartbeat(heartbeat: Heartbeat): void
  readonly control: Stream.Stream<Control, WorkUnavailable>
  secrets(claim: Claim): Effect.Effect<ReadonlyMap<string, string>, WorkUnavailable>
  /** `gone`: the tenant has no such file any more, or it no such part. */
  filePart(claim: Claim, wanted: FilePart): Effect.Effect<Uint8Array | "gone", WorkUnavailable>
  /** What is said of the image that a job pushes, signed for its manifest in the registry. */
  documents(claim: Claim, manifest: Digest): Effect.Effect<ReadonlyArray<ImageDocument>, WorkUnavailable>
  /** Of an errand that it was sent on. An answer that cannot be sent is not said, and the errand counts as not done. */
  answer(id: string, answer: ErrandAnswer): Effect.Effect<void>
  /** Neither waits nor fails: what cannot be sent is not said. */
  progress(claim: Claim, progress: Progress): void
  lines(claim: Claim, lines: ReadonlyArray<string>): void
}>()("domain/ports/Workplace") {}
