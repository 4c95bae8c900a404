import type { Digest } from "./ids.ts"

/** The blobs that events name: each by digest and size and nothing else; an artifact, which may be gone, has more to say. */
export const blobsIn = (value: unknown): ReadonlyArray<Digest> => {
  if (typeof value !== "object" || value === null) return []
  if (Array.isArray(value)) return value.flatMap(blobsIn)
  const record = value as Readonly<Record<string, unknown>>
  const fields = Object.keys(record)
  if (fields.length === 2 && typeof record["digest"] === "string" && typeof record["size"] === "number") return [record["digest"] as Digest]
  return fields.flatMap((field) => field === "request" ? [] : blobsIn(record[field]))
}
