/** What may not be in a set of credentials: whoever writes one must not thereby use a worker's own rights, or send it somewhere. Pure. */
import { Option, Schema } from "effect"
import type { AwsCredentials, AzureCredentials, Credentials, GcpCredentials, OciCredentials } from "./credentials.ts"
import { isPrivateAddress, isPrivateHost } from "./private-host.ts"

export interface CredentialFault {
  readonly path: string
  /** Says nothing of what stands there. */
  readonly message: string
}

export interface CredentialRules {
  /** An operator's set may mean the worker's own identity, and what is near it. */
  readonly operators: boolean
  /** Whether tenants' addresses may be of the machine itself or of its link, and without TLS. */
  readonly privateEndpoints: boolean
}

export const credentialFaults = (credentials: Credentials, rules: CredentialRules): ReadonlyArray<CredentialFault> => [
  ...endpointFaults(credentials, rules),
  ...ofProvider(credentials, rules)
]

const ofProvider = (credentials: Credentials, rules: CredentialRules): ReadonlyArray<CredentialFault> => {
  switch (credentials.provider) {
    case "aws":
      return awsFaults(credentials, rules)
    case "gcp":
      return gcpFaults(credentials, rules)
    case "azure":
      return azureFaults(credentials, rules)
    case "oci":
      return ociFaults(credentials, rules)
  }
}

const missing = (path: string): CredentialFault => ({ path, message: "is missing" })
const together = (path: string, other: string): CredentialFault => ({ path, message: `says nothing without ${other}` })

const awsFaults = (set: typeof AwsCredentials.Type, { operators }: CredentialRules): ReadonlyArray<CredentialFault> => {
  const keyed = set.access_key_id !== undefined || set.secret_access_key !== undefined || !operators
  return [
    ...(keyed && set.access_key_id === undefined ? [missing("access_key_id")] : []),
    ...(keyed && set.secret_access_key === undefined ? [missing("secret_access_key")] : []),
    ...(!keyed && set.session_token !== undefined ? [together("session_token", "access_key_id")] : []),
    ...(set.external_id !== undefined && set.role_arn === undefined ? [together("external_id", "role_arn")] : [])
  ]
}

const azureFaults = (set: typeof AzureCredentials.Type, { operators }: CredentialRules): ReadonlyArray<CredentialFault> => {
  const proof = set.client_secret !== undefined || set.client_certificate !== undefined
  const named = set.tenant_id !== undefined && set.client_id !== undefined
  const isWhole = set.client_certificate === undefined || (inPem.certificate.test(set.client_certificate) && inPem.key.test(set.client_certificate))
  if (!isWhole) return [{ path: "client_certificate", message: "has to hold a certificate and its key, in PEM, the key without a passphrase" }]
  if (operators || (set.storage_key !== undefined && !proof)) return []
  return [
    ...(set.tenant_id === undefined ? [missing("tenant_id")] : []),
    ...(set.client_id === undefined ? [missing("client_id")] : []),
    ...(named && !proof ? [missing("client_secret")] : [])
  ]
}

const inPem = { certificate: /^-----BEGIN CERTIFICATE-----\r?$/mu, key: /^-----BEGIN (RSA )?PRIVATE KEY-----\r?$/mu }

const ociFaults = (set: typeof OciCredentials.Type, { operators }: CredentialRules): ReadonlyArray<CredentialFault> => [
  ...(set.username !== undefined && set.password === undefined ? [missing("password")] : []),
  ...(set.password !== undefined && set.username === undefined ? [missing("username")] : []),
  ...(set.username === undefined && set.token === undefined && !operators ? [missing("token")] : []),
  ...(set.plain_http === true && !operators ? [{ path: "plain_http", message: "only an operator's set may say so" }] : [])
]

const KeyFile = Schema.fromJsonString(Schema.Record(Schema.String, Schema.Unknown))
const decodeKey = Schema.decodeUnknownOption(KeyFile)

const gcpFaults = (set: typeof GcpCredentials.Type, rules: CredentialRules): ReadonlyArray<CredentialFault> => {
  if (set.key === undefined) return rules.operators ? [] : [missing("key")]
  const key = Option.getOrUndefined(decodeKey(set.key))
  return key === undefined ? [{ path: "key", message: "is not the JSON of a key" }] : keyFaults(key, rules)
}

const serviceAccount = ["client_email", "private_key"] as const
const externalAccount = ["audience", "subject_token_type", "token_url", "credential_source"] as const

/** A key says where it is to be shown, and may even say what to run: both are looked at, whoever wrote it. */
const keyFaults = (key: Readonly<Record<string, unknown>>, rules: CredentialRules): ReadonlyArray<CredentialFault> => {
  const lacking = (fields: ReadonlyArray<string>) => fields.filter((field) => key[field] === undefined).map((field) => missing(`key.${field}`))
  const isHarmless = (text: string, field: string) => isGoogles(text, rules) || (isOfSource(field) && isSubjectsPlace(text))
  if (key["type"] === "service_account") return [...lacking(serviceAccount), ...fieldFaults("key", key, (text) => isGoogles(text, rules))]
  if (key["type"] !== "external_account") return [{ path: "key.type", message: "is neither service_account nor external_account" }]
  // Its subject is the machine that it is used on: a file there, or a service near it.
  if (!rules.operators) return [{ path: "key.type", message: "external_account is for operators' sets on workers: it stands for the worker's own identity" }]
  return [...lacking(externalAccount), ...fieldFaults("key", key, isHarmless)]
}

/** Google's libraries take every field in camel case, too. */
const plain = (field: string): string => field.replaceAll("_", "").toLowerCase()
const isOfSource = (path: string): boolean => plain(path).startsWith("key.credentialsource.")

/** `isHarmless`: an address, of the field at that path. */
const fieldFaults = (path: string, value: unknown, isHarmless: (text: string, path: string) => boolean): ReadonlyArray<CredentialFault> => {
  const name = plain(path.slice(path.lastIndexOf(".") + 1))
  if (name === "executable" || name === "command") return [{ path, message: "starts a program, which no key may" }]
  if (name === "universedomain" && value !== "googleapis.com") return [{ path, message: "is not Google's: keys are for googleapis.com" }]
  if (typeof value === "string") return isAddress(name, value) && !isHarmless(value, path) ? [{ path, message: "is not an address of Google's" }] : []
  if (typeof value !== "object" || value === null) return []
  return Object.entries(value).flatMap(([field, each]) => fieldFaults(`${path}.${field.slice(0, 60)}`, each, isHarmless))
}

const fetched = ["http:", "https:", "ws:", "wss:", "ftp:", "file:", "data:", "blob:"]

/** What is called one, what looks like one, and what is read as one: control characters before it, or slashes that lean the other way, change nothing. */
const isAddress = (name: string, text: string): boolean =>
  /(url|uri)$/u.test(name) || /^\s*[a-z][a-z0-9+.-]*:\/\//iu.test(text) || fetched.includes(parsed(text)?.protocol ?? "")

const isGoogles = (text: string, { operators, privateEndpoints }: CredentialRules): boolean => {
  const url = parsed(text)
  if (url === undefined || url.username !== "" || url.password !== "" || !/^https?:$/u.test(url.protocol)) return false
  if ((operators || privateEndpoints) && isNear(url.hostname)) return true
  return url.protocol === "https:" && (url.hostname === "accounts.google.com" || /(^|\.)googleapis\.com$/u.test(url.hostname))
}

/** Where a machine of Amazon's proves who it is: Google's library fills in the region. */
const isSubjectsPlace = (text: string): boolean => /^https:\/\/sts\.(\{region\}|[a-z0-9-]{1,40})\.amazonaws\.com(\.cn)?(\/|\?|$)/u.test(text)

const endpointFaults = (credentials: Credentials, { operators, privateEndpoints }: CredentialRules): ReadonlyArray<CredentialFault> => {
  if (operators || privateEndpoints) return []
  return endpointsOf(credentials).flatMap(([name, text]): ReadonlyArray<CredentialFault> => {
    const url = parsed(text)
    const path = `endpoints.${name}`
    if (url === undefined) return [{ path, message: "is no address" }]
    if (isNear(url.hostname)) return [{ path, message: "is an address of the machine itself, or of its link, which tenants may not have here" }]
    return url.protocol === "https:" ? [] : [{ path, message: "has to begin with https://" }]
  })
}

/** Name and address of each service that is not the cloud's own. */
export const endpointsOf = (credentials: Credentials): ReadonlyArray<readonly [string, string]> =>
  "endpoints" in credentials && credentials.endpoints !== undefined ? Object.entries(credentials.endpoints) : []

const isNear = (hostname: string): boolean => {
  const bare = hostname.replace(/^\[|\]$/gu, "")
  return isPrivateHost(bare) || (bare.includes(":") && isPrivateAddress(bare))
}

const parsed = (text: string): URL | undefined => URL.parse(text) ?? undefined
