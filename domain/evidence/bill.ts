/** The bill of materials of one image, before it is written down in somebody's format. */
import type { Artifact } from "../artifact.ts"
import type { LockedPackage, Manifest } from "../manifest.ts"
import type { Inventory, InstalledPackage, OwnLicense, PackageSystem } from "./inventory.ts"

export interface BilledPackage extends InstalledPackage {
  /** Where its archive came from, as the lock has it. */
  readonly archive?: Pick<LockedPackage, "url" | "sha256">
  /** A package URL, its name everywhere. */
  readonly purl: string
}

export interface Bill {
  readonly image: {
    readonly distribution: string
    readonly architecture: string
    readonly type: string
    readonly artifact: Pick<Artifact, "digest" | "filename" | "size">
  }
  /** Whether somebody has looked at what is installed; otherwise it is what was resolved. */
  readonly inspected: boolean
  /** What the list was made from, if not from dpkg's word and the lock. */
  readonly origin?: string
  /** Seconds since 1970. */
  readonly epoch: number
  readonly packages: ReadonlyArray<BilledPackage>
  readonly licenses: ReadonlyArray<OwnLicense>
}

/** Nothing can be said of an image without a lock that nobody has looked into. */
export const billOf = (manifest: Manifest, artifact: Artifact, inventory: Inventory | undefined): Bill | undefined => {
  const { distribution, image: { architecture, type }, lock } = manifest
  const installed: ReadonlyArray<InstalledPackage> | undefined = inventory?.packages ?? lock?.packages
  if (installed === undefined) return undefined
  const archives = new Map(lock?.packages.map((locked) => [keyOf(locked), { url: locked.url, sha256: locked.sha256 }]))
  const { digest, filename, size } = artifact
  const packages = installed.map((installed) => billed(installed, archives.get(keyOf(installed)), distribution, inventory?.system))
  return {
    image: { distribution, architecture, type, artifact: { digest, filename, size } },
    inspected: inventory !== undefined,
    ...(inventory?.origin !== undefined && { origin: inventory.origin }),
    epoch: inventory?.epoch ?? 0,
    packages: [...new Map(packages.map((item) => [item.purl, item])).values()].toSorted((a, b) => order(keyOf(a), keyOf(b))),
    licenses: inventory?.licenses ?? []
  }
}

/** By code unit, which every machine does the same way. */
const order = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)

const keyOf = ({ architecture, name, version }: InstalledPackage) => `${name} ${version} ${architecture}`

const billed = (
  { architecture, license, maintainer, name, source, version }: InstalledPackage, archive: BilledPackage["archive"], distribution: string,
  system: PackageSystem | undefined
): BilledPackage => ({
  name, version, architecture,
  ...(source && { source }), ...(maintainer !== undefined && { maintainer }), ...(license !== undefined && { license }), ...(archive && { archive }),
  purl: purlOf({ architecture, name, version, ...(source && { source }) }, distribution, system)
})

/** `debian-13` is a distribution of Debian's unless `system` says more; `upstream` is how scanners find advisories for the source. */
export const purlOf = ({ architecture, name, source, version }: InstalledPackage, kilns: string, system?: PackageSystem): string => {
  const { distribution, type, vendor } = system ?? { type: "deb", vendor: kilns.split("-")[0] ?? "debian", distribution: kilns }
  // Of an RPM's version the epoch goes apart.
  const [, epoch, plain = version] = type === "rpm" ? /^(?:(\d+):)?(.*)$/.exec(version) ?? [] : []
  const upstream = source === undefined || source.name === name && source.version === version
    ? undefined
    : source.version === version ? source.name : `${source.name}@${source.version}`
  const qualifiers = [["arch", architecture || undefined], ["distro", distribution], ["epoch", epoch], ["upstream", upstream]]
    .flatMap(([key, value]) => (value === undefined ? [] : [`${key}=${encoded(value)}`]))
  const path = [type, ...(vendor === undefined ? [] : [encoded(vendor)]), encoded(name)].join("/")
  return `pkg:${path}@${encoded(plain)}${qualifiers.length === 0 ? "" : `?${qualifiers.join("&")}`}`
}

/** The package URL's rules leave the colon as it is. */
const encoded = (text: string) => encodeURIComponent(text.toWellFormed()).replaceAll("%3A", ":").replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`)

export const timeOf = ({ epoch }: Pick<Bill, "epoch">): string => new Date(epoch * 1000).toISOString().replace(".000Z", "Z")

/** A UUID of the custom kind (RFC 9562, version 8) made of the first bits of a digest in hex. */
export const uuidOf = (hex: string): string =>
  [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`, `${"89ab"[Number.parseInt(hex[16]!, 16) & 3]}${hex.slice(17, 20)}`, hex.slice(20, 32)].join("-")
