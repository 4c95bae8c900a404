/** What an S3 stand-in keeps, and what it refuses to keep. No network in here. */
import { createHash, randomBytes } from "node:crypto"
import { crc32 } from "node:zlib"

export class S3Refused extends Error {
  readonly code: string
  readonly status: number
  constructor(status: number, code: string, message: string) {
    super(message)
    this.code = code
    this.status = status
  }
}

export interface Sums {
  readonly md5: string
  /** These two in base64, as they are told. */
  readonly crc32: string
  readonly sha256: string
}

/** Which of a body's sums an upload promised, by S3's name for it. */
const sumsByAlgorithm: ReadonlyMap<unknown, "crc32" | "sha256"> = new Map([["CRC32", "crc32"], ["SHA256", "sha256"]])

/** A body, or, where nobody is going to read it, only its length. */
export interface Content extends Sums {
  readonly size: number
  readonly bytes: ReadonlyArray<Buffer>
}

export interface StoredObject {
  readonly key: string
  readonly size: number
  readonly etag: string
  readonly bytes: ReadonlyArray<Buffer>
  readonly headers: Readonly<Record<string, string>>
  readonly at: number
}

interface Part extends Content {
  readonly number: number
}

export interface OpenUpload {
  readonly id: string
  readonly key: string
  readonly headers: Readonly<Record<string, string>>
  readonly sums: "crc32" | "sha256" | undefined
  readonly at: number
  readonly parts: Map<number, Part>
}

export interface Bucket {
  readonly name: string
  readonly region: string
  readonly objects: Map<string, StoredObject>
  readonly uploads: Map<string, OpenUpload>
}

export interface StoreRules {
  /** Bytes that every part but the last has to have; the real one wants 5 MiB. */
  readonly leastPart: number
  /** Keeps no bytes, for measurements. */
  readonly forgetful: boolean
}

const mostBytes = 5 * 2 ** 30
const noUpload = () => new S3Refused(404, "NoSuchUpload", "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.")

/** `digest`: SHA-256 in hex, where it is known. */
export const contentOf = (chunks: ReadonlyArray<Buffer>, { forgetful }: Pick<StoreRules, "forgetful">, digest?: string): Content => {
  const md5 = createHash("md5")
  let sum = 0
  let size = 0
  for (const chunk of chunks) {
    // A hash that nobody reads back costs as much as the upload.
    if (!forgetful) md5.update(chunk)
    sum = crc32(chunk, sum)
    size += chunk.length
  }
  const text = Buffer.allocUnsafe(4)
  text.writeUInt32BE(sum)
  if (forgetful) md5.update(text)
  const sha256 = digest ?? chunks.reduce((hash, chunk) => hash.update(chunk), createHash("sha256")).digest("hex")
  return { size, bytes: forgetful ? [] : chunks, md5: md5.digest("hex"), crc32: text.toString("base64"), sha256: Buffer.from(sha256, "hex").toString("base64") }
}

/** What the sender says of a body has to be so. */
export const checkSums = (content: Content, headers: Readonly<Record<string, unknown>>): void => {
  const { "content-md5": md5, "x-amz-checksum-crc32": crc, "x-amz-checksum-sha256": sha } = headers
  if (typeof md5 === "string" && Buffer.from(md5, "base64").toString("hex") !== content.md5) throw new S3Refused(400, "BadDigest", "The Content-MD5 you specified did not match what we received.")
  if (typeof crc === "string" && crc !== content.crc32) throw new S3Refused(400, "BadDigest", "The CRC32 you specified did not match the calculated checksum.")
  if (typeof sha === "string" && sha !== content.sha256) throw new S3Refused(400, "BadDigest", "The SHA256 you specified did not match the calculated checksum.")
}

const kept = /^(x-amz-meta-|content-type$|content-disposition$|content-encoding$|cache-control$)/

export const keptHeaders = (headers: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => kept.test(name)).map(([name, value]) => [name, String(value)]))

export class S3Store {
  readonly buckets = new Map<string, Bucket>()
  readonly rules: StoreRules

  constructor(rules: StoreRules) {
    this.rules = rules
  }

  make(name: string, region: string): Bucket {
    const bucket = { name, region, objects: new Map(), uploads: new Map() }
    this.buckets.set(name, bucket)
    return bucket
  }

  put({ objects }: Bucket, key: string, content: Content, headers: Readonly<Record<string, unknown>>): StoredObject {
    checkSums(content, headers)
    if (headers["if-none-match"] === "*" && objects.has(key)) throw new S3Refused(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
    const object = { key, size: content.size, etag: `"${content.md5}"`, bytes: content.bytes, headers: keptHeaders(headers), at: Date.now() }
    objects.set(key, object)
    return object
  }

  begin({ uploads }: Bucket, key: string, headers: Readonly<Record<string, unknown>>): OpenUpload {
    const algorithm = headers["x-amz-checksum-algorithm"]
    if (algorithm !== undefined && !sumsByAlgorithm.has(algorithm)) throw new S3Refused(501, "NotImplemented", `Checksum algorithm ${String(algorithm)} is not known here`)
    const upload = { id: randomBytes(24).toString("base64url"), key, headers: keptHeaders(headers), sums: sumsByAlgorithm.get(algorithm), at: Date.now(), parts: new Map() }
    uploads.set(upload.id, upload)
    return upload
  }

  upload({ uploads }: Bucket, key: string, id: string): OpenUpload {
    const upload = uploads.get(id)
    if (upload === undefined || upload.key !== key) throw noUpload()
    return upload
  }

  part(bucket: Bucket, key: string, id: string, number: number, content: Content, headers: Readonly<Record<string, unknown>>): Part {
    if (!Number.isInteger(number) || number < 1 || number > 10_000) throw new S3Refused(400, "InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive")
    const upload = this.upload(bucket, key, id)
    if (content.size > mostBytes) throw new S3Refused(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")
    if (upload.sums !== undefined && headers[`x-amz-checksum-${upload.sums}`] === undefined) {
      throw new S3Refused(400, "InvalidRequest", `Checksum Type mismatch occurred, expected checksum Type: ${upload.sums}, actual checksum Type: null`)
    }
    checkSums(content, headers)
    const part = { ...content, number }
    upload.parts.set(number, part)
    return part
  }

  complete(bucket: Bucket, key: string, id: string, listed: ReadonlyArray<{ readonly number: number; readonly etag: string } & Partial<Record<"crc32" | "sha256", string | undefined>>>): StoredObject {
    const upload = this.upload(bucket, key, id)
    if (listed.length === 0) throw new S3Refused(400, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
    if (listed.some(({ number }, at) => at > 0 && number <= listed[at - 1]!.number)) throw new S3Refused(400, "InvalidPartOrder", "The list of parts was not in ascending order.")
    const parts = listed.map(({ etag, number, ...sums }, at) => {
      const part = upload.parts.get(number)
      const right = part !== undefined && etag.replaceAll("\"", "") === part.md5 && (["crc32", "sha256"] as const).every((sum) => sums[sum] === (upload.sums === sum ? part[sum] : undefined))
      if (!right) throw new S3Refused(400, "InvalidPart", "One or more of the specified parts could not be found, or its entity tag or checksum did not match.")
      if (at < listed.length - 1 && part.size < this.rules.leastPart) throw new S3Refused(400, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size")
      return part
    })
    const md5 = createHash("md5").update(Buffer.concat(parts.map((part) => Buffer.from(part.md5, "hex")))).digest("hex")
    const object = {
      key, size: parts.reduce((sum, { size }) => sum + size, 0), etag: `"${md5}-${parts.length}"`,
      bytes: parts.flatMap(({ bytes }) => bytes), headers: upload.headers, at: Date.now()
    }
    bucket.objects.set(key, object)
    bucket.uploads.delete(id)
    return object
  }

  abort(bucket: Bucket, key: string, id: string): void {
    this.upload(bucket, key, id)
    bucket.uploads.delete(id)
  }
}
