/** In a thread of its own: reads a copy of the Debian security tracker's data and answers with what is asked of it later. */
import { createReadStream } from "node:fs"
import { parentPort, workerData } from "node:worker_threads"
import type { Advisory } from "../../domain/evidence/vulnerabilities.ts"
import { membersOf } from "./tracker-members.ts"

export const codenames: Readonly<Record<string, string>> = { 11: "bullseye", 12: "bookworm", 13: "trixie", 14: "forky" }

type State = Omit<Advisory, "id" | "description">
/** A flaw, as it is in each of the releases that have or had it. */
export interface Flaw extends Pick<Advisory, "id" | "description"> {
  readonly releases: Readonly<Record<string, State>>
}

export interface TrackerIndex {
  readonly releases: ReadonlySet<string>
  /** A source's `Flaw`s as JSON: as text they cost little to hand over and to keep. */
  readonly sources: ReadonlyMap<string, string>
}

interface Told {
  readonly description?: string
  readonly releases?: Readonly<Record<string, { readonly status?: string; readonly fixed_version?: string; readonly urgency?: string }>>
}

const ours = new Set(Object.values(codenames))
const statuses: ReadonlyArray<string> = ["open", "resolved", "undetermined"]
const longestDescription = 200

export const readTracker = async (chunks: AsyncIterable<Buffer>): Promise<TrackerIndex> => {
  const releases = new Set<string>()
  const sources = new Map<string, string>()
  for await (const [source, text] of membersOf(chunks)) {
    const told = Object.entries(JSON.parse(text) as Readonly<Record<string, Told>>)
    for (const [, { releases: each = {} }] of told) for (const release of Object.keys(each)) if (ours.has(release)) releases.add(release)
    const flaws = told.map(flawOf).filter((flaw) => Object.keys(flaw.releases).length > 0)
    if (flaws.length > 0) sources.set(source, JSON.stringify(flaws))
  }
  return { releases, sources }
}

const flawOf = ([id, { description, releases = {} }]: readonly [string, Told]): Flaw => ({
  id,
  ...(description !== undefined && { description: description.slice(0, longestDescription) }),
  releases: Object.fromEntries(Object.entries(releases).flatMap(([release, { fixed_version: fixedVersion, status = "", urgency = "not yet assigned" }]) => {
    // What a release never had is of no use to anybody.
    if (!ours.has(release) || !statuses.includes(status) || fixedVersion === "0") return []
    const state: State = { status: status as State["status"], urgency: urgency.replaceAll("*", ""), ...(fixedVersion !== undefined && { fixedVersion }) }
    return [[release, state]]
  }))
})

if (parentPort !== null && typeof (workerData as { tracker?: unknown } | null)?.tracker === "string") {
  const { tracker } = workerData as { tracker: string }
  parentPort.postMessage(await readTracker(createReadStream(tracker, { highWaterMark: 1 << 20 })), [])
}
