import { assert, it } from "vitest"
import { targetNames } from "../../../apps/operator/tree/flags.ts"
import { TargetType } from "../../../domain/target.ts"

it("the commands' names of targets are those that there are", () => assert.deepStrictEqual([...targetNames], [...TargetType.literals]))
