/**
 * Credentials that start programs or lead away, as clouds' own libraries take them: each trap is shown to work by the bare
 * library first, then it is given to Kiln by every way that a set comes in.
 */
import { assert, describe, it } from "@effect/vitest"
import { chmodSync, existsSync, rmSync, writeFileSync } from "node:fs"
import { networkInterfaces } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import type { Credentials, CredentialsOf } from "../../../domain/credentials.ts"
import { TenantId } from "../../../domain/ids.ts"
import { credentialSetsFile } from "../../../infra/credentials/credential-sets-file.ts"
import { gcpTargetWith } from "../../../infra/targets/gcp/target.ts"
import { s3Target } from "../../../infra/targets/s3/target.ts"
import { awsImds } from "../../support/aws-imds.ts"
import { withEnvironment } from "../../support/environment.ts"
import { gcpStandIn } from "../../support/gcp-stand-in.ts"
import { skipWhere } from "../../support/needs.ts"
import { s3Keys, s3StandIn } from "../../support/s3-stand-in.ts"
import { temporaryFolder } from "../../support/servers.ts"
import { listen } from "../../support/stand-in.ts"

const gcp = gcpTargetWith({ pauseMs: 1, pollMs: 1, chunkSize: 256 * 1024 })

/** An address of this machine that is not its own alone: to whom a key would be shown if it led there. */
const elsewhere = Object.values(networkInterfaces()).flat().find((each) => each?.family === "IPv4" && !each.internal && !each.address.startsWith("169.254."))?.address

const traps = Effect.gen(function*() {
  const dir = yield* temporaryFolder
  const heard: Array<string> = []
  const hears = ({ method, url }: { readonly method?: string | undefined; readonly url?: string | undefined }, body: Buffer) => {
    heard.push(`${method} ${url} ${body.toString()}`)
    return { status: 403, body: {} }
  }
  const [ran, program] = [join(dir, "ran"), join(dir, "program")]
  writeFileSync(program, `#!/bin/sh\ntouch ${ran}\nexit 1\n`)
  chmodSync(program, 0o700)
  const address = elsewhere ?? "127.0.0.1"
  const place = `http://${address}:${yield* listen(hears, undefined, address)}`
  const didRun = () => existsSync(ran)
  const reset = () => {
    rmSync(ran, { force: true })
    heard.length = 0
  }
  return { dir, heard, place, program, didRun, reset }
})

/** By a file on the worker, from the log, and past both. */
const refusals = Effect.fnUntraced(function*(dir: string, set: Credentials) {
  const file = join(dir, "sets.json")
  writeFileSync(file, JSON.stringify({ trap: set }), { mode: 0o600 })
  const sets = credentialSetsFile({ file, privateEndpoints: false })
  const ofOperator = yield* Effect.flip(sets.find("trap", TenantId.make("acme")))
  const ofTenant = yield* Effect.flip(sets.admit(JSON.stringify(set)))
  return [ofOperator.message, ofTenant.message]
})

describe("a key for Google that does more than a key should", () => {
  const make = Effect.gen(function*() {
    const set = yield* traps
    const google = yield* gcpStandIn
    const good = google.credentials()
    const key = JSON.parse(good.key!) as Record<string, unknown>
    yield* withEnvironment({ GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES: "1" })
    /** As whoever takes it for a key would use it. */
    const barely = (key: object) => Effect.promise(async () => {
      const { Storage } = await import("@google-cloud/storage")
      await new Storage({ projectId: "p", credentials: key, retryOptions: { autoRetry: false } }).authClient.getAccessToken().catch(() => undefined)
    })
    const withKey = (key: object): CredentialsOf<"gcp"> => ({ ...good, key: JSON.stringify(key) })
    const isRefused = Effect.fnUntraced(function*(key: object, field: string) {
      const [ofOperator] = yield* refusals(set.dir, withKey(key))
      assert.include(ofOperator, `trap.key.${field} `)
      const checked = yield* gcp.check({ type: "gcp", bucket: "example-images" }, withKey(key))
      assert.include(checked.map(({ problem }) => problem).join(), `key.${field} `)
      assert.deepStrictEqual([set.didRun(), set.heard], [false, []], field)
    })
    return { ...set, key, barely, isRefused }
  })

  it.live("given one that names a program, which Google's library starts, when it is used, then that is refused and nothing was started", () =>
    Effect.gen(function*() {
      const { barely, didRun, isRefused, key, program, reset } = yield* make
      const source = { executable: { command: program, timeout_millis: 5000 } }
      yield* barely({ ...key, credential_source: source })
      assert.isTrue(didRun(), "the trap does not work")
      reset()
      yield* isRefused({ ...key, credential_source: source }, "credential_source.executable")
      yield* isRefused({ ...key, credentialSource: source }, "credentialSource.executable")
    }))

  describe("at another address", () => {
    skipWhere(elsewhere === undefined, "this machine has no address but its own")

    it.live("given one that has its subject's token sent to a stranger, or fetched from one, when it is used, then that is refused and nobody was asked", () =>
      Effect.gen(function*() {
        const { barely, heard, isRefused, key, place, reset } = yield* make
        const cases = [
          [{ ...key, token_url: `${place}/token` }, "token_url"],
          [{ ...key, token_url: `\u0001${place}/token` }, "token_url"],
          [{ ...key, token_url: `${place}/token`.replaceAll("/", "\\") }, "token_url"],
          [{ ...key, credential_source: { url: `${place}/subject` } }, "credential_source.url"]
        ] as const
        for (const [trap, field] of cases) {
          yield* barely(trap)
          assert.isAbove(heard.length, 0, `the trap does not work: ${JSON.stringify(trap)}`)
          reset()
          yield* isRefused(trap, field)
        }
      }))
  })

  it.live("given one that is for another domain than Google's, or leads to one after the exchange, when it is used, then that is refused", () =>
    Effect.gen(function*() {
      const { isRefused, key } = yield* make
      yield* isRefused({ ...key, universe_domain: "evil.example" }, "universe_domain")
      yield* isRefused({ ...key, service_account_impersonation_url: "https://iamcredentials.evil.example/v1/x:generateAccessToken" }, "service_account_impersonation_url")
      yield* isRefused({ ...key, cloud_resource_manager_url: "https://evil.example/" }, "cloud_resource_manager_url")
    }))

  it.live("given a tenant's that stands for the worker's identity, when it comes to a worker, then it is refused there, too", () =>
    Effect.gen(function*() {
      const { key } = yield* make
      const sets = credentialSetsFile({ file: undefined, privateEndpoints: false })
      assert.include((yield* Effect.flip(sets.admit(JSON.stringify({ provider: "gcp", key: JSON.stringify(key) })))).message, "key.type ")
    }))
})

describe("profiles of AWS on the worker's machine", () => {
  const target = { type: "s3", bucket: "images" } as const
  const none = { AWS_ACCESS_KEY_ID: undefined, AWS_SECRET_ACCESS_KEY: undefined, AWS_SESSION_TOKEN: undefined, AWS_WEB_IDENTITY_TOKEN_FILE: undefined }
  const make = Effect.gen(function*() {
    const set = yield* traps
    const files = ["config", "credentials"].map((name) => join(set.dir, name))
    const profile = `credential_process = ${set.program}\nendpoint_url = ${set.place}\nregion = eu-north-1\n`
    for (const file of files) writeFileSync(file, `[default]\n${profile}`)
    yield* withEnvironment({
      ...none, AWS_CONFIG_FILE: files[0], AWS_SHARED_CREDENTIALS_FILE: files[1], AWS_PROFILE: undefined, AWS_EC2_METADATA_DISABLED: "true", AWS_ENDPOINT_URL: undefined
    })
    const s3 = yield* s3StandIn()
    s3.store.make("images", "eu-central-1")
    const here = { provider: "aws", region: "eu-central-1", endpoints: { s3: s3.endpoint } } as const
    const barely = (keys?: { readonly accessKeyId: string; readonly secretAccessKey: string }) => Effect.promise(async () => {
      const { HeadBucketCommand, S3Client } = await import("@aws-sdk/client-s3")
      await new S3Client({ region: "eu-central-1", maxAttempts: 1, forcePathStyle: true, ...(keys && { credentials: keys }) })
        .send(new HeadBucketCommand({ Bucket: "images" })).catch(() => undefined)
    })
    return { ...set, barely, here, s3 }
  })

  it.live("given one that names a program for keys and an endpoint, which Amazon's library takes, when a set is used, then neither is", () =>
    Effect.gen(function*() {
      const { barely, didRun, heard, here, reset, s3 } = yield* make
      yield* barely()
      assert.isTrue(didRun(), "the program of the trap is not started")
      yield* barely({ accessKeyId: "AKIA", secretAccessKey: "secret" })
      assert.isAbove(heard.length, 0, "the address of the trap is not asked")
      reset()
      // A set of its own, and one that means the machine.
      assert.deepStrictEqual(yield* s3Target.check(target, { ...here, ...s3Keys }), [])
      for (const own of [here, { ...here, role_arn: "arn:aws:iam::123456789012:role/kiln", endpoints: { ...here.endpoints, sts: s3.endpoint } }]) {
        const failed = yield* Effect.exit(s3Target.check(target, own))
        assert.notDeepEqual(failed.toString(), "Success([])")
      }
      const copy = { id: "a/disk.raw", place: "images", format: "raw", resources: [], bytesSent: 1, deliveredAt: 1 } as never
      const link = new URL(yield* s3Target.link!(target, copy, { provider: "aws", ...s3Keys, region: "eu-central-1" }, 60))
      assert.strictEqual(link.hostname, "images.s3.eu-central-1.amazonaws.com")
      assert.include(link.searchParams.get("X-Amz-Credential"), `${s3Keys.access_key_id}/`)
      assert.deepStrictEqual([didRun(), heard], [false, []])
    }))

  it.live("given an instance with a role, when a set without keys is used, then it is the role that opens the bucket, and no profile", () =>
    Effect.gen(function*() {
      const { didRun, here, s3 } = yield* make
      const role = { access_key_id: "ASIAROLE", secret_access_key: "of the role", session_token: "its session" }
      s3.accounts.set(role.access_key_id, { secretAccessKey: role.secret_access_key, sessionToken: role.session_token })
      const imds = yield* awsImds(role)
      yield* withEnvironment({ AWS_EC2_METADATA_DISABLED: undefined, AWS_EC2_METADATA_SERVICE_ENDPOINT: imds.base })
      assert.deepStrictEqual(yield* s3Target.check(target, here), [])
      assert.deepStrictEqual(imds.asked.slice(0, 3), ["PUT /latest/api/token", "GET /latest/meta-data/iam/security-credentials/", "GET /latest/meta-data/iam/security-credentials/kiln-worker"])
      assert.isFalse(didRun())
    }))

  it.live("given a set that names one, or a program, or a file, when it comes in, then it is refused", () =>
    Effect.gen(function*() {
      const { dir, program } = yield* traps
      const [aws, azure] = [{ provider: "aws", ...s3Keys }, { provider: "azure", tenant_id: "t", client_id: "c", client_secret: "s" }]
      for (const [set, field] of [
        [{ ...aws, credential_process: program }, "credential_process"], [{ ...aws, profile: "default" }, "profile"], [{ ...aws, web_identity_token_file: "/etc/passwd" }, "web_identity_token_file"],
        [{ ...aws, endpoints: { metadata: "http://169.254.169.254" } }, "metadata"], [{ ...azure, client_certificate_path: "/etc/passwd" }, "client_certificate_path"],
        [{ ...azure, token_file: "/etc/passwd" }, "token_file"], [{ ...azure, authority: "https://evil.example" }, "authority"], [{ provider: "gcp", credential_source: {} }, "credential_source"]
      ] as const) {
        const [ofOperator, ofTenant] = yield* refusals(dir, set as never)
        assert.include(ofOperator, field)
        assert.include(ofTenant, "cannot be read", field)
      }
    }))
})
