import { Context } from "effect"
import type { Prices } from "../../domain/prices.ts"

/** What an operator charges; without it usage is shown without costs. */
export const StandingPrices = Context.Reference<Prices | undefined>("gateway/StandingPrices", { defaultValue: () => undefined })
