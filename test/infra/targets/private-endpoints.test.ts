/** What was public when a set of credentials was admitted may lead to the machine itself when it is connected to: `localhost` stands for such a name. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Credentials, CredentialsOf } from "../../../domain/credentials.ts"
import type { ImageTarget } from "../../../domain/ports/image-targets.ts"
import type { Target } from "../../../domain/target.ts"
import { agentOf, agentsFor } from "../../../infra/targets/agents.ts"
import { awsTarget } from "../../../infra/targets/aws/target.ts"
import { clients } from "../../../infra/targets/azure/clients.ts"
import { azureTargetWith } from "../../../infra/targets/azure/target.ts"
import { inKilnsWords } from "../../../infra/targets/call-failed.ts"
import { clients as gcpClients } from "../../../infra/targets/gcp/clients.ts"
import { gcpTargetWith } from "../../../infra/targets/gcp/target.ts"
import { sendFile } from "../../../infra/targets/gcp/resumable-upload.ts"
import { s3Target } from "../../../infra/targets/s3/target.ts"
import { certificate } from "../../support/certificate.ts"
import { deliver, deliveryOf, newJournal } from "../../support/deliver.ts"
import { gcpStandIn } from "../../support/gcp-stand-in.ts"
import { account, storageKey } from "../../support/page-blob-stand-in.ts"
import { s3Keys } from "../../support/s3-stand-in.ts"
import { temporaryFolder } from "../../support/servers.ts"
import { listen } from "../../support/stand-in.ts"

const uuid = "5b1d4f1e-0000-4000-8000-000000000003"
const quick = { pauseMs: 5, pollMs: 1 }
const inside = "localhost is an address of the machine itself"

const setting = Effect.gen(function*() {
  const dir = yield* temporaryFolder
  const asked: Array<string> = []
  const hears = ({ method, url }: { readonly method?: string | undefined; readonly url?: string | undefined }) => {
    asked.push(`${method} ${url}`)
    return { status: 403 }
  }
  const tls = certificate()
  const [plain, safe] = [yield* listen(hears), yield* listen(hears, tls)]
  const path = join(dir, "disk.raw")
  writeFileSync(path, Buffer.alloc(1 << 20, "kiln"))
  const refusal = <Of extends Target>(to: ImageTarget<Of>, target: Of, credentials: Credentials) =>
    Effect.flatMap(Effect.promise(() => deliveryOf({ target, path, credentials, delivery: { deliveryId: "d-1" } as never })), (delivery) =>
      Effect.flip(deliver(to, delivery, newJournal(dir))))
  return { asked, dir, path, plain, refusal, safe, ca: tls.cert }
})

describe("a tenant's endpoint whose name leads to the machine itself by now", () => {
  const aws = { provider: "aws", ...s3Keys, region: "eu-central-1" } as const
  const cases = [
    ["s3", "s3", (at: string) => ({ endpoints: { s3: at } })],
    ["aws, its EC2", "aws", (at: string) => ({ endpoints: { ec2: at } })],
    ["aws, where it gives roles", "aws", (at: string) => ({ endpoints: { sts: at }, role_arn: "arn:aws:iam::123456789012:role/kiln" })]
  ] as const
  for (const [what, type, over] of cases) {
    it.live(`given ${what}, when an image is delivered, then nothing is connected to, and it fails as the user's`, () =>
      Effect.gen(function*() {
        const { asked, plain, refusal } = yield* setting
        const credentials: Credentials = { ...aws, ...over(`http://localhost:${plain}`), publicOnly: true }
        const failed = type === "s3"
          ? yield* refusal(s3Target, { type, bucket: "images" }, credentials)
          : yield* refusal(awsTarget, { type, region: "eu-central-1", bucket: "images" }, credentials)
        assert.deepStrictEqual([failed.class, asked], ["user", []])
        assert.include(failed.message, inside)
      }).pipe(Effect.scoped))
  }

  const gcp = { type: "gcp", bucket: "example-images" } as const
  const tuning = { ...quick, chunkSize: 1 << 18 }

  it.live("given gcp, its compute, when an image is delivered, then nothing is connected to, and it fails as the user's", () =>
    Effect.gen(function*() {
      const { asked, plain, refusal } = yield* setting
      const google = yield* gcpStandIn
      const endpoints = { ...google.credentials().endpoints, compute: `http://localhost:${plain}` }
      const failed = yield* refusal(gcpTargetWith(tuning), gcp, { ...google.credentials(), endpoints, publicOnly: true })
      assert.deepStrictEqual([failed.class, asked], ["user", []])
      assert.include(failed.message, inside)
    }).pipe(Effect.scoped))

  it.live("given gcp, its storage, when an object is looked for, then nothing is connected to, and it fails as the user's", () =>
    Effect.gen(function*() {
      const { asked, plain } = yield* setting
      const google = yield* gcpStandIn
      const { ask } = yield* gcpClients(gcp, { ...google.credentials(), endpoints: { storage: `http://localhost:${plain}` }, publicOnly: true }, tuning)
      const failed = inKilnsWords(yield* Effect.flip(ask("storage.objects.get", "o/a")))
      assert.deepStrictEqual([failed.class, asked], ["user", []])
      assert.include(failed.message, inside)
    }).pipe(Effect.scoped))

  it.live("given a session of an upload to Cloud Storage at an address of the machine, when bytes are to go there, then none do", () =>
    Effect.gen(function*() {
      const { asked, path, plain } = yield* setting
      const agents = agentsFor({ publicOnly: true })
      const failed = yield* Effect.flip(sendFile({
        uri: `http://127.0.0.1:${plain}/session`, agent: (url) => agentOf(agents, url), path, size: 1 << 20, chunkSize: 1 << 18, pauseMs: 5,
        checksum: { update: () => {}, toString: () => "" }, onSent: () => Effect.void
      }))
      assert.deepStrictEqual([failed.code, asked], ["PRIVATE_HOST", []])
    }).pipe(Effect.scoped))

  const azure = { type: "azure", subscription: uuid, resource_group: "images", location: "westeurope", storage_account: account, container: "images" } as const
  const azureSet = (endpoints: CredentialsOf<"azure">["endpoints"] = {}): Credentials =>
    ({ provider: "azure", tenant_id: uuid, client_id: uuid, client_secret: "s", storage_key: storageKey, endpoints, publicOnly: true })

  it.live("given azure, where it gives tokens, when an image is delivered, then nothing is connected to, and it fails as the user's", () =>
    Effect.gen(function*() {
      const { asked, ca, refusal, safe } = yield* setting
      const failed = yield* refusal(azureTargetWith({ ...quick, workers: 1, ca }), azure, azureSet({ login: `https://localhost:${safe}` }))
      assert.deepStrictEqual([failed.class, asked], ["user", []])
      assert.include(failed.message, inside)
    }).pipe(Effect.scoped))

  it.live("given azure, its blobs, when one is looked for, then nothing is connected to, and it fails as the user's", () =>
    Effect.gen(function*() {
      const { asked, ca, safe } = yield* setting
      const { call, container } = yield* clients(azure, azureSet({ blob: `https://localhost:${safe}` }), { ...quick, workers: 1, ca })
      const failed = inKilnsWords(yield* Effect.flip(
        call("blobs.getProperties", (abortSignal) => container.getPageBlobClient("a").getProperties({ abortSignal }))))
      assert.deepStrictEqual([failed.class, asked], ["user", []])
      assert.include(failed.message, inside)
    }).pipe(Effect.scoped))
})
