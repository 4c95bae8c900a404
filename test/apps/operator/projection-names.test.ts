import { assert, it } from "vitest"
import { projectionNames } from "../../../apps/operator/tree/flags.ts"
import { projections } from "../../../projections/all.ts"

it("the commands' names of read models are those that there are", () => assert.deepStrictEqual([...projectionNames], [...projections.keys()]))
