/** Which known flaws an image has, by the versions of the sources that its packages were built from. */
import { Schema } from "effect"
import { compareVersions } from "./debian-version.ts"
import type { InstalledPackage } from "./inventory.ts"

/** What is known of one flaw in one source package, for one release of a distribution. */
export const Advisory = Schema.Struct({
  id: Schema.String,
  status: Schema.Literals(["open", "resolved", "undetermined"]),
  /** From this version on it is mended; `0` if the release never had it. */
  fixedVersion: Schema.optionalKey(Schema.String),
  urgency: Schema.String,
  description: Schema.optionalKey(Schema.String)
})
export type Advisory = typeof Advisory.Type

export interface Vulnerability {
  readonly id: string
  readonly urgency: string
  /** `fixable`: a newer version of the source is mended. `open`: none is yet. */
  readonly status: "open" | "fixable" | "undetermined"
  readonly source: { readonly name: string; readonly version: string }
  readonly packages: ReadonlyArray<string>
  readonly fixedVersion?: string
  readonly description?: string
}

/** Debian's words for how much it matters, the gravest first; what is not among them comes before those that do not matter. */
const urgencies = ["high", "medium", "low", "not yet assigned", "end-of-life", "unimportant"]
const rank = (urgency: string) => (urgencies.includes(urgency) ? urgencies.indexOf(urgency) : 3)

interface Source {
  readonly name: string
  readonly version: string
  readonly packages: ReadonlyArray<string>
}

export const sourcesOf = (packages: ReadonlyArray<InstalledPackage>): ReadonlyArray<Source> => {
  const sources = new Map<string, Source>()
  for (const { name, source, version } of packages) {
    const from = source ?? { name, version }
    const key = `${from.name} ${from.version}`
    sources.set(key, { ...from, packages: [...sources.get(key)?.packages ?? [], name] })
  }
  return [...sources.values()]
}

export const vulnerabilitiesOf = (
  packages: ReadonlyArray<InstalledPackage>, bySource: ReadonlyMap<string, ReadonlyArray<Advisory>>
): ReadonlyArray<Vulnerability> =>
  sourcesOf(packages)
    .flatMap((source) => (bySource.get(source.name) ?? []).flatMap((advisory) => found(source, advisory) ?? []))
    .toSorted((a, b) => rank(a.urgency) - rank(b.urgency) || order(a.source.name, b.source.name) || order(a.id, b.id))

const order = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)

const found = ({ name, packages, version }: Source, { description, fixedVersion, id, status, urgency }: Advisory): Vulnerability | undefined => {
  if (fixedVersion !== undefined && compareVersions(version, fixedVersion) >= 0) return undefined
  return {
    id, urgency, packages, source: { name, version },
    status: status === "undetermined" ? status : fixedVersion === undefined ? "open" : "fixable",
    ...(fixedVersion !== undefined && { fixedVersion }), ...(description !== undefined && { description })
  }
}

/** How many of each urgency, the gravest first. */
export const countsOf = (found: ReadonlyArray<Vulnerability>): Readonly<Record<string, number>> => {
  const counts: Record<string, number> = {}
  for (const { urgency } of found) counts[urgency] = (counts[urgency] ?? 0) + 1
  return counts
}
