/** The image types of this builder. */
import { aws, azure, gcp, oci } from "./clouds.ts"
import type { ImageType } from "./image-type.ts"
import { guestImage, minimalRaw, vsphere, vsphereOva } from "./machines.ts"
import { container, liveIso, networkBoot, wsl } from "./trees.ts"

export const imageTypes: ReadonlyArray<ImageType> = [
  guestImage, minimalRaw, aws, azure, gcp, oci, vsphere, vsphereOva, wsl, container, networkBoot, liveIso
]

export const imageTypeOf = (name: string): ImageType | undefined => imageTypes.find((type) => type.name === name)
