/** The stand-ins for all clouds, each of which can be told at which of its calls a delivery is to stay, and what is left of a compose. */
import { Effect } from "effect"
import type { Credentials } from "../../domain/credentials.ts"
import type { Target } from "../../domain/target.ts"
import { awsCloud, bucket as awsBucket, region } from "./aws-cloud.ts"
import { azureStandIn } from "./azure-stand-in.ts"
import { dockerRegistry } from "./docker-registry.ts"
import type { Ec2Fault } from "./ec2-stand-in.ts"
import { gcpStandIn } from "./gcp-stand-in.ts"
import { account, container } from "./page-blob-stand-in.ts"
import { registryFront } from "./registry-front.ts"
import { s3Keys, s3StandIn, type S3Server } from "./s3-stand-in.ts"

export interface Cloud {
  /** Of its set of credentials, too. */
  readonly name: string
  readonly credentials: Credentials
  readonly targetOf: (composeId: string) => Exclude<Target, { readonly type: "file" }>
  /** Answers when the call of this number, the first is 1, has been carried out; neither it nor a later one is answered. */
  readonly at: (call: number) => Promise<void>
  readonly reset: () => void
  /** Calls since the last `reset`. */
  readonly calls: () => number
  /** `one image`, or what else there is. */
  readonly left: (composeId: string) => Effect.Effect<string>
}

/** Counts over several servers that are one cloud. */
const counted = (s3: S3Server, ec2?: { readonly hook: { fault: () => Ec2Fault | undefined } }): Pick<Cloud, "at" | "calls" | "reset"> => {
  let [seen, last] = [0, Infinity]
  let reached = () => {}
  const fault = () => {
    const mine = ++seen
    return mine < last ? undefined : mine === last ? { hang: () => reached() } : "wait" as const
  }
  s3.fault = () => {
    const found = fault()
    return found === "wait" ? { wait: new Promise(() => {}) } : found
  }
  if (ec2 !== undefined) ec2.hook.fault = fault
  return {
    calls: () => seen,
    reset: () => void ([seen, last] = [0, Infinity]),
    at: (call) => {
      [seen, last] = [0, call]
      return new Promise((resolve) => void (reached = resolve))
    }
  }
}

const counts = (found: Readonly<Record<string, number>>, wanted: Readonly<Record<string, number>>): string =>
  JSON.stringify(found) === JSON.stringify(wanted) ? "one image" : JSON.stringify(found)

export const clouds = Effect.gen(function*() {
  const store = yield* s3StandIn({ leastPart: 2 ** 20 })
  const images = store.store.make("images", region)
  const s3: Cloud = {
    name: "s3", credentials: { provider: "aws", ...s3Keys, region, endpoints: { s3: store.endpoint } }, ...counted(store),
    targetOf: () => ({ type: "s3", bucket: "images" }),
    left: (composeId) => Effect.sync(() => counts(
      { objects: [...images.objects.keys()].filter((key) => key.includes(composeId)).length, uploads: images.uploads.size }, { objects: 1, uploads: 0 }
    ))
  }

  const amazon = yield* awsCloud()
  const { cloud } = amazon
  const aws: Cloud = {
    name: "aws", credentials: amazon.credentials, ...counted(amazon.s3, amazon.ec2),
    targetOf: () => ({ type: "aws", region, bucket: awsBucket, copy_to_regions: ["us-east-1"], share_with_accounts: ["123456789012"] }),
    left: (composeId) => Effect.sync(() => {
      const ours = ({ tags }: { readonly tags: ReadonlyMap<string, string> }) => tags.get("kiln:compose") === composeId
      return counts(
        {
          images: cloud.images.filter(ours).length, snapshots: cloud.snapshots.filter(ours).length, imports: cloud.tasks.filter(ours).length,
          strange: cloud.snapshots.length - cloud.images.length, objects: amazon.objects.size, uploads: amazon.uploads.size
        },
        { images: 2, snapshots: 2, imports: 1, strange: 0, objects: 0, uploads: 0 }
      )
    })
  }

  const google = yield* gcpStandIn
  const gcp: Cloud = {
    name: "gcp", credentials: google.credentials(), at: google.at, calls: google.calls, reset: google.reset,
    targetOf: () => ({ type: "gcp", bucket: "example-images", share_with: ["user:ann@example.org"] }),
    left: (composeId) => Effect.sync(() => counts(
      {
        images: [...google.gce.images.values()].filter(({ resource, status }) => status === "READY" && resource["labels"]["kiln-compose"] === composeId).length,
        strange: google.gce.inserts() - google.gce.images.size, objects: google.gcs.objects.size
      },
      { images: 1, strange: 0, objects: 0 }
    ))
  }

  const microsoft = yield* azureStandIn
  const azure: Cloud = {
    name: "azure", credentials: microsoft.credentials(), at: microsoft.at, calls: microsoft.calls, reset: microsoft.reset,
    targetOf: () => ({ type: "azure", ...microsoft.place, storage_account: account, container }),
    left: (composeId) => Effect.sync(() => counts(
      { images: microsoft.arm.ofKind("images").filter(({ body }) => body.tags["kiln-compose"] === composeId).length, blobs: microsoft.blobs.blobs.size },
      { images: 1, blobs: 0 }
    ))
  }

  const front = yield* registryFront(yield* dockerRegistry(), { keeps: true })
  const tagsOf = (repository: string) =>
    Effect.promise(async () => ((await (await fetch(`http://${front.host}/v2/${repository}/tags/list`)).json()) as { readonly tags: ReadonlyArray<string> }).tags)
  const oci: Cloud = {
    name: "oci", credentials: { provider: "oci", plain_http: true }, at: front.stopAt, calls: () => front.passed.length, reset: front.reset,
    targetOf: (composeId) => ({ type: "oci", registry: front.host, repository: `images/${composeId}` }),
    left: (composeId) => Effect.map(tagsOf(`images/${composeId}`), (tags) => counts(
      { images: tags.filter((tag) => !tag.startsWith("sha256-")).length, referrers: tags.filter((tag) => tag.startsWith("sha256-")).length },
      { images: 1, referrers: 1 }
    ))
  }
  return { all: [s3, aws, gcp, azure, oci] as ReadonlyArray<Cloud>, ca: microsoft.ca }
})
