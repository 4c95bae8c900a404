/** What is installed in an image: the base of its type, and on top what type, options and customizations want. Pure. */
import type { ImageSpec } from "../../domain/manifest.ts"
import { releaseFor, type Release } from "./distributions.ts"
import { extrasOf, withKernel } from "./extras.ts"
import type { ImageType } from "./image-types/image-type.ts"

export interface ImagePackages {
  /** With the base of just this image. */
  readonly release: Release
  /** Sorted. */
  readonly extras: ReadonlyArray<string>
}

export const imagePackagesOf = (
  release: Release,
  architecture: string,
  type: ImageType,
  { customizations, image: { options = {} } }: Pick<ImageSpec, "customizations" | "image">
): ImagePackages => {
  const users = customizations.users ?? []
  const fileSystems = [options.filesystem, ...(options.mountpoints ?? []).map(({ filesystem }) => filesystem)]
  const own = [
    ...(type.packages?.(release.family) ?? []),
    ...(fileSystems.includes("btrfs") ? ["btrfs-progs"] : []),
    ...(type.base === "minimal" && users.length > 0 ? ["passwd"] : []),
    ...(type.base === "minimal" && users.some(({ sudo }) => sudo) ? ["sudo"] : [])
  ]
  return {
    release: withKernel(releaseFor(release, type, architecture), customizations),
    extras: [...new Set([...extrasOf(customizations), ...own])].sort()
  }
}
