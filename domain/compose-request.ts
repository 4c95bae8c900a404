/** What a tenant asks for. The same shapes serve the API (passwords in clear) and the log (passwords sealed). */
import { Schema } from "effect"
import { TestRequest } from "./boot-test.ts"
import { Customizations, SealedCustomizations } from "./customizations.ts"
import { Architecture } from "./ids.ts"
import { ImageOptions } from "./image-options.ts"
import { Target } from "./target.ts"
import { line, list, matching, storable } from "./text.ts"

export const DistributionId = matching(/^[a-z0-9][a-z0-9.-]{0,39}$/u, "the id of a distribution, such as debian-13")
export const ImageType = matching(/^[a-z0-9][a-z0-9-]{0,39}$/u, "an image type, such as guest-image")

export const ImageRequest = Schema.Struct({
  architecture: Architecture,
  type: ImageType,
  options: Schema.optionalKey(ImageOptions),
  targets: Schema.optionalKey(list(Target, 16)),
  test: Schema.optionalKey(TestRequest)
})
export type ImageRequest = typeof ImageRequest.Type

/** Who of one tenant's jobs goes first; other tenants are not touched by it. */
export const Priority = Schema.Literals(["high", "normal", "low"])
export type Priority = typeof Priority.Type

const composeRequestOf = <C extends Schema.Top>(customizations: C) =>
  Schema.Struct({
    distribution: DistributionId,
    name: Schema.optionalKey(line(200)),
    labels: Schema.optionalKey(
      Schema.Record(matching(/^[a-z0-9]([a-z0-9._/-]{0,61}[a-z0-9])?$/u, "a label's name: lower-case letters, digits and . _ / -, at most 63"), storable(200))
        .check(Schema.isMaxProperties(32))
    ),
    priority: Schema.optionalKey(Priority),
    images: Schema.NonEmptyArray(ImageRequest).check(Schema.isMaxLength(16)),
    customizations: Schema.optionalKey(customizations)
  })

/** As it arrives: passwords in clear (or as `$6$…` crypt hashes). Never stored. */
export const ComposeRequest = composeRequestOf(Customizations)
export type ComposeRequest = typeof ComposeRequest.Type

/** As it is stored. */
export const SealedComposeRequest = composeRequestOf(SealedCustomizations)
export type SealedComposeRequest = typeof SealedComposeRequest.Type
