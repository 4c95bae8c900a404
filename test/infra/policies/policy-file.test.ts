import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { ConfigProvider, Effect } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { TenantId } from "../../../domain/ids.ts"
import { policyOf } from "../../../domain/policy.ts"
import { policyFileFromEnvironment, readPolicyFile } from "../../../infra/policies/policy-file.ts"

let folder: string
beforeAll(() => folder = mkdtempSync(join(tmpdir(), "kiln-test-")))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const file = (text: string, name = "policies.yaml") => {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}
const read = (text: string, name?: string) => Effect.runPromise(readPolicyFile(file(text, name)))
const faultOf = (text: string) => Effect.runPromise(Effect.map(Effect.flip(readPolicyFile(file(text))), ({ message }) => message))

const yaml = `
pools:
  gpu: { tenant: acme, lost_after: 45 seconds }
defaults:
  composes:
    - { count: 100, window: 1 day }
    - { count: 10, window: 10 minutes }
  running_jobs: 4
  stored_bytes: 20 GiB
tenants:
  acme: { weight: 3, pool: gpu, stored_bytes: 1.5 TiB, tenant_rate: { per_second: 5, burst: 20 } }
`

describe("a policy file", () => {
  it("says pools, defaults, and tenants of their own, with spans and sizes as people write them", async () => {
    expect(await read(yaml)).toEqual({
      pools: { gpu: { tenant: "acme", lostAfterMs: 45_000 } },
      defaults: { composes: [{ count: 100, windowMs: 86_400_000 }, { count: 10, windowMs: 600_000 }], runningJobs: 4, storedBytes: 20 * 2 ** 30 },
      tenants: { acme: { weight: 3, pool: "gpu", storedBytes: 1.5 * 2 ** 40, tenantRate: { perSecond: 5, burst: 20 } } }
    })
  })

  it("says what may be delivered to one account", async () => {
    expect(await read("targets:\n  aws: { at_once: 40, per_minute: 30 }\n  gcp: {}\n")).toEqual({ targets: { aws: { atOnce: 40, perMinute: 30 }, gcp: {} } })
  })

  it("may be JSON, or hold nothing", async () => {
    expect(await read("{\"defaults\":{\"weight\":2}}", "policies.json")).toEqual({ defaults: { weight: 2 } })
    expect(await read("# nothing yet\n")).toEqual({})
  })

  it("gives a tenant its own fields, and the defaults' for the rest", async () => {
    const policy = policyOf(await read(yaml), TenantId.make("acme"), { runningJobs: 9 })
    expect(policy).toMatchObject({ weight: 3, runningJobs: 9, storedBytes: 1.5 * 2 ** 40, composes: [{ count: 100 }, { count: 10 }] })
  })

  it.each([
    ["defaults:\n  composes: [{ count: 3, window: 1 fortnight }]\n", "defaults.composes.0.window: Expected a span of time"],
    ["tenants:\n  acme: { stored: 5 }\n", "tenants.acme.stored"],
    ["tenants:\n  ACME: { weight: 1 }\n", "tenants.ACME"],
    ["defaults: { stored_bytes: 20 GB }\n", "defaults.stored_bytes"],
    ["targets: { aws: { at_once: 0 } }\n", "targets.aws.at_once"],
    ["targets: { file: { at_once: 3 } }\n", "targets.file"],
    ["default: {}\n", "default: "],
    ["[1", "Flow sequence"]
  ])("that is wrong says where: %j", async (text, place) => expect(await faultOf(text)).toContain(place))

  it("that is not there says so, and none at all limits nobody", async () => {
    const from = (env: Record<string, string>) =>
      Effect.runPromise(policyFileFromEnvironment.pipe(Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown(env)),
        Effect.catchTag("PolicyFileWrong", ({ message }) => Effect.succeed(message))))
    expect(await from({ KILN_POLICIES: join(folder, "none.yaml") })).toContain("there is no such file")
    expect(await from({})).toEqual({})
    expect(await from({ KILN_POLICIES: file(yaml) })).toMatchObject({ pools: { gpu: {} } })
  })
})
