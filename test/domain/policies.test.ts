import { assert, describe, it } from "@effect/vitest"
import { type AccountEvent, PolicyCleared, PolicySet } from "../../domain/account.ts"
import { Millis, TenantId } from "../../domain/ids.ts"
import { Policies } from "../../domain/policies.ts"
import { accountRef, type Recorded } from "../../domain/recorded.ts"

const acme = TenantId.make("acme")
const recorded = (...events: [AccountEvent, ...Array<AccountEvent>]): Recorded<"account"> => ({
  _tag: "Recorded", ...accountRef(acme), messageId: "m", at: Millis.make(0), actor: { kind: "operator", id: "olga" }, events,
  position: { stream: "EVENTS", sequence: 1 }, revision: 1
})

describe("policies", () => {
  const file = { defaults: { weight: 2, runningJobs: 4 } }

  it("are the file's, until operators set them and when they clear them", () => {
    const policies = new Policies(file)
    assert.deepStrictEqual(policies.of(acme), { weight: 2, runningJobs: 4 })
    policies.record(recorded(PolicySet.make({ policy: { weight: 9 } })))
    assert.deepStrictEqual(policies.of(acme), { weight: 9, runningJobs: 4 })
    policies.record(recorded(PolicySet.make({ policy: { runningJobs: 1 } })))
    assert.deepStrictEqual(policies.of(acme), { weight: 2, runningJobs: 1 })
    policies.record(recorded(PolicyCleared.make({})))
    assert.deepStrictEqual(policies.of(acme), { weight: 2, runningJobs: 4 })
  })

  it("come back from what a snapshot keeps of them", () => {
    const policies = new Policies(file)
    policies.record(recorded(PolicySet.make({ policy: { weight: 9 } })))
    assert.deepStrictEqual(new Policies(file, policies.overrides).of(acme), policies.of(acme))
  })
})
