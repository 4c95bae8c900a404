/** Whom to tell that an image has to go from the worker of a name. */
import { Schema } from "effect"
import type { Digest, WorkerId } from "../ids.ts"
import type { Speaker } from "../work.ts"
import type { Scheduler } from "./scheduler.ts"

/** `away`: one of that name is silent, so it cannot be told, and what it holds is not known for sure. */
export const DiscardAnswer = Schema.Literals(["asked", "not-held", "away"])
export type DiscardAnswer = typeof DiscardAnswer.Type

export interface Discard {
  readonly answer: DiscardAnswer
  readonly holders: ReadonlyArray<Speaker>
}

/** A name may occur once a pool. */
export const discardOf = ({ fleet }: Scheduler, now: number, name: WorkerId, digest: Digest): Discard => {
  const named = [...fleet.workers()].filter(({ speaker }) => speaker.worker === name)
  const live = named.filter((worker) => fleet.isLive(worker, now))
  const holders = live.filter(({ held }) => held.has(digest)).map(({ speaker }) => speaker)
  if (holders.length > 0) return { answer: "asked", holders }
  return { answer: live.length < named.length ? "away" : "not-held", holders }
}
