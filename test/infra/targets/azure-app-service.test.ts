/** Apart from the other ways of being somebody at Azure: its library looks once in a process where tokens come from. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { clients } from "../../../infra/targets/azure/clients.ts"
import { azureImds } from "../../support/azure-imds.ts"
import { azureStandIn } from "../../support/azure-stand-in.ts"
import { withEnvironment } from "../../support/environment.ts"
import { account, container } from "../../support/page-blob-stand-in.ts"

describe("a worker that runs as an app service of Azure's", () => {
  it.live("given the endpoint and the header that it was given, when images are looked for, then the endpoint says who it is, and a set may name one of its identities", () =>
    Effect.gen(function*() {
      const { ca, credentials, place, tokens } = yield* azureStandIn
      const imds = yield* azureImds
      imds.serve(tokens)
      const another = crypto.randomUUID()
      imds.identities.add(another)
      yield* withEnvironment({
        AZURE_FEDERATED_TOKEN_FILE: undefined, AZURE_POD_IDENTITY_AUTHORITY_HOST: undefined, IDENTITY_ENDPOINT: `${imds.base}/msi/token`, IDENTITY_HEADER: imds.header
      })
      const { endpoints, provider } = credentials()
      const nobody = { provider, ...(endpoints && { endpoints }) }
      const looking = (over: object) => Effect.gen(function*() {
        const azure = yield* clients({ type: "azure", ...place, storage_account: account, container }, { ...nobody, ...over }, { pauseMs: 5, pollMs: 1, workers: 1, ca })
        return yield* azure.call("images.list", (abortSignal) => azure.compute.images.listByResourceGroup(place.resource_group, { abortSignal }).next())
      })
      yield* looking({})
      yield* looking({ client_id: another })
      assert.deepStrictEqual(imds.asked, ["GET /msi/token", `GET /msi/token ${another}`])
      assert.include((yield* Effect.flip(looking({ client_id: crypto.randomUUID() }))).message, "Identity not found")
    }))
})
