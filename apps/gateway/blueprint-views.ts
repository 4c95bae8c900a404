/** Blueprints as the API shows them. */
import type { SealedComposeRequest } from "../../domain/compose-request.ts"
import { BlueprintId } from "../../domain/ids.ts"
import type { Recorded } from "../../domain/recorded.ts"
import type { BlueprintRow } from "../../projections/blueprints.ts"
import { blueprints } from "../../projections/blueprints.ts"
import type { BlueprintVersionRow } from "../../projections/blueprint-versions.ts"
import { project } from "../../projections/projection.ts"
import type { BlueprintItem, BlueprintVersionItem, BlueprintView } from "./api/blueprints-api.ts"
import { time, withoutSecrets } from "./compose-details.ts"

/** Only those that are there are listed, so that none is without a last change. */
export const blueprintItem = (row: BlueprintRow): BlueprintItem => ({
  id: BlueprintId.make(row.blueprintId),
  name: row.name,
  ...(row.description !== null && { description: row.description }),
  version: row.version,
  distribution: row.distribution,
  images: row.images,
  created_at: time(row.createdAt),
  created_by: row.createdBy,
  changed_at: time(row.changedAt ?? row.createdAt),
  changed_by: row.changedBy
})

export const versionItem = ({ at, by, distribution, images, version }: BlueprintVersionRow): BlueprintVersionItem =>
  ({ version, at: time(at), by, distribution, images })

type History = ReadonlyArray<Recorded<"blueprint">>

/** Its row without waiting for a read model; nothing if it was never made, or is deleted. */
export const rowOf = (history: History): BlueprintRow | undefined => {
  const [row] = project(blueprints, history).values()
  return row === undefined || row.changedAt === null ? undefined : row
}

export interface Version {
  readonly version: number
  readonly request: SealedComposeRequest
}

/** The latest, or the one that is asked for. */
export const versionIn = (history: History, wanted?: number): Version | undefined =>
  history.flatMap(({ events }) => events).flatMap((event): ReadonlyArray<Version> => {
    if (event._tag === "BlueprintCreated") return [{ version: 1, request: event.request }]
    return event._tag === "BlueprintChanged" ? [{ version: event.version, request: event.request }] : []
  }).findLast(({ version }) => wanted === undefined || version === wanted)

export const blueprintView = (row: BlueprintRow, { request, version }: Version): BlueprintView => ({
  ...blueprintItem(row), latest: row.version, version, distribution: request.distribution, images: request.images.length,
  request: withoutSecrets(request)
})

/** The latest version of one that is there. */
export const viewIn = (history: History): BlueprintView => blueprintView(rowOf(history)!, versionIn(history)!)

/** As it is declared, for comparisons. */
export const documentOf = (history: History) => {
  const row = rowOf(history)!
  return { name: row.name, ...(row.description !== null && { description: row.description }), request: versionIn(history)!.request }
}
