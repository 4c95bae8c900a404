/**
 * What stand-ins for clouds have received of one image, fetched back from them and booted: what was built, as each cloud gets it.
 * Minutes of emulation, so only with `KILN_TEST_CLOUD_BOOTS=1`.
 */
import { createHash } from "node:crypto"
import { createReadStream, writeFileSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pipeline } from "node:stream/promises"
import { Effect, Result } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { Firmware } from "../../domain/boot-test.ts"
import type { Delivery, ImageTarget } from "../../domain/ports/image-targets.ts"
import type { Target } from "../../domain/target.ts"
import { convert, type DiskFormat } from "../../infra/formats/convert.ts"
import { azureTargetWith } from "../../infra/targets/azure/target.ts"
import { gcpTargetWith } from "../../infra/targets/gcp/target.ts"
import { ociTarget } from "../../infra/targets/oci/target.ts"
import { s3Target } from "../../infra/targets/s3/target.ts"
import { buildImpossible, built, specOf } from "../infra/debian/real.ts"
import { awsCloud, quickTarget, targetOf } from "../support/aws-cloud.ts"
import { azureStandIn } from "../support/azure-stand-in.ts"
import { booted, bootImpossible } from "../support/boot.ts"
import { deliver, deliveryOf, newJournal } from "../support/deliver.ts"
import { dockerRegistry, registryImpossible } from "../support/docker-registry.ts"
import { gcpStandIn } from "../support/gcp-stand-in.ts"
import { skipWhere } from "../support/needs.ts"
import { account, container } from "../support/page-blob-stand-in.ts"
import { s3Keys, s3StandIn } from "../support/s3-stand-in.ts"

const why = async () => {
  if (process.env["KILN_TEST_CLOUD_BOOTS"] !== "1") return "boots of what clouds receive take minutes: KILN_TEST_CLOUD_BOOTS=1 asks for them"
  return bootImpossible("bios") ?? bootImpossible("uefi") ?? registryImpossible() ?? await buildImpossible()
}
const impossible = await why()

let dir = ""
let image = ""
const pace = { pauseMs: 100, pollMs: 10 }

/** The image in a format, as a worker converts it. */
const as = async (format: DiskFormat): Promise<string> => {
  const path = join(dir, `disk.${format}`)
  if (format === "qcow2") return image
  await Effect.runPromise(convert({ path: image, format: "qcow2" }, { path, format }))
  return path
}
const sent = async <Of extends Target>(to: ImageTarget<Of>, target: Of, credentials: Delivery["credentials"], format: DiskFormat) => {
  const given = await deliveryOf({ target, credentials, path: await as(format) })
  const delivery = { ...given, artifact: { ...given.artifact, format, filename: `disk.${format}` } }
  return { delivery, copy: await Effect.runPromise(deliver(to, delivery, newJournal(dir))) }
}
const sumOf = async (path: string): Promise<string> => {
  const hash = createHash("sha256")
  await pipeline(createReadStream(path), hash)
  return hash.digest("hex")
}
/** Up to where its console says that all of it runs. */
const comesUp = (path: string, format: string, firmware: Firmware) =>
  booted({ image: path, format, firmware }, async ({ console }) => expect(console()).toContain("KILN-READY cloud "))

/** For as long as `use` runs. */
const within = <A, R>(open: Effect.Effect<A, never, R>, use: (opened: A) => Promise<void>) =>
  Effect.runPromise(Effect.scoped(Effect.flatMap(open, (opened) => Effect.promise(() => use(opened)))) as Effect.Effect<void>)

describe("one image, as clouds have received it", () => {
  skipWhere(impossible !== undefined, impossible ?? "")
  beforeAll(async () => {
    if (impossible !== undefined) return
    dir = await mkdtemp(join(tmpdir(), "kiln-cloud-boots-"))
    image = Result.getOrThrow(await built(specOf({ hostname: "cloud" }), dir)).path
  })
  afterAll(async () => {
    if (dir !== "") await rm(dir, { recursive: true, force: true })
  })

  it("boots in BIOS from the snapshot of an AMI, which is the VMDK that was sent", () =>
    within(awsCloud(), async ({ cloud, credentials }) => {
      const { delivery } = await sent(quickTarget, targetOf(), credentials, "vmdk")
      const path = join(dir, "snapshot.vmdk")
      writeFileSync(path, cloud.snapshots[0]!.bytes)
      expect(await sumOf(path)).toBe(delivery.sha256)
      await comesUp(path, "vmdk", "bios")
    }), 600_000)

  it("boots in UEFI from the disk that Compute Engine found in the archive", () =>
    within(gcpStandIn, async ({ credentials, gce }) => {
      await sent(gcpTargetWith({ ...pace, chunkSize: 16 << 20 }), { type: "gcp", bucket: "example-images" }, credentials(), "gcp")
      const disk = gce.images.values().next().value!.disk!
      expect(await sumOf(disk)).toBe(await sumOf(await as("raw")))
      await comesUp(disk, "raw", "uefi")
    }), 600_000)

  it("boots in UEFI from the VHD that Azure made an image of", () =>
    within(azureStandIn, async ({ arm, ca, credentials, place }) => {
      const target = { type: "azure" as const, ...place, storage_account: account, container }
      await sent(azureTargetWith({ ...pace, workers: 8, ca }), target, credentials(), "raw")
      const disk = arm.ofKind("images")[0]!.disk!
      expect(await sumOf(disk)).toBe(await sumOf(await as("vhd")))
      await comesUp(disk, "vhd", "uefi")
    }), 600_000)

  it("boots from a registry's one layer and from a bucket's object, which are the file that was built", async () => {
    const wanted = await sumOf(image)
    await within(dockerRegistry(), async ({ host }) => {
      const plain = { provider: "oci", plain_http: true } as const
      const { copy } = await sent(ociTarget({ privateHosts: true }), { type: "oci", registry: host, repository: "images/cloud" }, plain, "qcow2")
      const fetched = join(dir, "layer.qcow2")
      const layer = await fetch(`http://${host}/v2/images/cloud/blobs/${copy.digest}`)
      writeFileSync(fetched, Buffer.from(await layer.arrayBuffer()))
      expect(await sumOf(fetched)).toBe(wanted)
    })
    await within(s3StandIn(), async ({ endpoint, store }) => {
      const { objects } = store.make("images", "eu-central-1")
      const credentials = { provider: "aws", ...s3Keys, region: "eu-central-1", endpoints: { s3: endpoint } } as const
      const { copy } = await sent(s3Target, { type: "s3", bucket: "images" }, credentials, "qcow2")
      const fetched = join(dir, "object.qcow2")
      writeFileSync(fetched, Buffer.concat(objects.get(copy.id)!.bytes))
      expect(await sumOf(fetched)).toBe(wanted)
      await comesUp(fetched, "qcow2", "bios")
    })
  }, 600_000)
})
