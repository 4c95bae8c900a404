/** Whether a file is the image that a signed statement is about. Nobody is asked: file, statement and key are all it takes. */
import { createHash, createPublicKey, type KeyObject, verify } from "node:crypto"
import { createReadStream } from "node:fs"
import { pipeline } from "node:stream/promises"
import { Option, Schema } from "effect"
import { Envelope, preAuthenticationEncoding } from "../../domain/evidence/dsse.ts"
import { payloadType, predicateType, Statement, statementType } from "../../domain/evidence/provenance.ts"

export type Aspect = "envelope" | "signature" | "statement" | "subject" | "sbom"

/** One thing that was looked at; `message` is a sentence. */
export interface Check {
  readonly aspect: Aspect
  readonly right: boolean
  readonly message: string
}

export interface Evidence {
  readonly file: string
  /** The text of a DSSE envelope, of several (one a line), or of a Sigstore bundle with one. */
  readonly provenance: string
  /** PEM. */
  readonly key: string
  /** Bills of materials that should be the image's. */
  readonly sboms: ReadonlyArray<string>
}

export interface Verified {
  readonly verified: boolean
  readonly checks: ReadonlyArray<Check>
  /** As the statement has it, once its signature is right. */
  readonly statement?: Statement
}

/** Stops at the first thing that makes the rest worthless: what nobody has signed is not even read. */
export const verifyImage = async ({ file, key, provenance, sboms }: Evidence): Promise<Verified> => {
  const checks: Array<Check> = []
  const say = (aspect: Aspect, right: boolean, message: string) => {
    checks.push({ aspect, right, message })
    return right
  }
  const result = (statement?: Statement): Verified =>
    ({ verified: checks.every(({ right }) => right), checks, ...(statement && { statement }) })

  const envelope = envelopeIn(provenance, keyIdOf(key))
  if (envelope === undefined) {
    say("envelope", false, "The provenance is no DSSE envelope, so it is damaged or something else")
    return result()
  }
  const fault = signatureFault(envelope, key)
  if (!say("signature", fault === undefined, fault ?? `The signature is right, by key ${keyIdOf(key)}`)) return result()
  const statement = Option.getOrUndefined(decodeStatement(new TextDecoder().decode(envelope.payload)))
  const wrong = statementFault(envelope, statement)
  if (!say("statement", wrong === undefined, wrong ?? "It is SLSA provenance, version 1") || statement === undefined) return result()

  const digest = await digestOf(file)
  const about = statement.subject.find((subject) => subject.digest["sha256"] === digest)
  say("subject", about !== undefined, about
    ? `The file is what the statement is about, ${about.name ?? "without a name"}`
    : `The file is not what the statement is about: its SHA-256 is ${digest}, the statement names ${statement.subject.map((subject) => subject.digest["sha256"] ?? "none").join(", ")}`)
  const bills = statement.predicate?.runDetails?.byproducts ?? []
  for (const sbom of sboms) {
    const found = await digestOf(sbom)
    const bill = bills.find((each) => each.digest?.sha256 === found)
    say("sbom", bill !== undefined, bill
      ? `${sbom} is the image's ${bill.name ?? "bill of materials"}`
      : `${sbom} is not one of the image's bills of materials: its SHA-256 is ${found}`)
  }
  return result(statement)
}

const decodeEnvelope = Schema.decodeUnknownOption(Envelope)
const decodeStatement = Schema.decodeUnknownOption(Schema.fromJsonString(Statement))
const Bundle = Schema.Struct({ dsseEnvelope: Schema.Unknown })
const decodeBundle = Schema.decodeUnknownOption(Bundle)

/** Of several the one that names our key, or else the first. */
const envelopeIn = (text: string, keyId: string): Envelope | undefined => {
  const parsed = parse(text)
  const documents = parsed === undefined ? text.split("\n").flatMap((line) => parse(line) ?? []) : [parsed]
  const envelopes = documents.flatMap((document) => {
    const inner = Option.match(decodeBundle(document), { onNone: () => document, onSome: ({ dsseEnvelope }) => dsseEnvelope })
    return Option.toArray(decodeEnvelope(inner))
  })
  return envelopes.find(({ signatures }) => signatures.some(({ keyid }) => keyid === keyId)) ?? envelopes[0]
}

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** A PEM of a public key of ours, or why not. */
export const keyFault = (pem: string): string | undefined => {
  try {
    const { asymmetricKeyType } = createPublicKey(pem)
    return asymmetricKeyType === "ed25519" ? undefined : `it is of type ${asymmetricKeyType}, and must be ed25519`
  } catch {
    return "it is no public key as PEM"
  }
}

const spki = (key: KeyObject) => key.export({ type: "spki", format: "der" })
export const keyIdOf = (pem: string): string => createHash("sha256").update(spki(createPublicKey(pem))).digest("hex")

const signatureFault = ({ payload, payloadType, signatures }: Envelope, pem: string): string | undefined => {
  const signed = preAuthenticationEncoding(payloadType, payload)
  const key = createPublicKey(pem)
  if (signatures.some(({ sig }) => verify(null, signed, key, sig))) return undefined
  const keyId = keyIdOf(pem)
  const named = signatures.flatMap(({ keyid }) => keyid ?? [])
  return named.length > 0 && !named.includes(keyId)
    ? `The provenance is signed by another key: it names ${named.join(", ")}, given was ${keyId}`
    : "The signature is wrong: the provenance was changed after it was signed, or signed by another key"
}

const statementFault = (envelope: Envelope, statement: Statement | undefined): string | undefined => {
  if (envelope.payloadType !== payloadType) return `What is signed is no in-toto statement but ${envelope.payloadType}`
  if (statement === undefined || statement._type !== statementType) return "What is signed is no in-toto statement, version 1"
  return statement.predicateType === predicateType ? undefined : `The statement is no SLSA provenance, version 1, but ${statement.predicateType}`
}

const digestOf = async (path: string): Promise<string> => {
  const hash = createHash("sha256")
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash)
  return hash.digest("hex")
}
