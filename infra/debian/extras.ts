/** What a request needs installed beyond the base. Pure. */
import { packageNameOf, type SealedCustomizations } from "../../domain/customizations.ts"
import type { Release } from "./distributions.ts"

const builtInLocales = new Set(["C", "POSIX", "C.UTF-8"])

/** The names of its packages, and of those its other customizations cannot do without. */
export const extrasOf = (customizations: SealedCustomizations): ReadonlyArray<string> => {
  const { cacerts, cloud_init, firewall, keyboard, locale, packages = [], repositories = [], timezone } = customizations
  const httpsInImage = repositories.some(({ install_in_image, uri }) => install_in_image && uri.startsWith("https:"))
  return [
    ...new Set([
      ...packages.map(packageNameOf),
      ...(locale === undefined || builtInLocales.has(locale) ? [] : ["locales"]),
      ...(timezone === undefined ? [] : ["tzdata"]),
      ...(cacerts === undefined && !httpsInImage ? [] : ["ca-certificates"]),
      ...(cloud_init === undefined ? [] : ["cloud-init"]),
      ...(firewall === undefined ? [] : ["nftables"]),
      ...(keyboard === undefined ? [] : ["console-setup"])
    ])
  ].sort()
}

/** Another kernel takes the place of the release's own. */
export const withKernel = (release: Release, { kernel }: SealedCustomizations): Release =>
  kernel?.name === undefined
    ? release
    : { ...release, base: release.base.map((name) => (name.startsWith("linux-image-") ? kernel.name! : name)) }

/** How apt is told about packages: by name, or in the version that was asked for. */
export const wishesOf = (
  names: Iterable<string>,
  { packages = [] }: SealedCustomizations
): ReadonlyArray<string> => {
  const versions = new Map(
    packages.flatMap((wanted) =>
      typeof wanted === "string" || wanted.version === undefined ? [] : [[wanted.name, wanted.version] as const]
    )
  )
  return [...new Set(names)].map((name) => (versions.has(name) ? `${name}=${versions.get(name)}` : name))
}
