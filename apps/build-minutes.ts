/** How long a build may take: its worker ends it then, and the scheduler a little later if that does not. */
import { Config, Schema } from "effect"

export const buildMinutes = Config.schema(
  Schema.NumberFromString.check(Schema.isInt(), Schema.isBetween({ minimum: 1, maximum: 1440 })), "KILN_BUILD_MINUTES"
).pipe(Config.withDefault(60))
