/** What disk-image-create has written down of packages beside the image, for images that cannot be looked into. */
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { Effect, Option, Schema } from "effect"
import type { InstalledPackage } from "../../domain/evidence/inventory.ts"

const Manifest = Schema.fromJsonString(Schema.Struct({
  packages: Schema.Array(Schema.Struct({ package: Schema.String, arch: Schema.String, version: Schema.String, status: Schema.String }))
}))
const decode = Schema.decodeUnknownOption(Manifest)

/** By the element `dpkg`; others write no list. */
export const dpkgManifest = (workspace: string): Effect.Effect<ReadonlyArray<InstalledPackage>> =>
  Effect.promise(() => readFile(join(workspace, "image.d/dib-manifests/dib-manifest-dpkg-image"), "utf8").catch(() => "")).pipe(
    Effect.map((text) => Option.match(decode(text), { onNone: () => [], onSome: ({ packages }) => packages.flatMap(installed) }))
  )

/** Where two architectures are side by side, a name has its own behind a colon. */
const installed = ({ arch, package: name, status, version }: { arch: string; package: string; status: string; version: string }) =>
  status.startsWith("ii") ? [{ name: name.split(":")[0]!, version, architecture: arch }] : []
