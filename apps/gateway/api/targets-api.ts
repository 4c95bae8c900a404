/** Whether deliveries would go well, before anything is built for them. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { Target, TargetType } from "../../../domain/target.ts"
import { Authorization } from "./authorization.ts"
import { BadRequest, Unavailable } from "./problems.ts"

export const CheckTargets = Schema.Struct({ targets: Schema.NonEmptyArray(Target).check(Schema.isMaxLength(20)) })

/**
 * `ready`: all that a delivery needs could be done. `obstructed`: `obstacles` say what could not, in the provider's words.
 * `untried`: nothing was tried, and `note` says why.
 */
export const CheckedTargetView = Schema.Struct({
  type: TargetType,
  credentials: Schema.optionalKey(Schema.String),
  status: Schema.Literals(["ready", "obstructed", "untried"]),
  /** Which worker has tried it; absent where it was the gateway. */
  worker: Schema.optionalKey(Schema.String),
  obstacles: Schema.Array(Schema.Struct({ what: Schema.String, problem: Schema.String })),
  note: Schema.optionalKey(Schema.String)
}).annotate({ identifier: "CheckedTarget" })
export type CheckedTargetView = typeof CheckedTargetView.Type

export class TargetsApi extends HttpApiGroup.make("targets").add(
  HttpApiEndpoint.post("check", "/targets/check", {
    payload: CheckTargets, success: Schema.Array(CheckedTargetView), error: [BadRequest, Unavailable]
  }).annotate(OpenApi.Summary, "Try what deliveries to these targets would do")
).middleware(Authorization) {}
