/** Documents as one message: what is written for people and verifiers shrinks to a tenth. */
import { promisify } from "node:util"
import { gunzip, gzip } from "node:zlib"
import { Data, Effect, Schema } from "effect"
import type { ImageDocument } from "../../domain/ports/image-targets.ts"

const [pack, unpack] = [promisify(gzip), promisify(gunzip)]
/** Two bills of ten thousand packages, and what else there is. */
const longest = 64 * 2 ** 20

const Documents = Schema.fromJsonString(Schema.Array(Schema.Struct({
  name: Schema.String, artifactType: Schema.String, annotations: Schema.Record(Schema.String, Schema.String), bytes: Schema.Uint8ArrayFromBase64
})))
const encode = Schema.encodeSync(Documents)
const decode = Schema.decodeUnknownEffect(Documents)

class Unreadable extends Data.TaggedError("Unreadable")<{ readonly message: string }> {}

export const packed = (documents: ReadonlyArray<ImageDocument>): Effect.Effect<Uint8Array> => Effect.promise(() => pack(encode(documents)))

export const unpacked = (message: Uint8Array) =>
  Effect.tryPromise({
    try: async () => (await unpack(message, { maxOutputLength: longest })).toString(),
    catch: (error) => new Unreadable({ message: (error as Error).message })
  }).pipe(Effect.flatMap(decode))
