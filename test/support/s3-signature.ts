/** Who asks an S3 stand-in, and whether the request is signed as S3 wants it: in its headers, or in its address. */
import { createHash, createHmac, timingSafeEqual } from "node:crypto"
import type { IncomingMessage } from "node:http"

export interface S3Account {
  readonly secretAccessKey: string
  readonly sessionToken?: string
}

/** `code` and `message` as S3 says them; `payload`: the digest that the body has to have, where it is signed. */
export type Signed = { readonly region: string; readonly payload: string | undefined } | { readonly code: string; readonly message: string; readonly status: number }

const mac = (key: string | Buffer, text: string) => createHmac("sha256", key).update(text).digest()
const hash = (text: string) => createHash("sha256").update(text).digest("hex")
const encode = (text: string) => encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
const decode = (text: string) => decodeURIComponent(text.replaceAll("+", " "))
const refused = (code: string, message: string, status = 403): Signed => ({ code, message, status })

const header = /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/([^/]+)\/aws4_request, ?SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})$/
const timeOf = (text: string) => Date.parse(text.replace(/^(....)(..)(..T..)(..)(..Z)$/, "$1-$2-$3:$4:$5"))
const unsigned = "UNSIGNED-PAYLOAD"

export const signatureOf = (request: IncomingMessage, accounts: ReadonlyMap<string, S3Account>): Signed => {
  const [path = "", search = ""] = request.url!.split("?")
  const query = search === "" ? [] : search.split("&").map((pair): readonly [string, string] => {
    const [name = "", value = ""] = pair.split("=")
    return [decode(name), decode(value)]
  })
  const given = new Map(query)
  return given.has("X-Amz-Signature") ? presigned(request, path, query, given, accounts) : signed(request, path, query, accounts)
}

type Query = ReadonlyArray<readonly [string, string]>

const signed = (request: IncomingMessage, path: string, query: Query, accounts: ReadonlyMap<string, S3Account>): Signed => {
  const { authorization, "x-amz-content-sha256": payload, "x-amz-date": time, "x-amz-security-token": token } = request.headers
  if (authorization === undefined) return refused("AccessDenied", "Access Denied")
  const [, key = "", day, region, service, names, signature] = header.exec(authorization) ?? []
  if (signature === undefined || typeof time !== "string") return refused("AuthorizationHeaderMalformed", "The authorization header is malformed", 400)
  if (typeof payload !== "string") return refused("InvalidRequest", "Missing required header for this request: x-amz-content-sha256", 400)
  if (payload.startsWith("STREAMING-")) return refused("NotImplemented", "A header you provided implies functionality that is not implemented", 501)
  const account = accounts.get(key)
  if (account === undefined) return refused("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
  if (account.sessionToken !== token) return refused("InvalidToken", "The provided token is malformed or otherwise invalid.", 400)
  if (Math.abs(Date.now() - timeOf(time)) > 15 * 60_000) return refused("RequestTimeTooSkewed", "The difference between the request time and the current time is too large.")
  const listed = names!.split(";")
  const amz = Object.keys(request.headers).filter((name) => name.startsWith("x-amz-") || name === "content-md5")
  if (!["host", ...amz].every((name) => listed.includes(name))) return refused("AccessDenied", "There were headers present in the request which were not signed")
  const right = signatureFor({ account, day: day!, region: region!, service: service!, time, canonical: canonical(request, path, query, listed, payload) })
  if (service !== "s3" || !same(right, signature)) return mismatch
  return { region: region!, payload: payload === unsigned ? undefined : payload }
}

const week = 7 * 86_400

const presigned = (request: IncomingMessage, path: string, query: Query, given: ReadonlyMap<string, string>, accounts: ReadonlyMap<string, S3Account>): Signed => {
  const of = (name: string) => given.get(`X-Amz-${name}`) ?? ""
  const [key = "", day = "", region = "", service = "", end] = of("Credential").split("/")
  const account = accounts.get(key)
  const [expires, time] = [Number(of("Expires")), of("Date")]
  if (of("Algorithm") !== "AWS4-HMAC-SHA256" || end !== "aws4_request" || !(expires >= 1) || expires > week) {
    return refused("AuthorizationQueryParametersError", "X-Amz-Expires must be less than a week (in seconds)", 400)
  }
  if (account === undefined) return refused("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
  if ((account.sessionToken ?? "") !== of("Security-Token")) return refused("InvalidToken", "The provided token is malformed or otherwise invalid.", 400)
  const rest = query.filter(([name]) => name !== "X-Amz-Signature")
  const right = signatureFor({ account, day, region, service, time, canonical: canonical(request, path, rest, of("SignedHeaders").split(";"), unsigned) })
  if (service !== "s3" || !same(right, of("Signature"))) return mismatch
  if (timeOf(time) + expires * 1000 < Date.now()) return refused("AccessDenied", "Request has expired")
  return { region, payload: undefined }
}

const mismatch = refused("SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided.")
const same = (right: Buffer, signature: string) => /^[0-9a-f]{64}$/.test(signature) && timingSafeEqual(right, Buffer.from(signature, "hex"))

interface Scope {
  readonly account: S3Account
  readonly day: string
  readonly region: string
  readonly service: string
  readonly time: string
  readonly canonical: string
}

const signatureFor = ({ account, canonical, day, region, service, time }: Scope): Buffer => {
  const key = mac(mac(mac(mac(`AWS4${account.secretAccessKey}`, day), region), service), "aws4_request")
  return mac(key, `AWS4-HMAC-SHA256\n${time}\n${day}/${region}/${service}/aws4_request\n${hash(canonical)}`)
}

/** A path is encoded once, unlike those of other services. */
const canonical = ({ headers, method }: IncomingMessage, path: string, query: Query, names: ReadonlyArray<string>, payload: string): string => {
  const place = path.split("/").map((part) => encode(decodeURIComponent(part))).join("/")
  const pairs = query.map(([name, value]) => `${encode(name)}=${encode(value)}`).sort().join("&")
  const lines = names.map((name) => `${name}:${String(headers[name] ?? "").trim().replace(/ +/g, " ")}\n`).join("")
  return `${method}\n${place}\n${pairs}\n${lines}\n${names.join(";")}\n${payload}`
}
