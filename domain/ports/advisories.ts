import { Context, type Effect, Schema } from "effect"
import type { Advisory } from "../evidence/vulnerabilities.ts"

/** `reason`: nobody has given us any, or not for this distribution, or what was given cannot be read. */
export class AdvisoriesUnavailable extends Schema.TaggedError<AdvisoriesUnavailable>()("AdvisoriesUnavailable", {
  reason: Schema.Literals(["NotConfigured", "NotCovered", "Unreadable"]),
  message: Schema.String
}) {}

export interface AdvisoriesFound {
  readonly bySource: ReadonlyMap<string, ReadonlyArray<Advisory>>
  /** When they were last changed: milliseconds since 1970. */
  readonly asOf: number
}

/** What a distribution's security team knows of its source packages. */
export class Advisories extends Context.Service<Advisories, {
  about(distribution: string, sources: ReadonlyArray<string>): Effect.Effect<AdvisoriesFound, AdvisoriesUnavailable>
}>()("domain/ports/Advisories") {}
