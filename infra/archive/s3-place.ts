/** An archive in a bucket of S3, or of what speaks like it; keys come from where the SDK looks for them by itself. */
import type { S3Client, S3ClientConfig } from "@aws-sdk/client-s3"
import { clientOptions } from "../targets/aws-identity.ts"
import { orAbsent } from "../targets/s3/client.ts"
import type { Place } from "./place.ts"

export const s3Place = (location: URL): Place => {
  const bucket = location.hostname
  const prefix = location.pathname.slice(1).replace(/([^/])$/, "$1/")
  const sdk = () => import("@aws-sdk/client-s3")
  let opened: Promise<S3Client> | undefined
  const client = () => opened ??= sdk().then(({ S3Client }) => new S3Client(optionsOf(location)))
  return {
    words: `s3://${bucket}/${prefix}`,
    put: async (name, bytes) => {
      const [s3, { PutObjectCommand }] = await Promise.all([client(), sdk()])
      await s3.send(new PutObjectCommand({ Bucket: bucket, Key: prefix + name, Body: bytes, ContentLength: bytes.length }))
    },
    get: async (name) => {
      const [s3, { GetObjectCommand }] = await Promise.all([client(), sdk()])
      const found = await orAbsent(() => s3.send(new GetObjectCommand({ Bucket: bucket, Key: prefix + name })))
      return found?.Body?.transformToByteArray()
    }
  }
}

const optionsOf = ({ searchParams }: URL): S3ClientConfig => {
  const [region, endpoint] = [searchParams.get("region"), searchParams.get("endpoint")]
  return {
    ...clientOptions({}),
    ...(region !== null && { region }),
    ...(endpoint !== null && { endpoint, forcePathStyle: true }),
    requestChecksumCalculation: "WHEN_REQUIRED", responseChecksumValidation: "WHEN_REQUIRED"
  }
}
