import { Context } from "effect"
import type { PolicyFile } from "../policy.ts"

/** What the installation's policy file says; without one nobody is limited. */
export const StandingPolicies = Context.Reference<PolicyFile>("domain/ports/StandingPolicies", { defaultValue: () => ({}) })
