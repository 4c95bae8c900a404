/** The installation's policy file: JSON or YAML, read once at start. */
import { Config, Effect, Layer, Option, Schema } from "effect"
import type { PolicyFile } from "../../domain/policy.ts"
import { PolicyFileDocument } from "../../domain/policy-document.ts"
import { StandingPolicies } from "../../domain/ports/standing-policies.ts"
import { readDocument } from "../files/read-document.ts"

export class PolicyFileWrong extends Schema.TaggedError<PolicyFileWrong>()("PolicyFileWrong", { message: Schema.String }) {}

const decode = Schema.decodeUnknownEffect(PolicyFileDocument, { onExcessProperty: "error", errors: "all" })

export const readPolicyFile = Effect.fn("readPolicyFile")((path: string): Effect.Effect<PolicyFile, PolicyFileWrong> =>
  readDocument({ path, decode, wrong: (message) => new PolicyFileWrong({ message: `KILN_POLICIES=${path}: ${message}` }) }))

/** What `KILN_POLICIES` names; nothing, if it is not set. */
export const policyFileFromEnvironment = Effect.gen(function*() {
  const path = yield* Config.option(Config.String("KILN_POLICIES"))
  return Option.isNone(path) || path.value === "" ? {} : yield* readPolicyFile(path.value)
})

export const StandingPoliciesFromEnvironment = Layer.effect(StandingPolicies, policyFileFromEnvironment)
