/** The handler of depsolve: the packages that a compose would be built from, were it asked for now. */
import { Effect, Result } from "effect"
import { HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import type { DistributionInfo } from "../../domain/ports/image-builder.ts"
import { PackageIndex } from "../../domain/ports/package-index.ts"
import { DepsolveRequest, type DepsolveView } from "./api/depsolve-api.ts"
import { KilnApi } from "./api/kiln-api.ts"
import { Unavailable, Unresolvable } from "./api/problems.ts"
import { Catalog } from "./catalog.ts"
import { bodyOf } from "./compose-body.ts"
import { GatewayConfig } from "./config.ts"
import { badRequest } from "./faults.ts"
import { offered } from "./offered.ts"

const depsolveBody = bodyOf(DepsolveRequest)

export const DepsolveLive = HttpApiBuilder.group(KilnApi, "depsolve", Effect.fnUntraced(function*(handlers) {
  const { distributions } = yield* Catalog
  const { privateRepositories = false } = yield* GatewayConfig
  const index = yield* PackageIndex
  return handlers.handleRaw("depsolve", Effect.fnUntraced(function*({ request: http }) {
    const request = yield* depsolveBody(http)
    const type = request.image_type ?? firstType(distributions, request)
    const distribution = yield* Effect.fromResult(askable(distributions, request, type, privateRepositories))
    const { architecture, customizations: { users: _, ...customizations } = {} } = request
    const spec = { distribution: distribution.id, image: { architecture, type }, customizations }
    // What needs no lock has no packages.
    const { packages } = distribution.resolves ? yield* Effect.mapError(index.resolve(spec), refusal) : { packages: [] }
    return HttpServerResponse.jsonUnsafe({
      distribution: distribution.id,
      architecture,
      image_type: type,
      packages: packages.map(({ architecture, name, size, version }) => ({ name, version, architecture, size })),
      download_bytes: packages.reduce((sum, { size }) => sum + size, 0)
    } satisfies DepsolveView)
  }))
}))

const firstType = (distributions: ReadonlyArray<DistributionInfo>, { architecture, distribution }: DepsolveRequest): string =>
  distributions.find(({ id }) => id === distribution)?.architectures.find((offer) => offer.architecture === architecture)
    ?.imageTypes[0]?.type ?? "none"

/** As a compose of one image would be judged. */
const askable = (
  distributions: ReadonlyArray<DistributionInfo>,
  { architecture, customizations, distribution }: DepsolveRequest,
  type: string,
  privateRepositories: boolean
) =>
  Result.mapError(
    offered(distributions, { distribution, images: [{ architecture, type }], ...(customizations && { customizations }) }, privateRepositories),
    ({ errors }) => badRequest(errors.map((fault) => ({ ...fault, path: fault.path.replace("images[0].type", "image_type").replace("images[0].", "") })))
  )

/** A builder begins its words with the place they are about. */
const refusal = (failure: { readonly class: string; readonly message: string; readonly excerpt?: string }) => {
  const { class: kind, excerpt, message } = failure
  if (kind !== "user") return new Unavailable({ detail: message })
  const [, place = "", words = message] = /^((?:packages|repositories)[[\].\w]*): (.+)$/s.exec(message) ?? []
  const path = place === "" ? "" : `customizations.${place}`
  return new Unresolvable({ detail: message, errors: [{ in: "body", path, message: words }], ...(excerpt && { excerpt }) })
}
