/** The S3 that plays: it refuses what S3 refuses, said by raw requests and by signed ones that are wrong in one thing. */
import { createHash, createHmac } from "node:crypto"
import { crc32 } from "node:zlib"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { s3Keys, startS3, type S3Server } from "../../support/s3-stand-in.ts"

let s3: S3Server
beforeAll(async () => {
  s3 = await startS3({ leastPart: 10 })
  s3.store.make("images", "eu-central-1")
})
afterAll(() => s3.close())

const sha = (text: string | Buffer) => createHash("sha256").update(text).digest("hex")
const mac = (key: string | Buffer, text: string) => createHmac("sha256", key).update(text).digest()
const crcOf = (text: string) => {
  const sum = Buffer.alloc(4)
  sum.writeUInt32BE(crc32(text))
  return sum.toString("base64")
}

interface Wrong {
  readonly key?: string
  readonly secret?: string
  readonly region?: string
  readonly at?: number
  readonly payload?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Sent, but not signed. */
  readonly unsigned?: Readonly<Record<string, string>>
}

/** Signed by hand from the public description, not by the code that checks it. */
const ask = async (method: string, pathAndQuery: string, body = "", { at = Date.now(), headers = {}, key = s3Keys.access_key_id, payload = sha(body), region = "eu-central-1", secret = s3Keys.secret_access_key, unsigned = {} }: Wrong = {}) => {
  const [path, query = ""] = pathAndQuery.split("?") as [string, string?]
  const time = new Date(at).toISOString().replace(/[-:]|\.\d{3}/g, "")
  const host = new URL(s3.endpoint).host
  const all: Record<string, string> = { host, "x-amz-content-sha256": payload, "x-amz-date": time, ...headers }
  const names = Object.keys(all).sort()
  const pairs = query.split("&").filter((pair) => pair !== "").map((pair) => pair.includes("=") ? pair : `${pair}=`).sort().join("&")
  const canonical = `${method}\n${path}\n${pairs}\n${names.map((name) => `${name}:${all[name]}\n`).join("")}\n${names.join(";")}\n${payload}`
  const scope = `${time.slice(0, 8)}/${region}/s3/aws4_request`
  const signing = mac(mac(mac(mac(`AWS4${secret}`, time.slice(0, 8)), region), "s3"), "aws4_request")
  const signature = mac(signing, `AWS4-HMAC-SHA256\n${time}\n${scope}\n${sha(canonical)}`).toString("hex")
  const { host: _, ...sent } = all
  const answer = await fetch(`${s3.endpoint}${pathAndQuery}`, {
    method, headers: { ...sent, ...unsigned, authorization: `AWS4-HMAC-SHA256 Credential=${key}/${scope}, SignedHeaders=${names.join(";")}, Signature=${signature}` },
    ...(body !== "" && { body })
  })
  const text = await answer.text()
  return { status: answer.status, code: /<Code>(.*?)<\/Code>/.exec(text)?.[1], text, headers: answer.headers }
}

describe("the stand-in for S3", () => {
  it("knows a request that is signed well", async () => {
    expect(await ask("PUT", "/images/a", "hello")).toMatchObject({ status: 200 })
    expect(await ask("GET", "/images/a")).toMatchObject({ status: 200, text: "hello" })
  })

  const refusals: ReadonlyArray<readonly [string, () => ReturnType<typeof ask>, number, string]> = [
    ["another secret", () => ask("PUT", "/images/b", "x", { secret: "wrong" }), 403, "SignatureDoesNotMatch"],
    ["a key it does not know", () => ask("PUT", "/images/b", "x", { key: "AKIDOTHER" }), 403, "InvalidAccessKeyId"],
    ["a time long ago", () => ask("PUT", "/images/b", "x", { at: Date.now() - 3_600_000 }), 403, "RequestTimeTooSkewed"],
    ["another region than the bucket's", () => ask("PUT", "/images/b", "x", { region: "us-east-1" }), 400, "AuthorizationHeaderMalformed"],
    ["another body than was signed", () => ask("PUT", "/images/b", "x", { payload: sha("y") }), 400, "XAmzContentSHA256Mismatch"],
    ["a body in signed chunks", () => ask("PUT", "/images/b", "x", { payload: "STREAMING-UNSIGNED-PAYLOAD-TRAILER" }), 501, "NotImplemented"],
    ["a header of S3's that was not signed", () => ask("PUT", "/images/b", "x", { unsigned: { "x-amz-meta-a": "b" } }), 403, "AccessDenied"],
    ["a sum that is not the body's", () => ask("PUT", "/images/b", "x", { headers: { "x-amz-checksum-crc32": crcOf("y") } }), 400, "BadDigest"],
    ["an MD5 that is not the body's", () => ask("PUT", "/images/b", "x", { headers: { "content-md5": createHash("md5").update("y").digest("base64") } }), 400, "BadDigest"],
    ["a bucket that is not there", () => ask("PUT", "/other/b", "x"), 404, "NoSuchBucket"],
    ["an object that is not there", () => ask("GET", "/images/none"), 404, "NoSuchKey"],
    ["an object that is there already, where it must not be", () => ask("PUT", "/images/a", "x", { headers: { "if-none-match": "*" } }), 412, "PreconditionFailed"],
    ["a range behind the end", () => ask("GET", "/images/a", "", { headers: { range: "bytes=99-" } }), 416, "InvalidRange"],
    ["an upload that nobody began", () => ask("PUT", "/images/a?partNumber=1&uploadId=none", "x"), 404, "NoSuchUpload"],
    ["to list the parts of none", () => ask("GET", "/images/a?uploadId=none"), 404, "NoSuchUpload"],
    ["what it does not know", () => ask("PUT", "/images/a?tagging", "<Tagging/>"), 501, "NotImplemented"]
  ]
  for (const [what, request, status, code] of refusals) {
    it(`refuses ${what}`, async () => {
      const answer = await request()
      expect([answer.status, answer.code]).toEqual([status, code])
      expect(s3.store.buckets.get("images")!.objects.has("b")).toBe(false)
    })
  }

  it("refuses who says nothing of himself", async () => {
    const answer = await fetch(`${s3.endpoint}/images/a`)
    expect([answer.status, (await answer.text()).includes("AccessDenied")]).toEqual([403, true])
  })

  describe("in an upload of parts", () => {
    const begin = async () => /<UploadId>(.*?)<\/UploadId>/.exec((await ask("POST", "/images/p?uploads", "", { headers: { "x-amz-checksum-algorithm": "CRC32" } })).text)![1]!
    const part = (id: string, number: number, text: string, sum: string | undefined = crcOf(text)) =>
      ask("PUT", `/images/p?partNumber=${number}&uploadId=${id}`, text, sum === "" ? {} : { headers: { "x-amz-checksum-crc32": sum } })
    const xml = (parts: ReadonlyArray<readonly [number, string]>) =>
      `<CompleteMultipartUpload>${parts.map(([number, text]) => `<Part><PartNumber>${number}</PartNumber><ETag>"${createHash("md5").update(text).digest("hex")}"</ETag><ChecksumCRC32>${crcOf(text)}</ChecksumCRC32></Part>`).join("")}</CompleteMultipartUpload>`
    const complete = (id: string, parts: ReadonlyArray<readonly [number, string]>) => ask("POST", `/images/p?uploadId=${id}`, xml(parts))
    const [one, two] = ["first part", "second"]

    it("puts the parts together, and knows the upload no more", async () => {
      const id = await begin()
      await part(id, 2, two)
      await part(id, 1, one)
      expect((await ask("GET", `/images/p?uploadId=${id}`)).text.match(/<PartNumber>/g)).toHaveLength(2)
      expect(await complete(id, [[1, one], [2, two]])).toMatchObject({ status: 200 })
      expect((await ask("GET", "/images/p")).text).toBe(one + two)
      expect(await complete(id, [[1, one], [2, two]])).toMatchObject({ status: 404, code: "NoSuchUpload" })
    })
    it("refuses numbers that parts cannot have, and parts without the sum that was promised", async () => {
      const id = await begin()
      for (const number of [0, 10_001]) expect(await part(id, number, one)).toMatchObject({ status: 400, code: "InvalidArgument" })
      expect(await part(id, 1, one, "")).toMatchObject({ status: 400, code: "InvalidRequest" })
      expect(await part(id, 1, one, crcOf("other"))).toMatchObject({ status: 400, code: "BadDigest" })
    })
    it("knows two sums, and wants the one that was promised", async () => {
      const begun = await ask("POST", "/images/p?uploads", "", { headers: { "x-amz-checksum-algorithm": "SHA256" } })
      const id = /<UploadId>(.*?)<\/UploadId>/.exec(begun.text)![1]!
      const sum = createHash("sha256").update(two).digest("base64")
      const send = (headers: Record<string, string>) => ask("PUT", `/images/p?partNumber=1&uploadId=${id}`, two, { headers })
      expect(await send({ "x-amz-checksum-crc32": crcOf(two) })).toMatchObject({ status: 400, code: "InvalidRequest" })
      expect(await send({ "x-amz-checksum-sha256": createHash("sha256").update(one).digest("base64") })).toMatchObject({ status: 400, code: "BadDigest" })
      expect(await send({ "x-amz-checksum-sha256": sum })).toMatchObject({ status: 200 })
      expect((await ask("GET", `/images/p?uploadId=${id}`)).text).toContain(`<ChecksumSHA256>${sum}</ChecksumSHA256>`)
      expect(await complete(id, [[1, two]])).toMatchObject({ status: 400, code: "InvalidPart" })
      expect(await ask("DELETE", `/images/p?uploadId=${id}`)).toMatchObject({ status: 204 })
      expect(await ask("POST", "/images/p?uploads", "", { headers: { "x-amz-checksum-algorithm": "SHA1" } })).toMatchObject({ status: 501 })
    })
    it("refuses to complete what is not there, is in another order, is none, or is too small", async () => {
      const id = await begin()
      await part(id, 1, "tiny")
      await part(id, 2, two)
      expect(await complete(id, [[1, "other"], [2, two]])).toMatchObject({ status: 400, code: "InvalidPart" })
      expect(await complete(id, [[2, two], [1, "tiny"]])).toMatchObject({ status: 400, code: "InvalidPartOrder" })
      expect(await complete(id, [])).toMatchObject({ status: 400, code: "MalformedXML" })
      expect(await complete(id, [[1, "tiny"], [2, two]])).toMatchObject({ status: 400, code: "EntityTooSmall" })
      expect(await ask("DELETE", `/images/p?uploadId=${id}`)).toMatchObject({ status: 204 })
      expect(await ask("DELETE", `/images/p?uploadId=${id}`)).toMatchObject({ status: 404, code: "NoSuchUpload" })
    })
  })
})
