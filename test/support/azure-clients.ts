/** How a client shows Azure's authority who it is: a secret, an assertion that its certificate's key has signed, or one of a cluster it trusts. */
import { constants, createHash, createPublicKey, generateKeyPairSync, type KeyObject, sign, verify, X509Certificate } from "node:crypto"

export const tenant = "5b1d4f1e-0000-4000-8000-000000000001"
export const client = { id: "5b1d4f1e-0000-4000-8000-000000000002", secret: "an example's secret" }

export interface Known {
  readonly tenant: string
  /** Of the client, in PEM. */
  readonly certificates: Set<string>
  /** What the client trusts to say who a pod is. */
  readonly cluster: Cluster
  /** The client's own assertions that were taken. */
  readonly seen: Set<string>
}

export const known = (): Known => ({ tenant, certificates: new Set(), cluster: clusterOf("https://cluster.example.org/"), seen: new Set() })

export interface Cluster {
  readonly issuer: string
  readonly key: KeyObject
  /** The token of a pod of that service account. */
  readonly token: (subject?: string, over?: object) => string
}

export const podOfWorker = "system:serviceaccount:kiln:worker"

export const clusterOf = (issuer: string): Cluster => {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 })
  return {
    issuer, key: publicKey,
    token: (subject = podOfWorker, over = {}) => {
      const now = Math.floor(Date.now() / 1000)
      const body = { iss: issuer, sub: subject, aud: ["api://AzureADTokenExchange"], iat: now, nbf: now, exp: now + 3600, ...over }
      const text = [{ alg: "RS256", kid: "k", typ: "JWT" }, body].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".")
      return `${text}.${sign("sha256", Buffer.from(text), privateKey).toString("base64url")}`
    }
  }
}

/** In Azure's words; nothing if it is who it says. */
export const clientFault = (given: URLSearchParams, endpoint: string, known: Known): string | undefined => {
  if (given.get("client_id") !== client.id || given.get("grant_type") !== "client_credentials") return "AADSTS700016: Application with that identifier was not found in the directory."
  const assertion = given.get("client_assertion")
  if (assertion === null) return given.get("client_secret") === client.secret ? undefined : "AADSTS7000215: Invalid client secret provided."
  if (given.get("client_assertion_type") !== "urn:ietf:params:oauth:client-assertion-type:jwt-bearer") return "AADSTS700025: The client assertion type is wrong."
  const jwt = jwtOf(assertion)
  if (jwt === undefined) return "AADSTS50027: JWT token is invalid or malformed."
  return String(jwt.body["iss"]) === client.id ? ownFault(jwt, endpoint, known) : clusterFault(jwt, known)
}

interface Jwt {
  readonly head: Readonly<Record<string, unknown>>
  readonly body: Readonly<Record<string, unknown>>
  readonly signed: Buffer
  readonly signature: Buffer
}

const jwtOf = (text: string): Jwt | undefined => {
  const [head = "", body = "", signature = ""] = text.split(".")
  try {
    const [read, said] = [head, body].map((part) => JSON.parse(Buffer.from(part, "base64url").toString()) as Record<string, unknown>)
    return { head: read!, body: said!, signed: Buffer.from(`${head}.${body}`), signature: Buffer.from(signature, "base64url") }
  } catch {
    return undefined
  }
}

/** Signed by the key of a certificate that the client has, for this endpoint. */
const ownFault = ({ body, head, signature, signed }: Jwt, endpoint: string, { certificates, seen }: Known): string | undefined => {
  const named = head["x5t#S256"]
  const certificate = [...certificates].map((pem) => new X509Certificate(pem)).find(({ raw }) => createHash("sha256").update(raw).digest("base64url") === named)
  if (certificate === undefined) return "AADSTS700027: The certificate with identifier used to sign the client assertion is not registered on application."
  const padding = head["alg"] === "PS256" ? constants.RSA_PKCS1_PSS_PADDING : head["alg"] === "RS256" ? constants.RSA_PKCS1_PADDING : undefined
  if (padding === undefined || !verify("sha256", signed, { key: certificate.publicKey, padding }, signature)) return "AADSTS700027: The signature of the client assertion is invalid."
  if (body["sub"] !== client.id || body["aud"] !== endpoint) return "AADSTS700023: Client assertion audience claim does not match Realm issuer."
  if (!isNow(body)) return "AADSTS700024: Client assertion is not within its valid time range."
  seen.add(String(body["jti"]))
  return undefined
}

const clusterFault = ({ body, head, signature, signed }: Jwt, { cluster }: Known): string | undefined => {
  if (body["iss"] !== cluster.issuer) return "AADSTS700211: No matching federated identity record found for presented assertion issuer."
  if (body["sub"] !== podOfWorker) return "AADSTS700213: No matching federated identity record found for presented assertion subject."
  if (!String(body["aud"]).split(",").includes("api://AzureADTokenExchange")) return "AADSTS700212: No matching federated identity record found for presented assertion audience."
  if (!isNow(body)) return "AADSTS700024: Client assertion is not within its valid time range."
  return head["alg"] === "RS256" && verify("sha256", signed, createPublicKey(cluster.key.export({ type: "spki", format: "pem" })), signature)
    ? undefined : "AADSTS5000223: The signature of the assertion is invalid."
}

const isNow = ({ exp, nbf }: Jwt["body"]): boolean => {
  const now = Date.now() / 1000
  return typeof exp === "number" && typeof nbf === "number" && nbf <= now + 60 && exp > now && exp - nbf <= 86_400
}
