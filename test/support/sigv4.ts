/** Checks AWS's request signature, version 4, from its public description: the far side of what the SDK does. */
import { createHash, createHmac, timingSafeEqual } from "node:crypto"
import type { IncomingMessage } from "node:http"

export interface SignedFor {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly region: string
  readonly service: string
}

const form = /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/([^/]+)\/aws4_request, ?SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})$/
const mac = (key: string | Buffer, text: string) => createHmac("sha256", key).update(text).digest()
const hash = (bytes: string | Buffer) => createHash("sha256").update(bytes).digest("hex")

/** What is wrong with the signature, in the service's words; `undefined` where it holds. */
export const whyUnsigned = (request: IncomingMessage, body: Buffer, expected: SignedFor): string | undefined => {
  const header = request.headers.authorization
  if (header === undefined) return "MissingAuthenticationToken"
  const [, key, day, region, service, names, signature] = form.exec(header) ?? []
  const time = request.headers["x-amz-date"]
  if (signature === undefined || typeof time !== "string" || !/^\d{8}T\d{6}Z$/.test(time)) return "IncompleteSignature"
  if (key !== expected.accessKeyId) return "InvalidClientTokenId"
  const at = Date.parse(time.replace(/^(....)(..)(..T..)(..)(..Z)$/, "$1-$2-$3:$4:$5"))
  if (Math.abs(Date.now() - at) > 15 * 60_000 || !time.startsWith(day!)) return "RequestExpired"
  if (region !== expected.region || service !== expected.service) return "SignatureDoesNotMatch"
  const signed = names!.split(";")
  if (!signed.includes("host") || !signed.includes("x-amz-date")) return "SignatureDoesNotMatch"
  const scope = `${day}/${region}/${service}/aws4_request`
  const canonical = canonicalRequest(request, body, signed)
  const signingKey = mac(mac(mac(mac(`AWS4${expected.secretAccessKey}`, day!), region), service), "aws4_request")
  const right = mac(signingKey, `AWS4-HMAC-SHA256\n${time}\n${scope}\n${hash(canonical)}`)
  return timingSafeEqual(right, Buffer.from(signature, "hex")) ? undefined : "SignatureDoesNotMatch"
}

const canonicalRequest = ({ headers, method, url }: IncomingMessage, body: Buffer, signed: ReadonlyArray<string>) => {
  const { pathname, searchParams } = new URL(url!, "http://host")
  const query = [...searchParams].map(([name, value]) => `${encode(name)}=${encode(value)}`).sort().join("&")
  const lines = signed.map((name) => `${name}:${String(headers[name] ?? "").trim().replace(/ +/g, " ")}\n`).join("")
  return `${method}\n${pathname}\n${query}\n${lines}\n${signed.join(";")}\n${hash(body)}`
}

const encode = (text: string) => encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
