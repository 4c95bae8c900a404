/** What every distribution of the builders file says, whichever builder makes it. */
import { Effect, Schema } from "effect"
import { DistributionId, ImageType } from "../../domain/compose-request.ts"
import type { Architecture } from "../../domain/ids.ts"
import type { Manifest } from "../../domain/manifest.ts"
import { Parameter, parameterFaults, ParameterName, type Parameters, parametersOf } from "../../domain/parameters.ts"
import { BuildFailed, type DistributionInfo } from "../../domain/ports/image-builder.ts"
import { line, matching } from "../../domain/text.ts"

const optional = Schema.optionalKey

/** A program by name or absolute path, and its first arguments. No shell reads them. */
export const Program = Schema.NonEmptyArray(line(4096))
export type Program = typeof Program.Type
export const AbsolutePath = matching(/^\/[^\u0000-\u001f\u007f]*$/u, "an absolute path")
export const Environment = Schema.Record(matching(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/u, "the name of an environment variable"), Schema.String)
export type Environment = typeof Environment.Type

const typeFields = {
  description: optional(line(200)),
  /** Whether it is a disk that Kiln may boot to test it. */
  bootable: optional(Schema.Boolean),
  parameters: optional(Schema.Record(ParameterName, Parameter))
}

/** The fields of one builder's distributions: `ofType` are those of each image type, `fields` those of the distribution. */
export const entryOf = <Name extends string, Type extends Schema.Struct.Fields, Fields extends Schema.Struct.Fields>(
  builder: Name, ofType: Type, fields: Fields
) => {
  const types = optional(Schema.Record(ImageType, Schema.Struct({ ...typeFields, ...ofType })))
  return Schema.Struct({
    distribution: DistributionId,
    name: optional(line(80)),
    builder: Schema.Literal(builder),
    architectures: Schema.Struct({ x86_64: types, aarch64: types }),
    /** Set for the program; the rest of the worker's environment is not. */
    env: optional(Environment),
    ...fields
  })
}

interface AnyType {
  readonly description?: string
  readonly bootable?: boolean
  readonly parameters?: Readonly<Record<string, Parameter>>
}

interface AnyEntry<Type extends AnyType> {
  readonly distribution: string
  readonly name?: string
  readonly builder: string
  readonly architectures: { readonly [architecture in Architecture]?: Readonly<Record<string, Type>> }
}

/** `customizations`: the keys that the builder does something with. */
export const offerOf = (entry: AnyEntry<AnyType>, customizations: ReadonlyArray<string>): DistributionInfo => ({
  id: entry.distribution,
  name: entry.name ?? entry.distribution,
  builder: entry.builder,
  resolves: false,
  customizations,
  architectures: Object.entries(entry.architectures).map(([architecture, types]) => ({
    architecture: architecture as Architecture,
    imageTypes: Object.entries(types).map(([type, { bootable = false, description = "", parameters }]) => ({
      type, description, bootable, options: parameters === undefined ? [] : ["parameters"], ...(parameters && { parameters })
    }))
  }))
})

/**
 * What this worker's own file says about what a manifest asks for. The gateway has checked the request against a file that
 * may be another by now: all of it is checked again.
 */
export const askedOf = <Type extends AnyType, Entry extends AnyEntry<Type>>(
  entries: ReadonlyArray<Entry & AnyEntry<Type>>, { customizations, distribution, image }: Manifest, takes: (entry: Entry) => ReadonlyArray<string>
): Effect.Effect<{ readonly entry: Entry; readonly type: Type; readonly parameters: Parameters }, BuildFailed> => {
  const entry = entries.find((each) => each.distribution === distribution)
  const type = entry?.architectures[image.architecture]?.[image.type]
  if (entry === undefined || type === undefined) {
    const what = `${distribution}, ${image.architecture}, ${image.type}`
    return Effect.fail(new BuildFailed({ class: "platform", message: `the builders file of this worker has nothing for ${what}` }))
  }
  const others = Object.keys(customizations).filter((key) => !takes(entry).includes(key))
  const faults = parameterFaults(type.parameters ?? {}, image.options?.parameters ?? {})
  if (others.length > 0) return Effect.fail(new BuildFailed({ class: "user", message: `customizations.${others[0]}: not possible for ${distribution}` }))
  return faults.length > 0
    ? Effect.fail(new BuildFailed({ class: "user", message: `image.options.parameters.${faults[0]!.name}: ${faults[0]!.message}` }))
    : Effect.succeed({ entry, type, parameters: parametersOf(type.parameters ?? {}, image.options?.parameters) })
}
