/** Where this builder keeps things, and where packages come from. */
import { bytesOf, limitsOf, type Limits } from "../sandbox/limits.ts"
import type { Archive, Release } from "./distributions.ts"

export interface DebianConfig {
  /** Indexes, packages and base trees; may be shared by any number of processes of one machine. */
  readonly cacheDir: string
  /** Debian's, where not given, are this machine's own, or the public ones. */
  readonly mirrors?: Partial<Record<Archive, string>>
  /** What images shall use later on, where that differs from what they are built from. */
  readonly imageMirrors?: Partial<Record<Archive, string>>
  /** An archive in the form of snapshot.debian.org's `/archive`, for packages that the mirror has dropped. */
  readonly snapshots?: string
  /** Indexes younger than this are not asked for again. */
  readonly updateEveryMs?: number
  /** `auto`: trees are made in memory where twice the need is free, else in the job's folder. */
  readonly scratch?: "auto" | "disk"
  /** Whether tenants' own repositories may be on this machine, or on its link. */
  readonly privateRepositories?: boolean
  /** Bytes that the cache may have; a fifth of its disk where not given. */
  readonly cacheBytes?: number
  /** What one build may take of this machine. */
  readonly limits?: Limits
}

type Env = Readonly<Record<string, string | undefined>>

const mirrorsOf = (debian?: string, security?: string, ubuntu?: string): Partial<Record<Archive, string>> => ({
  ...(debian && { debian: withoutSlash(debian) }),
  ...(security && { security: withoutSlash(security) }),
  ...(ubuntu && { ubuntu: withoutSlash(ubuntu) })
})

export const cacheBytesOf = (env: Env): Pick<DebianConfig, "cacheBytes"> => {
  const text = env["KILN_CACHE_BYTES"]
  return text === undefined || text === "" ? {} : { cacheBytes: bytesOf("KILN_CACHE_BYTES", text) }
}

export const withoutSlash = (uri: string) => uri.replace(/\/+$/, "")

/**
 * Reads KILN_DEBIAN_MIRROR, KILN_DEBIAN_SECURITY_MIRROR, KILN_UBUNTU_MIRROR, their KILN_IMAGE_… twins,
 * KILN_DEBIAN_SNAPSHOT, KILN_APT_UPDATE_MINUTES, KILN_SCRATCH, KILN_CACHE_BYTES and the limits of a build.
 */
export const debianConfigOf = (cacheDir: string, env: Env): DebianConfig => {
  const minutes = Number(env["KILN_APT_UPDATE_MINUTES"] ?? Number.NaN)
  return {
    cacheDir,
    limits: limitsOf(env),
    ...cacheBytesOf(env),
    ...(env["KILN_ALLOW_PRIVATE_REPOSITORIES"] === "true" && { privateRepositories: true }),
    mirrors: mirrorsOf(env["KILN_DEBIAN_MIRROR"], env["KILN_DEBIAN_SECURITY_MIRROR"], env["KILN_UBUNTU_MIRROR"]),
    imageMirrors: mirrorsOf(
      env["KILN_IMAGE_DEBIAN_MIRROR"],
      env["KILN_IMAGE_DEBIAN_SECURITY_MIRROR"],
      env["KILN_IMAGE_UBUNTU_MIRROR"]
    ),
    ...snapshotsIn(env["KILN_DEBIAN_SNAPSHOT"]),
    ...(Number.isFinite(minutes) && { updateEveryMs: minutes * 60_000 }),
    ...(env["KILN_SCRATCH"] === "disk" && { scratch: "disk" as const })
  }
}

const snapshotsIn = (uri = ""): Pick<DebianConfig, "snapshots"> => {
  if (uri === "") return {}
  if (!/^https?:\/\/[^\s/]/.test(uri)) throw new Error(`KILN_DEBIAN_SNAPSHOT: ${JSON.stringify(uri)} is no address of http or https`)
  return { snapshots: withoutSlash(uri) }
}

export interface Source {
  readonly uri: string
  readonly suite: string
}

/** The sources.list of an image: what its lock was made from, unless images are to use another mirror. */
export const imageSources = (
  release: Release,
  sources: ReadonlyArray<Source>,
  mirrors: DebianConfig["imageMirrors"]
): string =>
  // Behind the release's own come the tenant's, which are in an image only where that was asked for.
  sources
    .slice(0, release.sources.length)
    .map(({ suite, uri }) => {
      const archive = release.sources.find((source) => source.suite === suite)?.archive
      const mirror = (archive && mirrors?.[archive]) ?? uri
      return `deb [signed-by=${release.keyring}] ${mirror} ${suite} ${release.components}\n`
    })
    .join("")
