/** Which pools are scaled, how, and by which driver: JSON or YAML. */
import { readFile } from "node:fs/promises"
import { Effect, Schema } from "effect"
import { parse } from "yaml"
import { PoolId } from "../../domain/ids.ts"
import { ScalingPolicy } from "../../domain/scaling/policy.ts"
import { DriverSettings } from "./drivers.ts"

export class ScalingFileRefused extends Schema.TaggedError<ScalingFileRefused>()("ScalingFileRefused", { message: Schema.String }) {}

export const ScalingFile = Schema.Struct({
  /** How often each pool is looked at. */
  lookEverySeconds: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 300 })).pipe(Schema.withDecodingDefaultKey(Effect.succeed(5))),
  pools: Schema.NonEmptyArray(Schema.Struct({ pool: PoolId, policy: ScalingPolicy, driver: DriverSettings })).check(
    Schema.makeFilter((pools: ReadonlyArray<{ readonly pool: string }>) => {
      const names = pools.map(({ pool }) => pool)
      const twice = names.find((pool, at) => names.indexOf(pool) < at)
      return twice === undefined || `pool ${twice} is there twice`
    })
  )
})
export type ScalingFile = typeof ScalingFile.Type

// A field that nobody knows may be a limit with a typing error.
const decode = Schema.decodeUnknownEffect(ScalingFile, { onExcessProperty: "error", errors: "all" })

export const readScalingFile = Effect.fn("readScalingFile")(function*(path: string) {
  const refused = (why: string) => new ScalingFileRefused({ message: `KILN_SCALING_FILE names ${path}, ${why}` })
  const text = yield* Effect.tryPromise({ try: () => readFile(path, "utf8"), catch: () => refused("which cannot be read") })
  const value = yield* Effect.try({
    try: () => parse(text, { maxAliasCount: 100 }) as unknown,
    catch: (error) => refused(`which is neither JSON nor YAML: ${(error as Error).message.trim()}`)
  })
  return yield* decode(value).pipe(Effect.mapError((error) => refused(`in which something is wrong: ${error.message}`)))
})
