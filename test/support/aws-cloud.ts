/** S3 and EC2 as one cloud: two stand-ins, one key, a bucket, and disks to bring there. */
import { createHash } from "node:crypto"
import { join } from "node:path"
import { Effect } from "effect"
import { v7 } from "uuid"
import type { AwsCredentials } from "../../domain/credentials.ts"
import { ComposeId } from "../../domain/ids.ts"
import type { AwsTarget } from "../../domain/target.ts"
import { awsTargetWith } from "../../infra/targets/aws/target.ts"
import { sectorSaying } from "./boot-sector.ts"
import { deliver, deliveryOf, newJournal, type Given, type Said } from "./deliver.ts"
import { ec2Key, ec2StandIn, type Ec2Settings } from "./ec2-stand-in.ts"
import { s3StandIn } from "./s3-stand-in.ts"

export type AwsTargetOf = typeof AwsTarget.Type
export const region = "eu-central-1"
export const bucket = "acme-images"
export const mebi = 2 ** 20

/** Looks at what takes its time without a pause, in parts of 1 MiB. */
export const quickTarget = awsTargetWith({ pace: { first: 1, most: 1 }, partSize: mebi })

export const awsCloud = (settings: Partial<Ec2Settings> = {}) => Effect.gen(function*() {
  const s3 = yield* s3StandIn({ accounts: [[ec2Key.accessKeyId, { secretAccessKey: ec2Key.secretAccessKey }]], leastPart: mebi })
  const { objects, uploads } = s3.store.make(bucket, region)
  const ec2 = yield* ec2StandIn({
    object: async (name, key) => {
      const object = s3.store.buckets.get(name)?.objects.get(key)
      return object && Buffer.concat(object.bytes)
    },
    lent: ({ accessKeyId, secretAccessKey, sessionToken }) => s3.accounts.set(accessKeyId, { secretAccessKey, ...(sessionToken !== undefined && { sessionToken }) }),
    ...settings
  })
  const credentials: typeof AwsCredentials.Type = {
    provider: "aws", access_key_id: ec2Key.accessKeyId, secret_access_key: ec2Key.secretAccessKey,
    endpoints: { s3: s3.endpoint, ec2: ec2.endpoint, sts: ec2.endpoint, iam: ec2.endpoint }
  }
  return { s3, ec2, objects, uploads, credentials, cloud: ec2.cloud }
})

export const targetOf = (over: Partial<AwsTargetOf> = {}): AwsTargetOf => ({ type: "aws", region, bucket, ...over })

type Asked = Omit<Given<AwsTargetOf>, "journal">

/** A job's delivery, which any number of attempts may make. */
export const jobOf = async (dir: string, given: Asked) => {
  const delivery = await deliveryOf(given)
  return { delivery, attempt: (journal: string = newJournal(dir), said?: Said) => deliver(quickTarget, delivery, journal, said) }
}

/** Another job with the same file and target. */
export const anotherJob = <D extends Awaited<ReturnType<typeof deliveryOf<AwsTargetOf>>>>(delivery: D): D => {
  const composeId = ComposeId.make(v7())
  return { ...delivery, composeId, deliveryId: `${composeId.replaceAll("-", "")}-0-0` }
}

/** A disk with one partition that says something in BIOS, and no two bytes alike for long. */
export const diskSaying = (text: string, size = 2 * mebi): Buffer => {
  const disk = Buffer.alloc(size)
  sectorSaying(text).copy(disk)
  for (let at = mebi; at < size; at += 32) createHash("sha256").update(`${text}${at}`).digest().copy(disk, at)
  const entry = 446
  disk[entry + 4] = 0x83
  disk.writeUInt32LE(1, entry + 8)
  disk.writeUInt32LE(size / 512 - 1, entry + 12)
  return disk
}

export const fileIn = (dir: string, name: string) => join(dir, name)
