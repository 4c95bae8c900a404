/** Reads what apt prints. Pure. */
import type { LockedPackage } from "../../domain/manifest.ts"

const uriLine = /^'([^']+)' (\S+)_([^_\s]+)_([a-z0-9]+)\.deb (\d+) SHA256:([0-9a-f]{64})$/

/** The packages of `apt-get install --print-uris`, sorted by name. Epochs arrive as `1%3a2.0`. */
export const packagesOf = (printed: string): ReadonlyArray<LockedPackage> =>
  printed
    .split("\n")
    .flatMap((line) => {
      const [, url, name, version, architecture, size, sha256] = uriLine.exec(line) ?? []
      return url && name && version && architecture && sha256
        ? [
            {
              name,
              version: decodeURIComponent(version.replace(/%(?![0-9a-f]{2})/gi, "%25")),
              architecture,
              size: Number(size),
              sha256,
              url
            }
          ]
        : []
    })
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.architecture < b.architecture ? -1 : 1))

/** Names that apt could not place, from any of the ways it says so. */
export const unknownPackages = (said: string): ReadonlyArray<string> => [
  ...new Set(
    [
      ...said.matchAll(/^E: (?:Unable to locate package (\S+)|Package '([^']+)' has no installation candidate)$/gm)
    ].flatMap(([, missing, virtual]) => missing ?? virtual ?? [])
  )
]

/** A version that there is not: what apt says, and of which package. */
export const missingVersion = (said: string): { readonly name: string; readonly reason: string } | undefined => {
  const [, reason, name] = /^E: (Version '[^']+' for '([^']+)' was not found)$/m.exec(said) ?? []
  return reason === undefined || name === undefined ? undefined : { name, reason }
}

/** The block in which apt explains why wishes do not fit together. */
export const unmetDependencies = (said: string): string | undefined => {
  const block = /The following packages have unmet dependencies:\n((?: .*\n?)+)/.exec(said)?.[0]
  const reasons = said.split("\n").filter((line) => line.startsWith("E: "))
  return block === undefined && !reasons.some((line) => /held broken|unmet dep|conflict/i.test(line))
    ? undefined
    : [block?.trimEnd(), ...reasons].filter((part) => part !== undefined).join("\n")
}

export interface MachineSource {
  readonly uri: string
  readonly suite: string
  readonly origin: string
  readonly label: string
  readonly component: string
}

/**
 * Lines of `apt-get indextargets --format '$(REPO_URI)|$(RELEASE)|$(ORIGIN)|$(LABEL)|$(COMPONENT)'`. A field that is
 * not known prints as itself.
 */
export const machineSources = (printed: string): ReadonlyArray<MachineSource> =>
  printed.split("\n").flatMap((line) => {
    const fields = line.split("|").map((field) => (field.startsWith("$(") ? "" : field))
    const [uri = "", suite = "", origin = "", label = "", component = ""] = fields
    return uri && suite ? [{ uri: uri.replace(/\/+$/, ""), suite, origin, label, component }] : []
  })

/** How to reach a mirror, as the administrator told this machine's apt: proxies, certificates, checks of the date. */
export const acquireSettings = (dump: string): string =>
  dump
    .split("\n")
    .filter((line) =>
      /^Acquire::(http|https|ftp|Check-Valid-Until|Check-Date|Max-FutureTime|ForceIPv4|ForceIPv6)\b.* ".+";$/.test(line)
    )
    .join("\n")

/** The proxy for plain downloads, from the same dump. */
export const proxyOf = (dump: string, scheme: "http" | "https"): string | undefined =>
  new RegExp(`^Acquire::${scheme}::Proxy "([^"]+)";$`, "mi").exec(dump)?.[1]
