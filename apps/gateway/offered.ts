/** Whether what is asked for can be built here, beyond being well formed. */
import { Result } from "effect"
import { insists } from "../../domain/boot-test.ts"
import { customizationFaults } from "../../domain/customization-faults.ts"
import type { Customizations } from "../../domain/customizations.ts"
import type { ComposeRequest, ImageRequest } from "../../domain/compose-request.ts"
import { optionFaults } from "../../domain/option-faults.ts"
import { parameterFaults } from "../../domain/parameters.ts"
import type { DistributionInfo } from "../../domain/ports/image-builder.ts"
import type { BadRequest, Fault } from "./api/problems.ts"
import { certificateFaults } from "./certificates.ts"
import { badRequest } from "./faults.ts"

/** The distribution that the request names, or every reason why it cannot be built. */
export const offered = (
  distributions: ReadonlyArray<DistributionInfo>,
  request: ComposeRequest,
  privateRepositories = false
): Result.Result<DistributionInfo, BadRequest> => {
  const distribution = distributions.find(({ id }) => id === request.distribution)
  const faults = [
    ...(distribution === undefined
      ? [unknown("distribution", "distribution", distributions.map(({ id }) => id))]
      : request.images.flatMap((image, index) => imageFaults(distribution, image, `images[${index}]`)).concat(untakenCustomizations(distribution, request))),
    ...wrongCustomizations(request.customizations, privateRepositories)
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
  return [
    ...Object.keys(image.options ?? {}).filter((option) => !type.options.includes(option))
      .map((option) => unknown(`${path}.options.${option}`, "option for this image type", type.options)),
    ...optionFaults(image.options ?? {}).map((fault): Fault => ({ in: "body", path: `${path}.options.${fault.path}`, message: fault.message })),
    ...parameterFaults(type.parameters ?? {}, image.options?.parameters ?? {})
      .map(({ name, message }): Fault => ({ in: "body", path: `${path}.options.parameters.${name}`, message })),
    ...(insists(image.test) && !type.bootable
      ? [{ in: "body" as const, path: `${path}.test`, message: "images of this type do not boot, so they cannot be tested" }] : [])
  ]
}

/** Nothing that is asked for is left out in silence. */
const untakenCustomizations = ({ customizations }: DistributionInfo, request: ComposeRequest): ReadonlyArray<Fault> =>
  customizations === undefined
    ? []
    : Object.keys(request.customizations ?? {}).filter((key) => !customizations.includes(key))
      .map((key) => unknown(`customizations.${key}`, "customization for this distribution", customizations))

/** The images that are booted once they are built: those that can boot, unless the request spares them. */
export const testedImages = ({ architectures }: DistributionInfo, { images }: ComposeRequest): ReadonlyArray<number> =>
  images.flatMap(({ architecture, test, type }, index) => {
    const offer = architectures.find((each) => each.architecture === architecture)?.imageTypes.find((each) => each.type === type)
    return offer?.bootable === true && test !== false ? [index] : []
  })

const unknown = (path: string, what: string, offers: ReadonlyArray<string>): Fault => ({
  in: "body", path, message: `no such ${what}; there is ${offers.length === 0 ? "none" : offers.join(", ")}`
})

/** As faults of a body that has them as `customizations`. */
const wrongCustomizations = (customizations: Customizations = {}, privateRepositories: boolean): ReadonlyArray<Fault> =>
  [...customizationFaults(customizations, privateRepositories), ...certificateFaults(customizations)].map(({ message, path }) => ({
    in: "body", path: `customizations.${path}`, message
  }))
