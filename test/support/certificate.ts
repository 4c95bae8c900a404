/** Certificates that sign themselves, made anew for each test: no key lies in the tree, and none runs out. */
import { generateKeyPairSync, type KeyPairKeyObjectResult, randomBytes, sign } from "node:crypto"
import type { Tls } from "./stand-in.ts"

const der = (tag: number, ...parts: ReadonlyArray<Uint8Array>): Buffer => {
  const content = Buffer.concat(parts)
  const { length } = content
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}
const sequence = (...parts: ReadonlyArray<Uint8Array>) => der(0x30, ...parts)
const oid = (...bytes: ReadonlyArray<number>) => der(0x06, Buffer.from(bytes))
const time = (at: number) => der(0x17, Buffer.from(`${new Date(at).toISOString().slice(2, 19).replace(/[-:T]/g, "")}Z`))

const rsaWithSha256 = sequence(oid(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b), der(0x05))
const ecdsaWithSha256 = sequence(oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02))
const name = sequence(der(0x31, sequence(oid(0x55, 0x04, 0x03), der(0x0c, Buffer.from("stand-in")))))
const extension = (id: Buffer, value: Buffer) => sequence(id, der(0x04, value))
const extensions = der(0xa3, sequence(
  // It is its own authority, and its name is an address.
  extension(oid(0x55, 0x1d, 0x13), sequence(der(0x01, Buffer.from([0xff])))),
  extension(oid(0x55, 0x1d, 0x11), sequence(der(0x87, Buffer.from([127, 0, 0, 1]))))
))

const hour = 3_600_000

/** Of a server at 127.0.0.1. */
export const certificate = (): Tls => certificateOf(generateKeyPairSync("ec", { namedCurve: "P-256" }), ecdsaWithSha256)

/** Of a client that shows who it is by signing, which Azure takes from RSA keys alone. */
export const clientCertificate = (): Tls => certificateOf(generateKeyPairSync("rsa", { modulusLength: 2048 }), rsaWithSha256)

const certificateOf = ({ privateKey, publicKey }: KeyPairKeyObjectResult, algorithm: Buffer): Tls => {
  const serial = der(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)]))
  const validity = sequence(time(Date.now() - hour), time(Date.now() + 24 * hour))
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))), serial, algorithm, name, validity, name, publicKey.export({ type: "spki", format: "der" }), extensions
  )
  const signed = sequence(body, algorithm, der(0x03, Buffer.from([0]), sign("sha256", body, privateKey)))
  return {
    key: privateKey.export({ type: "pkcs8", format: "pem" }) as string,
    cert: `-----BEGIN CERTIFICATE-----\n${signed.toString("base64").match(/.{1,64}/g)!.join("\n")}\n-----END CERTIFICATE-----\n`
  }
}
