/** Where deliveries went, or were to go, folded from the log: what the reaper looks through. */
import type { TenantId } from "./ids.ts"
import { targetsOf } from "./job.ts"
import type { Recorded } from "./recorded.ts"
import type { CloudTarget } from "./target.ts"

/** A target without what names a single image: all deliveries of a tenant to it are found at once. */
export interface Place {
  readonly tenantId: TenantId
  readonly target: CloudTarget
  /** When something was to go there last. */
  readonly at: number
}

/** Of a tenant; then the one goes that was not used for the longest time. */
export const mostPlaces = 500

const partsOf = {
  s3: ["type", "credentials", "region", "bucket", "prefix"],
  aws: ["type", "credentials", "region", "bucket", "copy_to_regions"],
  gcp: ["type", "credentials", "project", "bucket"],
  azure: ["type", "credentials", "subscription", "resource_group", "location", "storage_account", "container", "gallery"],
  oci: ["type", "credentials", "registry", "repository"]
} as const

export const placeOfTarget = (target: CloudTarget): CloudTarget => {
  const all = target as Readonly<Record<string, unknown>>
  const parts = partsOf[target.type].flatMap((name) => all[name] === undefined ? [] : [[name, partOf(name, all[name])]])
  return Object.fromEntries(parts) as CloudTarget
}

const partOf = (name: string, value: unknown): unknown => {
  if (name === "copy_to_regions") return (value as ReadonlyArray<string>).toSorted()
  if (name !== "gallery") return value
  const { image, name: gallery } = value as { readonly name: string; readonly image: string }
  return { name: gallery, image }
}

export const placeKey = ({ target, tenantId }: Pick<Place, "target" | "tenantId">): string => `${tenantId} ${JSON.stringify(target)}`

/** Mutable; one fiber owns it. */
export class Places {
  readonly #tenants = new Map<TenantId, Map<string, Place>>()

  has(tenantId: TenantId): boolean {
    return this.#tenants.has(tenantId)
  }

  record({ at, events, tenantId }: Recorded<"compose">): void {
    for (const event of events) {
      if (event._tag !== "JobQueued" || event.kind !== "upload") continue
      const target = targetsOf(event.request)[event.target ?? 0]
      if (target !== undefined && target.type !== "file") this.set({ tenantId, target: placeOfTarget(target), at })
    }
  }

  values(): ReadonlyArray<Place> {
    return [...this.#tenants.values()].flatMap((places) => [...places.values()])
  }

  /** Also for what a snapshot has. */
  set(place: Place): void {
    const places = this.#tenants.get(place.tenantId) ?? new Map<string, Place>()
    this.#tenants.set(place.tenantId, places)
    const key = placeKey(place)
    places.delete(key)
    places.set(key, place)
    if (places.size > mostPlaces) places.delete(places.keys().next().value!)
  }
}
