/** What the steps of one delivery share. */
import { Effect, Option, Schema } from "effect"
import type { BuildFailed, Report } from "../../../domain/ports/image-builder.ts"
import type { Journal } from "../../../domain/ports/image-targets.ts"
import type { Ec2 } from "./ec2.ts"
import { type AwsDelivery, deliveryTag } from "./plan.ts"
import type { Staging } from "./staging.ts"

export interface Run {
  readonly delivery: AwsDelivery
  readonly ec2: Ec2
  readonly staging: Staging
  readonly journal: Journal
  readonly report: Report
  readonly pace: Pace
}

/** Milliseconds between two looks at what takes its time: at first, and at most. */
export interface Pace {
  readonly first: number
  readonly most: number
}

/** Which try at a step this is, counted over all attempts of the job, and what it has made, once that is known. */
const Note = Schema.Struct({ attempt: Schema.Int, id: Schema.optionalKey(Schema.String) })
type Note = typeof Note.Type

export const noted = ({ journal }: Run, step: string): Note =>
  Option.getOrElse(Schema.decodeUnknownOption(Note)(journal.read(`aws ${step}`)), () => ({ attempt: 0 }))

export const note = ({ journal }: Run, step: string, value: Note): Effect.Effect<void, BuildFailed> => journal.note(`aws ${step}`, value)

export const oursBy = ({ delivery }: Run) => [{ Name: `tag:${deliveryTag}`, Values: [delivery.deliveryId] }]

/**
 * Looks until there is an answer, and tells `look` how often it was asked before. That a look failed once is no reason to
 * give up what has been going on for an hour.
 */
export const watch = <A>(pace: Pace, look: (before: number) => Effect.Effect<A | undefined, BuildFailed>): Effect.Effect<A, BuildFailed> =>
  Effect.gen(function*() {
    for (let before = 0; ; before++) {
      const wait = Effect.sleep(Math.min(pace.most, pace.first * 1.2 ** before))
      const answer = yield* look(before).pipe(Effect.retry({ times: 5, while: ({ class: whose }) => whose !== "user" && Effect.as(wait, true) }))
      if (answer !== undefined) return answer
      yield* wait
    }
  })
