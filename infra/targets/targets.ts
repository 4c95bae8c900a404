/** The targets by type. A target's own file is small; the SDK behind it is loaded when it is first used. */
import { Layer } from "effect"
import { type ImageTarget, ImageTargets } from "../../domain/ports/image-targets.ts"
import type { TargetOf, TargetType } from "../../domain/target.ts"
import { awsTarget } from "./aws/target.ts"
import { azureTarget } from "./azure/target.ts"
import { gcpTarget } from "./gcp/target.ts"
import { ociTarget } from "./oci/target.ts"
import { s3Target } from "./s3/target.ts"

/** `file` is not here: Kiln's own store is linked into, not uploaded to. */
const targets: { readonly [Type in TargetType]?: ImageTarget<TargetOf<Type>> } = {
  s3: s3Target,
  aws: awsTarget,
  gcp: gcpTarget,
  azure: azureTarget,
  oci: ociTarget({ privateHosts: process.env["KILN_ALLOW_PRIVATE_ENDPOINTS"] === "true" })
}

export const targetTypes: ReadonlyArray<TargetType> = ["file", ...(Object.keys(targets) as ReadonlyArray<TargetType>)]

const get = <Type extends TargetType>(type: Type): ImageTarget<TargetOf<Type>> | undefined => targets[type]

export const ImageTargetsHere = Layer.succeed(ImageTargets, ImageTargets.of({ get }))
