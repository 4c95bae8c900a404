/** Who a worker is at Azure where no client's secret says so: a certificate, a pod of a cluster, a machine. */
import { assert, describe, it } from "@effect/vitest"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { Effect, Exit, Scope } from "effect"
import { afterAll, beforeAll } from "vitest"
import type { CredentialsOf } from "../../../domain/credentials.ts"
import { AttemptMeter, Meter } from "../../../domain/ports/meter.ts"
import type { TargetOf } from "../../../domain/target.ts"
import { azureTargetWith } from "../../../infra/targets/azure/target.ts"
import { client, clusterOf, tenant } from "../../support/azure-clients.ts"
import { azureImds } from "../../support/azure-imds.ts"
import { azureStandIn } from "../../support/azure-stand-in.ts"
import { clientCertificate } from "../../support/certificate.ts"
import { diskSaying } from "../../support/aws-cloud.ts"
import { deliver as carry, deliveryOf, newJournal } from "../../support/deliver.ts"
import { withEnvironment } from "../../support/environment.ts"
import { account, container } from "../../support/page-blob-stand-in.ts"
import { listen } from "../../support/stand-in.ts"

const target: TargetOf<"azure"> = {
  type: "azure", subscription: "5b1d4f1e-0000-4000-8000-000000000003", resource_group: "images", location: "westeurope", storage_account: account, container
}

const make = Effect.gen(function*() {
  const azure = yield* azureStandIn
  const path = join(azure.dir, "disk.raw")
  writeFileSync(path, diskSaying("whoever it is"))
  const { endpoints, provider } = azure.credentials()
  const nobody = { provider, ...(endpoints && { endpoints }) }
  const to = azureTargetWith({ pauseMs: 5, pollMs: 1, workers: 2, ca: azure.ca })
  const deliver = (over: Partial<CredentialsOf<"azure">>) =>
    Effect.flatMap(Effect.promise(() => deliveryOf({ target, credentials: { ...nobody, ...over }, path })), (delivery) => carry(to, delivery, newJournal(azure.dir)))
  const remove = (over: Partial<CredentialsOf<"azure">>, id: string) => to.remove(target, [{ kind: "blob", id }], { ...nobody, ...over })
  return { ...azure, deliver, remove, images: () => azure.arm.ofKind("images").length }
})

describe("a client with a certificate", () => {
  const named = { tenant_id: tenant, client_id: client.id }

  it.live("given one that Azure knows, when an image is delivered, then its key has signed who asks, and the image is there", () =>
    Effect.gen(function*() {
      const { clients, deliver, images, served } = yield* make
      const { cert, key } = clientCertificate()
      clients.certificates.add(cert)
      const meter = new Meter()
      for (const client_certificate of [`${key}${cert}`, `${cert}${key}`]) {
        yield* Effect.provideService(deliver({ ...named, client_certificate }), AttemptMeter, meter)
      }
      assert.strictEqual(images(), 2)
      assert.isAtLeast(clients.seen.size, 2)
      assert.strictEqual(meter.spent?.cloudCalls, served())
    }))

  it.live("given one that Azure does not know, a key that is another's, or no key, when an image is delivered, then that fails as the user's, with Azure's words and nothing of the key", () =>
    Effect.gen(function*() {
      const { clients, deliver, images } = yield* make
      const [known, other] = [clientCertificate(), clientCertificate()]
      clients.certificates.add(known.cert)
      const stranger = yield* Effect.flip(deliver({ ...named, client_certificate: `${other.key}${other.cert}` }))
      assert.deepInclude(stranger, { class: "user" })
      assert.include(stranger.message, "invalid_client: AADSTS700027: The certificate with identifier used to sign the client assertion is not registered")
      const forged = yield* Effect.flip(deliver({ ...named, client_certificate: `${other.key}${known.cert}` }))
      assert.deepInclude(forged, { class: "user" })
      assert.include(forged.message, "AADSTS700027: The signature of the client assertion is invalid")
      const keyless = yield* Effect.flip(deliver({ ...named, client_certificate: known.cert }))
      const empty = yield* Effect.flip(deliver({ ...named, client_certificate: "no certificate" }))
      for (const failed of [stranger, forged, keyless, empty]) {
        assert.strictEqual(failed.class, "user", failed.message)
        assert.notMatch(failed.message, /PRIVATE KEY|BEGIN/)
        for (const line of other.key.split("\n").filter((each) => each.length > 20)) assert.notInclude(failed.message, line)
      }
      assert.strictEqual(images(), 0)
    }))
})

describe("a worker in a pod with a workload identity", () => {
  it.live("given a token of its cluster, when an image is delivered, then that says who it is; a later token is read where it has changed", () =>
    Effect.gen(function*() {
      const { clients: { cluster }, deliver, dir, images, served } = yield* make
      const file = join(dir, "pod-token")
      writeFileSync(file, cluster.token())
      yield* withEnvironment({ AZURE_FEDERATED_TOKEN_FILE: file, AZURE_TENANT_ID: tenant, AZURE_CLIENT_ID: client.id })
      const meter = new Meter()
      yield* Effect.provideService(deliver({}), AttemptMeter, meter)
      assert.strictEqual(meter.spent?.cloudCalls, served())
      for (const [wrong, words] of [
        [cluster.token("system:serviceaccount:kiln:somebody"), "AADSTS700213"], [clusterOf("https://another.example.org/").token(), "AADSTS700211"],
        [clusterOf(cluster.issuer).token(), "AADSTS5000223"], [cluster.token(undefined, { exp: 1 }), "AADSTS700024"]
      ] as const) {
        writeFileSync(file, wrong)
        const failed = yield* Effect.flip(deliver({}))
        assert.deepInclude(failed, { class: "user" })
        assert.include(failed.message, words)
        assert.notInclude(failed.message, wrong)
      }
      writeFileSync(file, cluster.token())
      yield* deliver({})
      assert.strictEqual(images(), 2)
    }))

  it.live("given a set that names another client, when an image is delivered, then that client is asked for and not the pod's own", () =>
    Effect.gen(function*() {
      const { clients: { cluster }, deliver, dir, images } = yield* make
      const file = join(dir, "pod-token")
      writeFileSync(file, cluster.token())
      yield* withEnvironment({ AZURE_FEDERATED_TOKEN_FILE: file, AZURE_TENANT_ID: tenant, AZURE_CLIENT_ID: "5b1d4f1e-0000-4000-8000-00000000000f" })
      assert.include((yield* Effect.flip(deliver({}))).message, "AADSTS700016")
      yield* deliver({ client_id: client.id })
      assert.strictEqual(images(), 1)
    }))
})

/** Azure's library keeps for the whole process where it has found the machine's service, and tokens by identity: tests share the one, and have an identity each. */
describe("a worker on a machine with a managed identity", () => {
  const scope = Scope.makeUnsafe()
  let imds: Effect.Success<typeof azureImds>
  beforeAll(async () => void (imds = await Effect.runPromise(Scope.provide(scope)(azureImds))))
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

  const onMachine = Effect.gen(function*() {
    const azure = yield* make
    imds.serve(azure.tokens)
    yield* withEnvironment({ AZURE_FEDERATED_TOKEN_FILE: undefined, AZURE_POD_IDENTITY_AUTHORITY_HOST: imds.base })
    const another = crypto.randomUUID()
    imds.identities.add(another)
    return { ...azure, another }
  })

  it.live("given its own and one more, when images are delivered, then the machine's service gives tokens, by no proxy, and is asked once for each service", () =>
    Effect.gen(function*() {
      const { another, deliver, images } = yield* onMachine
      const proxied: Array<string> = []
      const proxy = `http://127.0.0.1:${yield* listen(({ method, url }) => {
        proxied.push(`${method} ${url}`)
        return { status: 502 }
      })}`
      yield* withEnvironment({ HTTP_PROXY: proxy, http_proxy: proxy, NO_PROXY: undefined, no_proxy: undefined })
      yield* deliver({})
      for (const _ of [1, 2]) yield* deliver({ client_id: another })
      assert.strictEqual(images(), 3)
      const at = "GET /metadata/identity/oauth2/token"
      assert.deepStrictEqual(imds.asked, [at, at, `${at} ${another}`, `${at} ${another}`])
      assert.deepStrictEqual(proxied, [])
    }))

  it.live("given an identity that the machine has not, or a service that answers nobody, when an image is delivered, then that is told as whose turn it is", () =>
    Effect.gen(function*() {
      const { another, deliver, images } = yield* onMachine
      const failed = yield* Effect.flip(deliver({ client_id: crypto.randomUUID() }))
      assert.deepInclude(failed, { class: "user" })
      assert.include(failed.message, "invalid_request: Identity not found")
      for (const _ of [1, 2, 3, 4, 5, 6]) imds.hangUp()
      assert.deepInclude(yield* Effect.flip(deliver({ client_id: another })), { class: "target-fault" })
      assert.strictEqual(images(), 0)
    }))

  it.live("given a service that is throttled, replaced or not itself, when an image is delivered, then it is asked again", () =>
    Effect.gen(function*() {
      const { another, deliver, images } = yield* onMachine
      for (const status of [429, 410, 404, 500]) imds.failWith(status, "busy", "Please retry")
      yield* deliver({ client_id: another })
      assert.deepStrictEqual([images(), imds.asked.length], [1, 6])
    }))

  it.live("given a service that has not got the identity ready, when a blob is to be removed, then it is not taken for gone", () =>
    Effect.gen(function*() {
      const { another, remove } = yield* onMachine
      for (const _ of [1, 2, 3, 4, 5, 6]) imds.failWith(404, "not_found", "The identity is not there yet")
      assert.deepInclude(yield* Effect.flip(remove({ client_id: another }, "kiln-x.vhd")), { class: "target-fault" })
      yield* remove({ client_id: another }, "kiln-x.vhd")
    }))

  it.live("given a tenant's set without a secret that came here all the same, when an image is delivered, then the machine is not asked who it is", () =>
    Effect.gen(function*() {
      const { deliver, images } = yield* onMachine
      const stored = { publicOnly: true, client_id: client.id } as const
      assert.deepInclude(yield* Effect.flip(deliver(stored)), { class: "user" })
      assert.deepStrictEqual([imds.asked, images()], [[], 0])
    }))
})
