/** Sends one file, by Kiln's target or by as little as it takes, and says on its standard output what that cost this process. */
import { open } from "node:fs/promises"
import { crc32 } from "node:zlib"
import { Effect } from "effect"
import { s3Target } from "../../../infra/targets/s3/target.ts"
import { deliver, deliveryOf } from "../../support/deliver.ts"
import { s3Keys } from "../../support/s3-stand-in.ts"

const [how, endpoint, path, size, sha256, journal] = process.argv.slice(2) as [string, string, string, string, string, string]
const credentials = { provider: "aws" as const, ...s3Keys, region: "us-east-1", endpoints: { s3: endpoint } }
const target = { type: "s3" as const, bucket: "images" }

/** The SDK, four buffers and nothing else. */
const bare = async () => {
  const { CompleteMultipartUploadCommand, CreateMultipartUploadCommand, S3Client, UploadPartCommand } = await import("@aws-sdk/client-s3")
  const client = new S3Client({
    endpoint, region: "us-east-1", forcePathStyle: true, credentials: { accessKeyId: s3Keys.access_key_id, secretAccessKey: s3Keys.secret_access_key },
    requestChecksumCalculation: "WHEN_REQUIRED", responseChecksumValidation: "WHEN_REQUIRED"
  })
  const object = { Bucket: "images", Key: `bare/${journal}` }
  const { UploadId } = await client.send(new CreateMultipartUploadCommand({ ...object, ChecksumAlgorithm: "CRC32" }))
  const file = await open(path)
  const [part, total] = [16 << 20, Number(size)]
  const parts: Array<{ PartNumber: number; ETag: string | undefined; ChecksumCRC32: string | undefined }> = []
  let next = 0
  await Promise.all(Array.from({ length: 4 }, async () => {
    const buffer = Buffer.allocUnsafeSlow(part)
    while (next * part < total) {
      const at = next++
      const { bytesRead } = await file.read(buffer, 0, part, at * part)
      const Body = buffer.subarray(0, bytesRead)
      const sum = Buffer.allocUnsafe(4)
      sum.writeUInt32BE(crc32(Body))
      const { ChecksumCRC32, ETag } = await client.send(new UploadPartCommand({ ...object, UploadId, PartNumber: at + 1, Body, ContentLength: bytesRead, ChecksumCRC32: sum.toString("base64") }))
      parts.push({ PartNumber: at + 1, ETag, ChecksumCRC32 })
    }
  }))
  await client.send(new CompleteMultipartUploadCommand({ ...object, UploadId, MultipartUpload: { Parts: parts.toSorted((one, other) => one.PartNumber - other.PartNumber) } }))
  await file.close()
  client.destroy()
}

const ours = async () => {
  // Its digest is known to whoever built it.
  const delivery = { ...await deliveryOf({ target, credentials, path: "/dev/null" }), path, size: Number(size), sha256 }
  await Effect.runPromise(deliver(s3Target, delivery, journal))
}

const start = performance.now()
await (how === "bare" ? bare() : ours())
const seconds = (performance.now() - start) / 1000
const { maxRSS, systemCPUTime, userCPUTime } = process.resourceUsage()
process.stdout.write(`${JSON.stringify({ seconds, cpu: (systemCPUTime + userCPUTime) / 1e6, rss: maxRSS / 1024 })}\n`)
process.exit()
