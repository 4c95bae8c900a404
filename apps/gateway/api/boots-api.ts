/** What a boot test has seen. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { Firmware } from "../../../domain/boot-test.ts"
import { ComposeId } from "../../../domain/ids.ts"
import { Authorization } from "./authorization.ts"
import { BadRequest, NotFound, Unavailable } from "./problems.ts"

const file = {
  params: { id: ComposeId, image: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 999 })), firmware: Firmware },
  headers: { "if-none-match": Schema.optionalKey(Schema.String) },
  success: HttpApiSchema.StreamUint8Array(),
  error: [BadRequest, NotFound, Unavailable]
} as const

export class BootsApi extends HttpApiGroup.make("boots").add(
  HttpApiEndpoint.get("console", "/:id/images/:image/boots/:firmware/console.txt", file)
    .annotate(OpenApi.Summary, "What an image said on its serial console when it was booted"),
  HttpApiEndpoint.get("screenshot", "/:id/images/:image/boots/:firmware/screenshot.png", file)
    .annotate(OpenApi.Summary, "The screen of an image at the end of its boot test")
).middleware(Authorization).prefix("/composes") {}
