/** What osbuild's result says of packages: its stages for RPM list what is in the tree once they are done. Pure. */
import { Option, Schema } from "effect"
import type { InstalledPackage } from "../../domain/evidence/inventory.ts"

const text = Schema.NullOr(Schema.String)
const Package = Schema.Struct({
  name: Schema.String, version: Schema.String, release: Schema.String,
  epoch: Schema.optionalKey(Schema.NullOr(Schema.Union([Schema.String, Schema.Int]))), arch: Schema.optionalKey(text)
})
const Metadata = Schema.Record(Schema.String, Schema.Record(Schema.String, Schema.Unknown))
const Result = Schema.fromJsonString(Schema.Struct({ metadata: Schema.optionalKey(Metadata) }))
const Listed = Schema.Struct({ packages: Schema.Array(Package) })
const Manifest = Schema.fromJsonString(Schema.Struct({
  pipelines: Schema.Array(Schema.Struct({ name: Schema.String, stages: Schema.optionalKey(Schema.Unknown) }))
}))
const [decodeResult, decodeListed, decodeManifest] = [Schema.decodeUnknownOption(Result), Schema.decodeUnknownOption(Listed), Schema.decodeUnknownOption(Manifest)]

/** Of the pipelines that the exported one takes its trees from; those that only build others are no part of the image. */
export const packagesInResult = (result: string, manifest: string, exported: string): ReadonlyArray<InstalledPackage> => {
  const metadata = Option.getOrUndefined(decodeResult(result))?.metadata ?? {}
  const said = [...pipelinesOf(manifest, exported)].flatMap((name) => Object.values(metadata[name] ?? {}))
  return said.flatMap((each) => Option.getOrUndefined(decodeListed(each))?.packages ?? []).map(({ arch, epoch, name, release, version }) => ({
    name, version: `${epoch === undefined || epoch === null || String(epoch) === "0" ? "" : `${epoch}:`}${version}-${release}`, architecture: arch ?? ""
  }))
}

const pipelinesOf = (manifest: string, exported: string): ReadonlySet<string> => {
  const stages = new Map((Option.getOrUndefined(decodeManifest(manifest))?.pipelines ?? []).map((pipeline) => [pipeline.name, pipeline.stages]))
  const found = new Set([exported])
  // What is added while it is gone through is gone through too.
  for (const name of found) for (const other of namedIn(stages.get(name))) found.add(other)
  return found
}

/** `name:os`, wherever it stands in a stage: as a reference, or as the key of one. */
const namedIn = (value: unknown): ReadonlyArray<string> =>
  typeof value === "string"
    ? value.startsWith("name:") ? [value.slice(5)] : []
    : typeof value === "object" && value !== null ? [...Array.isArray(value) ? [] : Object.keys(value), ...Object.values(value)].flatMap(namedIn) : []
