/** What opens a cloud. A tenant's sets are stored sealed as a whole; a worker's own come from its files and machine. */
import { Schema } from "effect"
import { line, matching, storable } from "./text.ts"

const optional = Schema.optionalKey
const secret = Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(4096))

/** Other than the cloud's own: `http(s)://host[:port][/path]`. Checked where it is stored and again where it is connected to. */
const Endpoint = matching(/^https?:\/\/(\[[0-9a-f:.]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?(\/[A-Za-z0-9._~%-]*)*$/u, "an address that begins with http:// or https://, without user and password")
  .check(Schema.isMaxLength(300))

/** For `s3` and `aws` targets. Without keys the worker's own identity is meant, which only a worker's own set may say. */
export const AwsCredentials = Schema.Struct({
  provider: Schema.Literal("aws"),
  access_key_id: optional(line(200)),
  secret_access_key: optional(secret),
  session_token: optional(secret),
  /** Taken on by STS with the keys above. */
  role_arn: optional(matching(/^arn:aws[a-z-]*:iam::[0-9]{12}:role\/[A-Za-z0-9+=,.@_/-]{1,512}$/u, "the ARN of a role")),
  external_id: optional(line(1224)),
  region: optional(line(60)),
  /** Of services that are not Amazon's. */
  endpoints: optional(Schema.Struct({ s3: optional(Endpoint), ec2: optional(Endpoint), sts: optional(Endpoint), iam: optional(Endpoint) }))
})

/** `key`: a service account's JSON, or an `external_account`'s, whose addresses must be Google's own and which may start no program. */
export const GcpCredentials = Schema.Struct({
  provider: Schema.Literal("gcp"),
  project: optional(line(120)),
  key: optional(storable(20_000)),
  endpoints: optional(Schema.Struct({ storage: optional(Endpoint), compute: optional(Endpoint) }))
})

export const AzureCredentials = Schema.Struct({
  provider: Schema.Literal("azure"),
  tenant_id: optional(line(100)),
  client_id: optional(line(100)),
  client_secret: optional(secret),
  /** PEM, with its key. */
  client_certificate: optional(storable(20_000)),
  /** For blobs alone, in place of the identity above. */
  storage_key: optional(secret),
  endpoints: optional(Schema.Struct({ login: optional(Endpoint), management: optional(Endpoint), blob: optional(Endpoint) }))
})

export const OciCredentials = Schema.Struct({
  provider: Schema.Literal("oci"),
  username: optional(line(200)),
  password: optional(secret),
  token: optional(secret),
  /** Whether the registry is spoken to without TLS; only an operator's set may say so. */
  plain_http: optional(Schema.Boolean)
})

export const Credentials = Schema.Union([AwsCredentials, GcpCredentials, AzureCredentials, OciCredentials])
export type Credentials = typeof Credentials.Type & {
  /** A tenant's: nothing in them may lead to the machine itself. Set where they are admitted; stored by nobody. */
  readonly publicOnly?: true
}
export type CredentialsOf<Provider extends Credentials["provider"]> = Extract<Credentials, { readonly provider: Provider }>

/** Whose credentials a target takes; none for Kiln's own store. */
export const providerOf = { file: undefined, s3: "aws", aws: "aws", gcp: "gcp", azure: "azure", oci: "oci" } as const
