import { Context, type Effect, Schema } from "effect"

export class ContentsUnreadable extends Schema.TaggedError<ContentsUnreadable>()("ContentsUnreadable", { message: Schema.String }) {}

/** A file, folder or link of an image. `part`: of which partition, or `archive`. */
export const ImageEntry = Schema.Struct({
  part: Schema.String,
  path: Schema.String,
  type: Schema.String,
  mode: Schema.String,
  /** Numbers of user and group. */
  owner: Schema.String,
  /** Of the last change, in seconds since 1970; not of links. */
  time: Schema.optionalKey(Schema.Number),
  size: Schema.optionalKey(Schema.Number),
  sha256: Schema.optionalKey(Schema.String),
  /** Where a link leads. */
  target: Schema.optionalKey(Schema.NullOr(Schema.String))
})
export type ImageEntry = typeof ImageEntry.Type

/** What holds of the image as a whole: its partitions, what of it is no file system that can be read. */
export const ImageFact = Schema.Struct({ about: Schema.String, fact: Schema.Union([Schema.String, Schema.Number]) })
export type ImageFact = typeof ImageFact.Type

export interface Contents {
  readonly sha256: string
  readonly facts: ReadonlyArray<ImageFact>
  readonly entries: ReadonlyArray<ImageEntry>
}

/** What is in an image's file: a disk of any usual format, a file system or an archive. */
export class ImageContents extends Context.Service<ImageContents, {
  read(path: string): Effect.Effect<Contents, ContentsUnreadable>
  digest(path: string): Effect.Effect<string, ContentsUnreadable>
}>()("domain/ports/ImageContents") {}
