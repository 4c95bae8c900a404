/** What an S3 stand-in answers to each operation. */
import type { IncomingHttpHeaders } from "node:http"
import type { S3Request } from "./s3-stand-in.ts"
import { type Bucket, type Content, S3Refused, type S3Store, type StoredObject } from "./s3-store.ts"

export interface S3Answer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  readonly stream?: ReadonlyArray<Buffer>
}

const xml = { "content-type": "application/xml" }
const document = (name: string, inside: string): S3Answer =>
  ({ status: 200, headers: xml, body: `<?xml version="1.0" encoding="UTF-8"?>\n<${name} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${inside}</${name}>` })
const escaped = (text: string) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll("\"", "&quot;")
const element = (name: string, value: string | number) => `<${name}>${typeof value === "number" ? value : escaped(value)}</${name}>`

/** `content` reads the body as bytes to keep. */
export const answer = (store: S3Store, request: S3Request, headers: IncomingHttpHeaders, region: string, content: () => Content, body: string): S3Answer => {
  const [, name = "", ...rest] = request.path.split("/")
  const bucket = store.buckets.get(name)
  if (bucket === undefined) throw new S3Refused(404, "NoSuchBucket", "The specified bucket does not exist")
  if (bucket.region !== region) {
    throw new S3Refused(400, "AuthorizationHeaderMalformed", `The authorization header is malformed; the region '${region}' is wrong; expecting '${bucket.region}'`)
  }
  const key = rest.join("/")
  const uploadId = request.query.get("uploadId") ?? ""
  switch (request.operation) {
    case "HeadBucket":
      return { status: 200, headers: { "x-amz-bucket-region": bucket.region } }
    case "GetBucketLocation":
      return document("LocationConstraint", escaped(bucket.region))
    case "ListObjectsV2":
      return listObjects(bucket, request.query)
    case "ListMultipartUploads":
      return listUploads(bucket, request.query)
    case "PutObject": {
      const { etag } = store.put(bucket, key, content(), headers)
      return { status: 200, headers: { etag } }
    }
    case "CreateMultipartUpload": {
      const { id, sums } = store.begin(bucket, key, headers)
      const made = document("InitiateMultipartUploadResult", element("Bucket", bucket.name) + element("Key", key) + element("UploadId", id))
      return sums !== undefined ? { ...made, headers: { ...xml, "x-amz-checksum-algorithm": sums.toUpperCase(), "x-amz-checksum-type": "COMPOSITE" } } : made
    }
    case "UploadPart": {
      const part = store.part(bucket, key, uploadId, Number(request.query.get("partNumber")), content(), headers)
      const told = (["crc32", "sha256"] as const).filter((sum) => headers[`x-amz-checksum-${sum}`] !== undefined)
      return { status: 200, headers: { etag: `"${part.md5}"`, ...Object.fromEntries(told.map((sum) => [`x-amz-checksum-${sum}`, part[sum]])) } }
    }
    case "ListParts":
      return listParts(store, bucket, key, uploadId, request.query)
    case "CompleteMultipartUpload": {
      const { etag } = store.complete(bucket, key, uploadId, partsIn(body))
      return document("CompleteMultipartUploadResult", element("Bucket", bucket.name) + element("Key", key) + element("ETag", etag))
    }
    case "AbortMultipartUpload":
      store.abort(bucket, key, uploadId)
      return { status: 204 }
    case "HeadObject":
    case "GetObject":
      return read(objectIn(bucket, key), headers, request.query)
    case "DeleteObject":
      bucket.objects.delete(key)
      return { status: 204 }
    default:
      throw new S3Refused(501, "NotImplemented", "A header or query you provided implies functionality that is not implemented")
  }
}

const objectIn = ({ objects }: Bucket, key: string): StoredObject => {
  const object = objects.get(key)
  if (object === undefined) throw new S3Refused(404, "NoSuchKey", "The specified key does not exist.")
  return object
}

const read = ({ at, bytes, etag, headers: kept, size }: StoredObject, headers: IncomingHttpHeaders, query: ReadonlyMap<string, string>): S3Answer => {
  const disposition = query.get("response-content-disposition")
  const always = { ...kept, etag, "accept-ranges": "bytes", "last-modified": new Date(at).toUTCString(), ...(disposition !== undefined && { "content-disposition": disposition }) }
  const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? "") ?? []
  if (from === undefined) return { status: 200, headers: { ...always, "content-length": String(size) }, stream: bytes }
  const [start, end] = [Number(from), Math.min(to === "" ? size - 1 : Number(to), size - 1)]
  if (start >= size || start > end) throw new S3Refused(416, "InvalidRange", "The requested range is not satisfiable")
  return {
    status: 206, headers: { ...always, "content-length": String(end - start + 1), "content-range": `bytes ${start}-${end}/${size}` },
    stream: [Buffer.concat([...bytes]).subarray(start, end + 1)]
  }
}

const listObjects = ({ name, objects }: Bucket, query: ReadonlyMap<string, string>): S3Answer => {
  const [prefix, after, most] = [query.get("prefix") ?? "", query.get("continuation-token") ?? "", Number(query.get("max-keys") ?? 1000)]
  const all = [...objects.values()].filter(({ key }) => key.startsWith(prefix) && key > after).toSorted((one, other) => (one.key < other.key ? -1 : 1))
  const page = all.slice(0, most)
  const isTruncated = page.length < all.length
  return document("ListBucketResult", element("Name", name) + element("Prefix", prefix) + element("KeyCount", page.length) + element("MaxKeys", most) +
    element("IsTruncated", String(isTruncated)) + (isTruncated ? element("NextContinuationToken", page.at(-1)!.key) : "") +
    page.map(({ at, etag, key, size }) => `<Contents>${element("Key", key)}${element("LastModified", new Date(at).toISOString())}${element("ETag", etag)}${element("Size", size)}<StorageClass>STANDARD</StorageClass></Contents>`).join(""))
}

const listUploads = ({ name, uploads }: Bucket, query: ReadonlyMap<string, string>): S3Answer => {
  const [prefix, key, id, most] = [query.get("prefix") ?? "", query.get("key-marker") ?? "", query.get("upload-id-marker") ?? "", Number(query.get("max-uploads") ?? 1000)]
  const nameOf = (upload: { readonly key: string; readonly id: string }) => `${upload.key}\n${upload.id}`
  const all = [...uploads.values()].filter((upload) => upload.key.startsWith(prefix) && (key === "" || nameOf(upload) > `${key}\n${id}`))
    .toSorted((one, other) => (nameOf(one) < nameOf(other) ? -1 : 1))
  const page = all.slice(0, most)
  const isTruncated = page.length < all.length
  return document("ListMultipartUploadsResult", element("Bucket", name) + element("IsTruncated", String(isTruncated)) +
    (isTruncated ? element("NextKeyMarker", page.at(-1)!.key) + element("NextUploadIdMarker", page.at(-1)!.id) : "") +
    page.map((upload) => `<Upload>${element("Key", upload.key)}${element("UploadId", upload.id)}${upload.sums === undefined ? "" : element("ChecksumAlgorithm", upload.sums.toUpperCase())}${element("Initiated", new Date(upload.at).toISOString())}</Upload>`).join(""))
}

const listParts = (store: S3Store, bucket: Bucket, key: string, uploadId: string, query: ReadonlyMap<string, string>): S3Answer => {
  const upload = store.upload(bucket, key, uploadId)
  const [after, most] = [Number(query.get("part-number-marker") ?? 0), Number(query.get("max-parts") ?? 1000)]
  const all = [...upload.parts.values()].filter(({ number }) => number > after).toSorted((one, other) => one.number - other.number)
  const page = all.slice(0, most)
  const isTruncated = page.length < all.length
  return document("ListPartsResult", element("Bucket", bucket.name) + element("Key", key) + element("UploadId", uploadId) +
    element("IsTruncated", String(isTruncated)) + (isTruncated ? element("NextPartNumberMarker", page.at(-1)!.number) : "") +
    page.map((part) =>
      `<Part>${element("PartNumber", part.number)}${element("ETag", `"${part.md5}"`)}${element("Size", part.size)}${upload.sums === undefined ? "" : element(`Checksum${upload.sums.toUpperCase()}`, part[upload.sums])}</Part>`).join(""))
}

const partsIn = (body: string) =>
  [...body.matchAll(/<Part>(.*?)<\/Part>/gs)].map(([, inside = ""]) => {
    const of = (name: string) => new RegExp(`<${name}>(.*?)</${name}>`, "s").exec(inside)?.[1]?.replaceAll("&quot;", "\"")
    return { number: Number(of("PartNumber")), etag: of("ETag") ?? "", crc32: of("ChecksumCRC32"), sha256: of("ChecksumSHA256") }
  })
