/** How a pool may grow and shrink. */
import { Effect, Schema } from "effect"
import { forEachKind } from "../job.ts"

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const Seconds = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 86_400 }))
const byDefault = (seconds: number) => Seconds.pipe(Schema.withDecodingDefaultKey(Effect.succeed(seconds)))

export const ScalingPolicy = Schema.Struct({
  /** Of workers, by this scaler; those that somebody else runs in the pool come on top. */
  min: Count,
  max: Count,
  /** What one worker of this pool takes at once. */
  slots: forEachKind(Count),
  /** Instead of the scheduler's. */
  targetWaitSeconds: Schema.optionalKey(Seconds),
  /** Workers go when the pool has had no use for them for that long; and none that has not idled for a cooldown. */
  scaleInAfterSeconds: byDefault(600),
  /** From one step to the next; about what a worker takes to start. */
  cooldownSeconds: byDefault(60),
  /** A machine that runs for that long without its worker being heard is given up. */
  startWithinSeconds: byDefault(900)
}).check(Schema.makeFilter(({ max, min }) => min <= max || `min is ${min}, and max is only ${max}`))
export type ScalingPolicy = typeof ScalingPolicy.Type
