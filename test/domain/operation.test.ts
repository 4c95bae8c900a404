import { describe, it } from "@effect/vitest"
import { BeginOperation, EndOperation, OperationBegun, OperationDecider, OperationFailed, OperationRejected, OperationSucceeded } from "../../domain/operation.ts"
import { specify } from "../support/specify.ts"

const { given } = specify(OperationDecider)
const begun = OperationBegun.make({ operation: "parked-drop", on: "event of projector composes" })

describe("an operation", () => {
  it("is begun once", () => {
    given().when(BeginOperation.make({ operation: "parked-drop", on: "event of projector composes" })).then(begun)
    given(begun).when(BeginOperation.make({ operation: "replay", on: "composes" })).thenNothing()
  })

  it("ends well or not, and only once", () => {
    given(begun).when(EndOperation.make({ result: "3 rows" })).then(OperationSucceeded.make({ result: "3 rows" }))
    given(begun).when(EndOperation.make({})).then(OperationSucceeded.make({}))
    given(begun).when(EndOperation.make({ failure: "no disk" })).then(OperationFailed.make({ reason: "no disk" }))
    given(begun, OperationFailed.make({ reason: "no disk" })).when(EndOperation.make({})).thenNothing()
  })

  it("cannot end before it has begun", () => given().when(EndOperation.make({})).thenRejected(new OperationRejected({ reason: "NotBegun" })))
})
