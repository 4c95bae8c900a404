import { assert, describe, it } from "vitest"
import { parameterFaults, parametersOf } from "../../domain/parameters.ts"

const declared = {
  edition: { one_of: ["small", "large", true] }, gib: { minimum: 1, maximum: 8, default: 2 }, name: { pattern: "[a-z]+|[0-9]+" }
} as const

describe("an operator's parameters", () => {
  it("given values that keep to the rules, then there is no fault", () => {
    assert.deepStrictEqual(parameterFaults(declared, { edition: true, gib: 8, name: "box" }), [])
    assert.deepStrictEqual(parameterFaults(declared, {}), [])
  })

  it("given values that break them, then each is named with its rule", () => {
    assert.deepStrictEqual(parameterFaults(declared, { edition: "huge", gib: 9, name: "box7" }), [
      { name: "edition", message: "must be one of small, large, true" },
      { name: "gib", message: "must be a whole number from 1 to 8" },
      { name: "name", message: "must be text that matches [a-z]+|[0-9]+" }
    ])
    assert.lengthOf(parameterFaults(declared, { gib: "2", name: 7 }), 2)
  })

  it("given a name that was not declared, then it is a fault, also if every object has it", () => {
    assert.deepStrictEqual(parameterFaults(declared, { colour: "red" }), [{ name: "colour", message: "no such parameter; there is edition, gib, name" }])
    assert.deepStrictEqual(parameterFaults({}, { constructor: 1 }), [{ name: "constructor", message: "no such parameter; there is none" }])
  })

  it("given what was left out, then the build goes by the default", () => {
    assert.deepStrictEqual(parametersOf(declared, { name: "box" }), { gib: 2, name: "box" })
    assert.deepStrictEqual(parametersOf(declared, { gib: 3 }), { gib: 3 })
  })
})
