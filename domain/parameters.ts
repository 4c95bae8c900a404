/** Options that an operator declares for an image type of his: which there are, and what each may be. */
import { Result, Schema } from "effect"
import { line, matching } from "./text.ts"

const optional = Schema.optionalKey

export const ParameterName = matching(/^[a-z][a-z0-9_]{0,39}$/u, "a parameter's name: a lower-case letter, then lower-case letters, digits and _")
export const ParameterValue = Schema.Union([Schema.Boolean, Schema.Int, line(200)])
export type ParameterValue = typeof ParameterValue.Type

/** What a request gives, as `images[].options.parameters`. */
export const Parameters = Schema.Record(ParameterName, ParameterValue).check(Schema.isMaxProperties(32))
export type Parameters = typeof Parameters.Type

const Pattern = Schema.String.check(Schema.makeFilter((pattern: string) => isPattern(pattern) || "not a regular expression"))

/** Exactly one rule: a list of values, a range of whole numbers, or a pattern for the whole text. */
export const Parameter = Schema.Struct({
  description: optional(line(200)),
  one_of: optional(Schema.NonEmptyArray(ParameterValue)),
  minimum: optional(Schema.Int),
  maximum: optional(Schema.Int),
  pattern: optional(Pattern),
  default: optional(ParameterValue)
}).check(Schema.makeFilter((rule: ParameterRule) => {
  const rules = [rule.one_of !== undefined, rule.minimum !== undefined && rule.maximum !== undefined, rule.pattern !== undefined]
  if (rules.filter((there) => there).length !== 1) return "says one of: one_of, minimum and maximum, pattern"
  return rule.default === undefined || faultOf(rule, rule.default) === undefined || "has a default that its own rule refuses"
}))
export type Parameter = typeof Parameter.Type

interface ParameterRule {
  readonly one_of?: ReadonlyArray<ParameterValue>
  readonly minimum?: number
  readonly maximum?: number
  readonly pattern?: string
  readonly default?: ParameterValue
}

type Declared = Readonly<Record<string, ParameterRule>>

const whole = (pattern: string) => new RegExp(`^(?:${pattern})$`, "u")
const isPattern = (pattern: string) => Result.isSuccess(Result.try(() => whole(pattern)))

const faultOf = ({ one_of, minimum, maximum, pattern }: ParameterRule, value: ParameterValue): string | undefined => {
  if (one_of !== undefined) return one_of.includes(value) ? undefined : `must be one of ${one_of.join(", ")}`
  if (pattern !== undefined) {
    return typeof value === "string" && whole(pattern).test(value) ? undefined : `must be text that matches ${pattern}`
  }
  return typeof value === "number" && value >= minimum! && value <= maximum! ? undefined : `must be a whole number from ${minimum} to ${maximum}`
}

/** What of a request's parameters is not as it was declared. */
export const parameterFaults = (declared: Declared, given: Parameters): ReadonlyArray<{ readonly name: string; readonly message: string }> =>
  Object.entries(given).flatMap(([name, value]) => {
    const rule = Object.hasOwn(declared, name) ? declared[name] : undefined
    const names = Object.keys(declared)
    const message = rule === undefined
      ? `no such parameter; there is ${names.length === 0 ? "none" : names.join(", ")}`
      : faultOf(rule, value)
    return message === undefined ? [] : [{ name, message }]
  })

/** What a build goes by: what was given, and the defaults of what was not. */
export const parametersOf = (declared: Declared, given: Parameters = {}): Parameters => ({
  ...Object.fromEntries(Object.entries(declared).flatMap(([name, rule]) => rule.default === undefined ? [] : [[name, rule.default]])),
  ...given
})
