import { assert, describe, it } from "@effect/vitest"
import { credentialFaults } from "../../domain/credential-faults.ts"
import type { Credentials } from "../../domain/credentials.ts"

const tenants = { operators: false, privateEndpoints: false }
const operators = { operators: true, privateEndpoints: true }
const paths = (set: Credentials, rules = tenants) => credentialFaults(set, rules).map(({ path }) => path)

const aws = { provider: "aws", access_key_id: "AKIA", secret_access_key: "secret" } as const
const account = {
  type: "service_account", client_email: "kiln@p.iam.gserviceaccount.com", private_key: "-----BEGIN",
  token_uri: "https://oauth2.googleapis.com/token", auth_uri: "https://accounts.google.com/o/oauth2/auth",
  client_x509_cert_url: "https://www.googleapis.com/robot/v1/metadata/x509/kiln"
}
const gcp = (key: object | string): Credentials => ({ provider: "gcp", key: typeof key === "string" ? key : JSON.stringify(key) })
const outside = {
  type: "external_account", audience: "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
  subject_token_type: "urn:ietf:params:oauth:token-type:jwt", token_url: "https://sts.googleapis.com/v1/token",
  credential_source: { file: "/var/run/token" }
}

describe("a tenant's set", () => {
  it("passes when it is whole and leads to the clouds themselves", () => {
    for (const set of [
      aws, { ...aws, endpoints: { s3: "https://s3.example.org" } }, gcp(account),
      { provider: "azure", tenant_id: "t", client_id: "c", client_secret: "s" }, { provider: "azure", storage_key: "k" },
      { provider: "oci", username: "u", password: "p" }, { provider: "oci", token: "t" }
    ] as ReadonlyArray<Credentials>) assert.deepStrictEqual(paths(set), [], JSON.stringify(set))
  })

  it("may not stand for the worker's own identity, by leaving out keys or by a key that says so", () => {
    assert.deepStrictEqual(paths({ provider: "aws" }), ["access_key_id", "secret_access_key"])
    assert.deepStrictEqual(paths({ provider: "aws", role_arn: "arn:aws:iam::123456789012:role/r" }), ["access_key_id", "secret_access_key"])
    assert.deepStrictEqual(paths({ provider: "gcp" }), ["key"])
    assert.deepStrictEqual(paths(gcp(outside)), ["key.type"])
    assert.deepStrictEqual(paths({ provider: "azure" }), ["tenant_id", "client_id"])
    assert.deepStrictEqual(paths({ provider: "oci", plain_http: true, token: "t" }), ["plain_http"])
  })

  it("may not lead a key to anybody but Google, however the address is written", () => {
    for (const address of [
      "https://evil.example/token", "http://oauth2.googleapis.com/token", "https://oauth2.googleapis.com@evil.example/token",
      "https://evilgoogleapis.com/token", "https://googleapis.com.evil.example/", "file:///etc/passwd", "http://169.254.169.254/latest", " https://evil.example",
      "\u0001https://evil.example", "https:evil.example", "https:\\\\evil.example", "ht\ntps://evil.example", "evil.example/token", "data:application/json,{}", ""
    ]) assert.deepStrictEqual(paths(gcp({ ...account, token_uri: address })), ["key.token_uri"], address)
    assert.deepStrictEqual(paths(gcp({ ...account, more: [{ deep: "https://evil.example" }] })), ["key.more.0.deep"])
    assert.deepStrictEqual(paths(gcp({ ...account, more: ["https:\\evil.example"] })), ["key.more.0"])
    assert.deepStrictEqual(paths(gcp({ type: "impersonated_service_account" })), ["key.type"])
    assert.deepStrictEqual(paths(gcp("no JSON")), ["key"])
    assert.deepStrictEqual(paths(gcp("[]")), ["key"])
  })

  it("has a certificate together with its key, in the form in which it can be read", () => {
    const [certificate, key] = ["CERTIFICATE", "PRIVATE KEY"].map((what) => `-----BEGIN ${what}-----\nMII\n-----END ${what}-----\n`)
    const set = (client_certificate: string): Credentials => ({ provider: "azure", tenant_id: "t", client_id: "c", client_certificate })
    for (const whole of [`${certificate}${key}`, `${key}${certificate}`, `${certificate}${key}`.replaceAll("\n", "\r\n")]) assert.deepStrictEqual(paths(set(whole)), [])
    for (const half of [certificate!, key!, "", `${certificate}${key!.replace("PRIVATE", "ENCRYPTED PRIVATE")}`, "/etc/kiln/client.pem"]) {
      for (const rules of [tenants, operators]) assert.deepStrictEqual(paths(set(half), rules), ["client_certificate"], half)
    }
  })

  it("is for Google's own domain, in whichever case its field is written", () => {
    assert.deepStrictEqual(paths(gcp({ ...account, universe_domain: "googleapis.com" })), [])
    for (const name of ["universe_domain", "universeDomain"]) assert.deepStrictEqual(paths(gcp({ ...account, [name]: "evil.example" })), [`key.${name}`])
  })

  it("may not have the machine or its link for an endpoint, nor speak without TLS, unless that is allowed", () => {
    for (const address of ["http://127.0.0.1:9000", "https://localhost", "https://[::1]:1", "https://169.254.169.254", "https://0x7f000001", "http://s3.example.org"]) {
      const set = { ...aws, endpoints: { s3: address } }
      assert.deepStrictEqual(paths(set), ["endpoints.s3"], address)
      assert.deepStrictEqual(paths(set, { operators: false, privateEndpoints: true }), [], address)
    }
  })

  it("is told what is wrong without a word of what it holds", () => {
    const said = JSON.stringify(credentialFaults(gcp({ ...account, token_uri: "https://planted.example" }), tenants))
    assert.notInclude(said, "planted")
  })
})

describe("an operator's set", () => {
  it("may stand for the worker's own identity, and be near it", () => {
    for (const set of [{ provider: "aws" }, { provider: "gcp" }, gcp(outside), { provider: "azure" }, { provider: "oci", plain_http: true }] as ReadonlyArray<Credentials>)
      assert.deepStrictEqual(paths(set, operators), [], JSON.stringify(set))
  })

  it("may start no program and send a token to nobody but Google", () => {
    const program = { executable: { command: "/bin/sh" } }
    assert.deepStrictEqual(paths(gcp({ ...outside, credential_source: program }), operators), ["key.credential_source.executable"])
    assert.deepStrictEqual(paths(gcp({ ...outside, credentialSource: program }), operators), ["key.credentialSource.executable"])
    assert.deepStrictEqual(paths(gcp({ ...outside, token_url: "https://evil.example" }), operators), ["key.token_url"])
    assert.deepStrictEqual(paths(gcp({ ...outside, tokenUrl: "https://evil.example" }), operators), ["key.tokenUrl"])
    assert.deepStrictEqual(paths(gcp({ ...outside, universe_domain: "evil.example" }), operators), ["key.universe_domain"])
    const impersonation = { service_account_impersonation_url: "https://iamcredentials.evil.example/v1/x:generateAccessToken" }
    assert.deepStrictEqual(paths(gcp({ ...outside, ...impersonation }), operators), ["key.service_account_impersonation_url"])
    assert.deepStrictEqual(paths({ provider: "aws", session_token: "t", external_id: "e" }, operators), ["session_token", "external_id"])
  })
  it("has its subject from a file, from a service near the machine, or from where Amazon's machines prove who they are, and from nowhere else", () => {
    const from = (credential_source: object) => paths(gcp({ ...outside, credential_source }), operators)
    assert.deepStrictEqual(from({ url: "http://169.254.169.254/metadata/identity/oauth2/token?resource=x", headers: { Metadata: "True" } }), [])
    assert.deepStrictEqual(from({
      environment_id: "aws1", region_url: "http://169.254.169.254/latest/meta-data/placement/availability-zone",
      regional_cred_verification_url: "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15"
    }), [])
    assert.deepStrictEqual(from({ url: "https://evil.example/token" }), ["key.credential_source.url"])
    for (const address of ["https://sts.{region}.evil.example", "https://sts.x.amazonaws.com@evil.example/", "https://sts.x.amazonaws.com.evil.example/"]) {
      assert.deepStrictEqual(from({ regional_cred_verification_url: address }), ["key.credential_source.regional_cred_verification_url"], address)
    }
    assert.deepStrictEqual(paths(gcp({ ...outside, token_url: "https://sts.eu-west-1.amazonaws.com/" }), operators), ["key.token_url"])
  })
})
