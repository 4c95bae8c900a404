/** The installation's policy file: JSON or YAML, read once at start. */
import { readFile } from "node:fs/promises"
import { Config, Effect, Layer, Option, Schema, SchemaIssue } from "effect"
import { parse } from "yaml"
import type { PolicyFile } from "../../domain/policy.ts"
import { PolicyFileDocument } from "../../domain/policy-document.ts"
import { StandingPolicies } from "../../domain/ports/standing-policies.ts"

export class PolicyFileWrong extends Schema.TaggedError<PolicyFileWrong>()("PolicyFileWrong", { message: Schema.String }) {}

const decode = Schema.decodeUnknownEffect(PolicyFileDocument, { onExcessProperty: "error", errors: "all" })
const format = SchemaIssue.makeFormatterStandardSchemaV1()

export const readPolicyFile = Effect.fn("readPolicyFile")(function*(path: string): Effect.fn.Return<PolicyFile, PolicyFileWrong> {
  const wrong = (message: string) => new PolicyFileWrong({ message: `KILN_POLICIES=${path}: ${message}` })
  const text = yield* Effect.tryPromise({
    try: () => readFile(path, "utf8"),
    catch: (error) => wrong((error as NodeJS.ErrnoException).code === "ENOENT" ? "there is no such file" : (error as Error).message)
  })
  // JSON is YAML too.
  const document = yield* Effect.try({
    try: (): unknown => parse(text, { maxAliasCount: 100 }) ?? {},
    catch: (error) => wrong((error as Error).message.trim())
  })
  return yield* decode(document).pipe(Effect.mapError(({ issue }) => wrong(faultsOf(issue).join("; "))))
})

const faultsOf = (issue: SchemaIssue.Issue): ReadonlyArray<string> =>
  format(issue).issues.map(({ message, path = [] }) =>
    `${path.map((segment) => String(typeof segment === "object" ? segment.key : segment)).join(".") || "the file"}: ${message}`)

/** What `KILN_POLICIES` names; nothing, if it is not set. */
export const policyFileFromEnvironment = Effect.gen(function*() {
  const path = yield* Config.option(Config.String("KILN_POLICIES"))
  return Option.isNone(path) || path.value === "" ? {} : yield* readPolicyFile(path.value)
})

export const StandingPoliciesFromEnvironment = Layer.effect(StandingPolicies, policyFileFromEnvironment)
