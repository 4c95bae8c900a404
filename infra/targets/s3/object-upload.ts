/** A file that becomes an object, and whether it has. */
import { Effect } from "effect"
import { orAbsent, type S3 } from "./client.ts"

export interface ObjectUpload {
  readonly bucket: string
  /** Of nothing else, in no attempt of any other job. */
  readonly key: string
  readonly path: string
  readonly size: number
  /** SHA-256 of the file in hex; it stays with the object. */
  readonly sha256: string
  readonly metadata?: Readonly<Record<string, string>>
  readonly contentType?: string
  /** Bytes, 16 MiB unless said, and more where there would be too many: what was sent of one that is cut off is sent again. */
  readonly partSize?: number
  /** How many parts at once; each takes a buffer of a piece. */
  readonly lanes?: number
}

export const described = ({ contentType = "application/octet-stream", metadata = {}, sha256 }: ObjectUpload) =>
  ({ ContentType: contentType, Metadata: { ...metadata, sha256 } })

/** Whether the object is there, with what is to be sent. Who may not list a bucket is told 403 of what is not. */
export const isThere = ({ call, client, sdk }: S3, { bucket, key, sha256, size }: ObjectUpload) =>
  Effect.map(
    call("s3:GetObject", (abort) => orAbsent(() => client.send(new sdk.HeadObjectCommand({ Bucket: bucket, Key: key }), abort))
      .catch((error: { readonly $metadata?: { readonly httpStatusCode?: number } }) => {
        if (error.$metadata?.httpStatusCode === 403) return undefined
        throw error
      })),
    (head) => head !== undefined && head.ContentLength === size && head.Metadata?.["sha256"] === sha256
  )
