import { Schema } from "effect"

/** Nobody has it any more: it has to be built again. */
export class ImageMissing extends Schema.TaggedError<ImageMissing>()("ImageMissing", { message: Schema.String }) {}
