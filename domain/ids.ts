/** Names that end up in subjects and paths: lower-case words of a closed alphabet, so none can widen a filter. */
import { Schema } from "effect"

const Token = (max: number) =>
  Schema.String.check(Schema.isPattern(new RegExp(`^[a-z0-9][a-z0-9-]{0,${max - 1}}$`, "u"), {
    expected: `a name of at most ${max} lower-case letters, digits and hyphens`
  }))

export const TenantId = Token(40).pipe(Schema.brand("TenantId"))
export type TenantId = typeof TenantId.Type

/** UUID version 7 in lower case: sorts by the time it was made, to the millisecond. */
export const ComposeId = Schema.String.check(
  Schema.isPattern(/^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/u, { expected: "the id of a compose, a UUID in lower case" })
).pipe(Schema.brand("ComposeId"))
export type ComposeId = typeof ComposeId.Type

/** As a compose's, so that it can be named wherever that can. */
export const BlueprintId = Schema.String.check(
  Schema.isPattern(/^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/u, { expected: "the id of a blueprint, a UUID in lower case" })
).pipe(Schema.brand("BlueprintId"))
export type BlueprintId = typeof BlueprintId.Type

/** Unique inside its compose and derived from the plan: `<image>-<kind>`, or `<image>-<kind>-<target>`. */
export const JobId = Schema.String.check(Schema.isPattern(
  /^[0-9]{1,3}-(resolve|build|test|upload-[0-9]{1,3}|register-[0-9]{1,3}|delete(-[0-9]{1,3})?)$/u, { expected: "the id of a job, such as 0-build" }
)).pipe(Schema.brand("JobId"))
export type JobId = typeof JobId.Type

/** Unique in its tenant; also the label of its composes. */
export const PipelineName = Token(40).pipe(Schema.brand("PipelineName"))
export type PipelineName = typeof PipelineName.Type

export const PoolId = Token(40).pipe(Schema.brand("PoolId"))
export type PoolId = typeof PoolId.Type

/** An installation among others that may use the same clouds: goes into names and tags there. */
export const Deployment = Token(40)

/** The pools that one worker serves, in order of the alphabet, joined by `_`, which no pool's name holds: one token of a subject. */
export const PoolScope = Schema.String.check(Schema.isPattern(/^[a-z0-9][a-z0-9-]{0,39}(_[a-z0-9][a-z0-9-]{0,39}){0,7}$/u, {
  expected: "the names of at most 8 pools"
})).pipe(Schema.brand("PoolScope"))
export type PoolScope = typeof PoolScope.Type

export const scopeOf = (pools: ReadonlyArray<PoolId>): PoolScope => PoolScope.make([...new Set(pools)].toSorted().join("_"))
export const poolsOf = (scope: PoolScope): ReadonlyArray<PoolId> => scope.split("_").map((pool) => PoolId.make(pool))

export const WorkerId = Token(60).pipe(Schema.brand("WorkerId"))
export type WorkerId = typeof WorkerId.Type

/** Random, at least 128 bits, made by the worker that starts an attempt; fences off everybody else. */
export const AttemptToken = Schema.String.check(Schema.isPattern(/^[A-Za-z0-9_-]{22,64}$/u)).pipe(Schema.brand("AttemptToken"))
export type AttemptToken = typeof AttemptToken.Type

/** `sha256:` and 64 hexadecimal digits. */
export const Digest = Schema.String.check(Schema.isPattern(/^sha256:[0-9a-f]{64}$/u, { expected: "sha256: and 64 hexadecimal digits" })).pipe(Schema.brand("Digest"))
export type Digest = typeof Digest.Type

export const Architecture = Schema.Literals(["x86_64", "aarch64"])
export type Architecture = typeof Architecture.Type

/** Milliseconds since 1970-01-01T00:00:00Z. */
export const Millis = Schema.Int.pipe(Schema.brand("Millis"))
export type Millis = typeof Millis.Type
