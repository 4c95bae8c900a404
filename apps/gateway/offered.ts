/** Whether what is asked for can be built here, beyond being well formed. */
import { Result } from "effect"
import type { ComposeRequest, ImageRequest } from "../../domain/compose-request.ts"
import type { DistributionInfo } from "../../domain/ports/image-builder.ts"
import type { BadRequest, Fault } from "./api/problems.ts"
import { badRequest } from "./faults.ts"

/** The distribution that the request names, or every reason why it cannot be built. */
export const offered = (
  distributions: ReadonlyArray<DistributionInfo>,
  request: ComposeRequest
): Result.Result<DistributionInfo, BadRequest> => {
  const distribution = distributions.find(({ id }) => id === request.distribution)
  const faults = [
    ...(distribution === undefined
      ? [unknown("distribution", "distribution", distributions.map(({ id }) => id))]
      : request.images.flatMap((image, index) => imageFaults(distribution, image, `images[${index}]`))),
    ...repeated(request.customizations?.users ?? [], ({ name }) => name, "customizations.users", "name"),
    ...repeated(request.customizations?.files ?? [], ({ path }) => path, "customizations.files", "path")
  ]
  return distribution !== undefined && faults.length === 0
    ? Result.succeed(distribution)
    : Result.fail(badRequest(faults))
}

const imageFaults = (distribution: DistributionInfo, image: ImageRequest, path: string): ReadonlyArray<Fault> => {
  const architecture = distribution.architectures.find((offer) => offer.architecture === image.architecture)
  if (architecture === undefined) {
    const architectures = distribution.architectures.map((offer) => offer.architecture)
    return [unknown(`${path}.architecture`, "architecture", architectures)]
  }
  const type = architecture.imageTypes.find((offer) => offer.type === image.type)
  if (type === undefined) {
    return [unknown(`${path}.type`, "image type", architecture.imageTypes.map((offer) => offer.type))]
  }
  return Object.keys(image.options ?? {}).filter((option) => !type.options.includes(option))
    .map((option) => unknown(`${path}.options.${option}`, "option for this image type", type.options))
}

const unknown = (path: string, what: string, offers: ReadonlyArray<string>): Fault => ({
  in: "body", path, message: `no such ${what}; there is ${offers.length === 0 ? "none" : offers.join(", ")}`
})

const repeated = <A>(
  items: ReadonlyArray<A>,
  key: (item: A) => string,
  path: string,
  field: string
): ReadonlyArray<Fault> => {
  const first = new Map<string, number>()
  return items.flatMap((item, index): ReadonlyArray<Fault> => {
    const before = first.get(key(item))
    if (before === undefined) {
      first.set(key(item), index)
      return []
    }
    return [{ in: "body", path: `${path}[${index}].${field}`, message: `the same as ${path}[${before}].${field}` }]
  })
}
