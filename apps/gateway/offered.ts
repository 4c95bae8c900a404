/** Whether what is asked for can be built here, beyond being well formed. */
import { Result } from "effect"
import { insists } from "../../domain/boot-test.ts"
import { customizationFaults } from "../../domain/customization-faults.ts"
import type { Customizations } from "../../domain/customizations.ts"
import type { ComposeRequest, ImageRequest } from "../../domain/compose-request.ts"
import { optionFaults } from "../../domain/option-faults.ts"
import { parameterFaults } from "../../domain/parameters.ts"
import { targetFaults } from "../../domain/target-faults.ts"
import type { TargetType } from "../../domain/target.ts"
import type { DistributionInfo } from "../../domain/ports/image-builder.ts"
import type { BadRequest, Fault } from "./api/problems.ts"
import { certificateFaults } from "./certificates.ts"
import { badRequest } from "./faults.ts"

/** The distribution that the request names, or every reason why it cannot be built. */
export const offered = (
  distributions: ReadonlyArray<DistributionInfo>,
  request: ComposeRequest,
  privateRepositories = false,
  delivers: (type: TargetType) => boolean = () => true
): Result.Result<DistributionInfo, BadRequest> => {
  const distribution = distributions.find(({ id }) => id === request.distribution)
  const faults = [
    ...(distribution === undefined
      ? [unknown("distribution", "distribution", distributions.map(({ id }) => id))]
      : [
        ...request.images.flatMap((image, index) => imageFaults(distribution, image, `images[${index}]`, delivers, request.customizations)),
        ...untakenCustomizations(distribution, request),
        ...untakenFiles(distribution, request)
      ]),
    ...wrongCustomizations(request.customizations, privateRepositories)
  ]
  return distribution !== undefined && faults.length === 0
    ? Result.succeed(distribution)
    : Result.fail(badRequest(faults))
}

const imageFaults = (
  distribution: DistributionInfo, image: ImageRequest, path: string, delivers: (type: TargetType) => boolean, customizations: Customizations = {}
): ReadonlyArray<Fault> => {
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
    ...Object.entries(type.unfit ?? {}).filter(([place]) => isAsked(customizations, place))
      .map(([place, why]): Fault => ({ in: "body", path: `customizations.${place}`, message: `means nothing to ${path}, of type ${type.type}: ${why}` })),
    ...(type.ownUserData === true && customizations.cloud_init !== undefined && !/^(#cloud-config\s|#!)/.test(customizations.cloud_init.user_data)
      ? [{ in: "body" as const, path: "customizations.cloud_init.user_data", message: `${path}, of type ${type.type}, gets its user data from where it runs; what goes beside that is a #cloud-config or a program that begins with #!` }] : []),
    ...targetFaults(image.targets ?? [], type.disk ?? type.bootable, delivers)
      .map((fault): Fault => ({ in: "body", path: `${path}.${fault.path}`, message: fault.message })),
    ...(insists(image.test) && !type.bootable
      ? [{ in: "body" as const, path: `${path}.test`, message: "images of this type do not boot, so they cannot be tested" }] : [])
  ]
}

const isAsked = (customizations: object, place: string): boolean =>
  place.split(".").reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], customizations) !== undefined

const untakenFiles = ({ filesByDigest }: DistributionInfo, { customizations }: ComposeRequest): ReadonlyArray<Fault> =>
  filesByDigest === true ? [] : (customizations?.files ?? []).flatMap(({ digest }, index) =>
    digest === undefined ? [] : [{
      in: "body" as const, path: `customizations.files[${index}].digest`, message: "files of this distribution come with the request, as data"
    }])

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
