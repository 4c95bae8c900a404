/**
 * A stream of the log as files: its entries as lines of JSON in segments of some thousand, an index that says in which of them
 * an aggregate is, and a manifest that names them all. Each file is named by its digest, so the manifest's vouches for all.
 */
import { createHash } from "node:crypto"
import { Schema } from "effect"
import { Digest } from "../../domain/ids.ts"
import { getText, type Place, putText } from "./place.ts"

/** An entry as it was stored: the bytes of the message, its address, and the id by which a repetition is known. */
export interface Line {
  readonly sequence: number
  readonly subject: string
  readonly message: string
  readonly data: string
  /** What it says, where that is no text: `data` is empty then. */
  readonly base64?: string
}

const File = { digest: Digest, bytes: Schema.Int }

export const Manifest = Schema.Struct({
  version: Schema.Literal(1),
  stream: Schema.String,
  prefix: Schema.String,
  period: Schema.optionalKey(Schema.Struct({ name: Schema.String, from: Schema.Int, to: Schema.Int })),
  /** The sequence of the last entry; the first has 1, and none is missing. */
  last: Schema.Int,
  /** Of all lines, one after the other. */
  lines: Digest,
  segments: Schema.Array(Schema.Struct({ ...File, first: Schema.Int, last: Schema.Int })),
  /** `from`: the lowest key in it. */
  index: Schema.Array(Schema.Struct({ ...File, from: Schema.Int }))
})
export type Manifest = typeof Manifest.Type

const Json = Schema.fromJsonString(Manifest)
const [encodeManifest, decodeManifest] = [Schema.encodeSync(Json), Schema.decodeUnknownSync(Json)]

export const putManifest = (place: Place, manifest: Manifest) => putText(place, "manifests", encodeManifest(manifest), "json.zst")
export const getManifest = async (place: Place, digest: Digest): Promise<Manifest> => decodeManifest(await getText(place, "manifests", digest, "json.zst"))

export const putSegment = (place: Place, lines: ReadonlyArray<string>) => putText(place, "segments", lines.join(""), "ndjson.zst")
/** Its lines, each with its end. */
export const getSegment = (place: Place, digest: Digest): Promise<string> => getText(place, "segments", digest, "ndjson.zst")

export const lineOf = ({ base64, data, message, sequence, subject }: Line): string =>
  `${JSON.stringify({ sequence, subject, message, data, ...(base64 !== undefined && { base64 }) })}\n`

export const textIn = ({ base64, data }: Line): string => base64 === undefined ? data : new TextDecoder().decode(Buffer.from(base64, "base64"))

/** As it was in the message. */
export const bytesIn = ({ base64, data }: Line): string | Uint8Array => base64 === undefined ? data : Buffer.from(base64, "base64")

export function* linesIn(text: string): Generator<string, void> {
  for (let at = 0, end = text.indexOf("\n"); end !== -1; at = end + 1, end = text.indexOf("\n", at)) yield text.slice(at, end)
}

/** By which an aggregate is found: of many aggregates one may have another's, so whoever looks compares the subject as well. */
export const keyOf = (aggregate: string): number => createHash("sha256").update(aggregate).digest().readUInt32BE(0)

/** `<tenant>.<kind>.<id>` of a subject. */
export const aggregateIn = (subject: string): string => subject.slice(subject.indexOf(".") + 1, subject.lastIndexOf("."))

/** Segments by key. */
export type Shard = Readonly<Record<string, ReadonlyArray<number>>>

export const putShard = (place: Place, shard: Shard) => putText(place, "indexes", JSON.stringify(shard), "json.zst")
export const getShard = async (place: Place, digest: Digest): Promise<Shard> => JSON.parse(await getText(place, "indexes", digest, "json.zst")) as Shard
